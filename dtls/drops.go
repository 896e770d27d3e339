package dtls

import (
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/internal/tally"
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

// Total is the sum of all reasons but Repeated, which honest peers cause too.
func (d Drops) Total() uint64 { return tally.Sum(d) - d.Repeated }

// String lists the reasons that occurred: "bad mac 2, replayed 1".
func (d Drops) String() string { return tally.String(d) }

func (d *Drops) add(o Drops)        { tally.Add(d, o) }
func (d Drops) minus(o Drops) Drops { return tally.Minus(d, o) }
