package dtls

import (
	"os"
	"testing"
)

// Tests that go through a product of cases have three forms. In full, with
// FLIGHTPATH_SOAK, they try every case; `make soak` does. Otherwise they try
// every single fault and a part of the combinations, and in the brief form a
// smaller part of them, always the same.

// soak reports whether tests run in their full form.
func soak() bool { return os.Getenv("FLIGHTPATH_SOAK") != "" }

// brief reports whether tests run in their brief form: under the race detector,
// which sees nothing new in one goroutine and makes cryptography ten times
// slower, and with -short, for processors whose cryptography is slow.
func brief() bool { return !soak() && (raceEnabled || testing.Short()) }

// cover selects cases of a product: all in the full form, one of brief in the
// brief form, one of normal else. Both should be primes, so that the cases taken
// do not keep in step with a dimension of the product.
type cover struct {
	normal, brief int
	cases, taken  int
}

// take reports whether the next case is tried.
func (c *cover) take() bool {
	every := c.normal
	switch {
	case soak():
		every = 1
	case brief():
		every = c.brief
	}
	c.cases++
	if c.cases%every != 0 {
		return false
	}
	c.taken++
	return true
}
