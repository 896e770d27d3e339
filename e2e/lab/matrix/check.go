package main

import (
	"errors"
	"fmt"
	"time"
)

// What must hold. A black hole costs two silent transmissions before smaller
// datagrams are tried, with a timer that the cookie's round trip has set.
const (
	limitICMP      = 100 * time.Millisecond // median without loss
	limitBlackHole = 700 * time.Millisecond
	mustComplete   = 10 // percent of loss; beyond, times are reported only
)

// With more loss, of clients that offer DTLS 1.3 alone so many percent of the tries of
// all cells together must be complete.
const (
	lossyShare = 95
	lossyTries = 21 // in each of 10 cells
)

// check lists what does not hold.
func check(cells []*cell, version string) error {
	errs := []error{checkShare(cells, version)}
	for _, c := range cells {
		complete := len(c.times())
		if c.loss <= mustComplete && complete < len(c.tries) {
			errs = append(errs, fmt.Errorf("%v: only %d of %d are complete", c, complete, len(c.tries)))
		}
		limit := limitICMP
		if c.blackHole {
			limit = limitBlackHole
		}
		if c.loss == 0 && complete > 0 && median(c.times()) > limit {
			errs = append(errs, fmt.Errorf("%v: a median of %v, want at most %v", c, median(c.times()), limit))
		}
	}
	return errors.Join(errs...)
}

func checkShare(cells []*cell, version string) error {
	complete, tries := 0, 0
	for _, c := range cells {
		if c.loss > mustComplete {
			complete, tries = complete+len(c.times()), tries+len(c.tries)
		}
	}
	if version == only13 && 100*complete < lossyShare*tries {
		return fmt.Errorf("over %d %% loss: %d of %d are complete, want %d %%", mustComplete, complete, tries, lossyShare)
	}
	return nil
}
