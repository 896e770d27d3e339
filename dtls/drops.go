package dtls

import (
	"fmt"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/reassembly"
)

// Drops counts discarded records, fragments and messages, by reason.
type Drops struct {
	Malformed      uint64 // no record or fragment could be cut off it
	Version        uint64 // another version in the record header
	UnknownType    uint64 // content type that is not spoken here
	UnknownEpoch   uint64 // no keys for it, or no more
	Replayed       uint64 // seen before, or left of the window
	BadMAC         uint64 // did not authenticate
	Size           uint64 // too short or too long to be a record of this suite
	PlaintextData  uint64 // application data without protection
	PlaintextAlert uint64 // alerts without protection that were ignored
	CCS            uint64 // change_cipher_spec out of place or malformed
	Fragment       uint64 // handshake fragments that lie, conflict or are out of place
	Repeated       uint64 // handshake fragments that were complete already
	Memory         uint64 // what exceeds MaxHandshakeSize or the hold of early records
	AfterClose     uint64 // data numbered after close_notify
	Refused        uint64 // requests for renegotiation
	ACK            uint64 // acknowledgements of DTLS 1.3 that are malformed, too early, or without protection
}

// fragment counts one that was not kept.
func (d *Drops) fragment(v reassembly.Verdict) {
	switch v {
	case reassembly.Kept:
	case reassembly.Old, reassembly.Repeated:
		d.Repeated++
	case reassembly.Refused, reassembly.TooLong:
		d.Fragment++
	case reassembly.NoRoom:
		d.Memory++
	}
}

// each calls f for every counter, in the order of the struct.
func (d *Drops) each(f func(name string, n *uint64)) {
	f("malformed", &d.Malformed)
	f("version", &d.Version)
	f("unknown type", &d.UnknownType)
	f("unknown epoch", &d.UnknownEpoch)
	f("replayed", &d.Replayed)
	f("bad mac", &d.BadMAC)
	f("size", &d.Size)
	f("plaintext data", &d.PlaintextData)
	f("plaintext alert", &d.PlaintextAlert)
	f("ccs", &d.CCS)
	f("fragment", &d.Fragment)
	f("repeated", &d.Repeated)
	f("memory", &d.Memory)
	f("after close", &d.AfterClose)
	f("refused", &d.Refused)
	f("ack", &d.ACK)
}

// Total is the sum of all reasons but Repeated, which honest peers cause too.
func (d Drops) Total() uint64 {
	sum := -d.Repeated
	d.each(func(_ string, n *uint64) { sum += *n })
	return sum
}

// String lists the reasons that occurred: "bad mac 2, replayed 1".
func (d Drops) String() string {
	var b strings.Builder
	d.each(func(name string, n *uint64) {
		if *n == 0 {
			return
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", name, *n)
	})
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

func (d *Drops) add(o Drops) { d.combine(o, func(a, b uint64) uint64 { return a + b }) }

func (d Drops) minus(o Drops) Drops {
	d.combine(o, func(a, b uint64) uint64 { return a - b })
	return d
}

func (d *Drops) combine(o Drops, f func(a, b uint64) uint64) {
	var theirs []uint64
	o.each(func(_ string, n *uint64) { theirs = append(theirs, *n) })
	i := 0
	d.each(func(_ string, n *uint64) {
		*n = f(*n, theirs[i])
		i++
	})
}
