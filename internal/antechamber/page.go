package antechamber

import (
	"bytes"

	"github.com/flightpath-dtls/flightpath/internal/interval"
)

// page is the memory of one place, made when the place is first used.
type page struct {
	body *[MaxHello]byte
	have interval.Set // with fragments of MinFragment bytes, never more than 128 ranges
}

// contradicts reports whether a fragment has other bytes where it overlaps what
// is here.
func (p *page) contradicts(f Fragment) bool {
	for lo, hi := range p.have.Ranges() {
		lo, hi = max(lo, f.Offset), min(hi, f.end())
		if lo < hi && !bytes.Equal(p.body[lo:hi], f.Body[lo-f.Offset:hi-f.Offset]) {
			return true
		}
	}
	return false
}

// write copies a fragment in. It reports whether any of its bytes are new.
func (p *page) write(f Fragment) bool {
	if p.body == nil {
		p.body = new([MaxHello]byte)
	}
	copy(p.body[f.Offset:], f.Body)
	return p.have.Add(f.Offset, f.end()) > 0
}

// prefix is what is here without a gap from the start.
func (p *page) prefix() []byte {
	for lo, hi := range p.have.Ranges() {
		if lo == 0 {
			return p.body[:hi:hi]
		}
		break
	}
	return nil
}
