package dtls

import (
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Fragmentation and reassembly of handshake messages (RFC 6347, Section 4.2.3; RFC
// 9147, Section 5.5). An interval.Set holds which bytes arrived, and another which
// bytes were handed to the network.

// minFragment is the least room in which a fragment begins: fragment and record
// header cost 25 bytes and more.
const minFragment = 32

// outMessage is a whole message to be sent, with the offsets at which it is cut. Cuts
// nest: a smaller limit only divides fragments that are too long, and no cut moves
// within a flight. So peers that cannot join overlapping fragments still finish. A
// ClientHello that was cut may go out whole again.
type outMessage struct {
	typ   message.Type
	ccs   bool // not a message: the change_cipher_spec that stands in its place
	whole bool // not to be cut if a datagram of its own can take it
	seq   uint16
	epoch uint16
	body  []byte
	cuts  []uint32     // ascending, without 0 and len(body)
	edge  uint32       // cuts are decided up to here
	sent  interval.Set // handed to the network in this transmission, or acknowledged
	acked interval.Set // acknowledged by the peer (RFC 9147, Section 7.2): never sent again
	empty bool         // an empty message, or the CCS, was handed over
}

func (m *outMessage) done() bool {
	if len(m.body) == 0 {
		return m.empty
	}
	return m.sent.Covers(uint32(len(m.body)))
}

// markSent notes that [lo, hi) was handed to the network; the empty range stands
// for an empty message or the change_cipher_spec.
func (m *outMessage) markSent(lo, hi uint32) {
	if lo == hi {
		m.empty = true
		return
	}
	m.sent.Add(lo, hi)
}

// unsend marks everything that is not acknowledged as not handed to the network.
func (m *outMessage) unsend() {
	m.sent.Assign(&m.acked)
	m.empty = false
}

// unsendRange does so for [lo, hi).
func (m *outMessage) unsendRange(lo, hi uint32) {
	if lo == hi {
		m.empty = false
		return
	}
	m.sent.Remove(lo, hi)
	for lo, hi := range m.acked.Ranges() {
		m.sent.Add(lo, hi)
	}
}

// acknowledge notes that the peer has [lo, hi), and reports whether part of it is new.
func (m *outMessage) acknowledge(lo, hi uint32) bool {
	if !m.done() {
		m.sent.Add(lo, hi)
	}
	return m.acked.Add(lo, hi) > 0
}

// arrived reports whether the peer has acknowledged all of it.
func (m *outMessage) arrived() bool { return m.acked.Covers(uint32(len(m.body))) }

// next returns the next fragment to send, of at most room bytes, which the present
// datagram has left; an empty datagram has fresh bytes. backwards asks for the last
// fragment instead. ok is false if none is to go into the present datagram.
func (m *outMessage) next(room, fresh int, backwards bool) (lo, hi uint32, ok bool) {
	n := uint32(len(m.body))
	if n == 0 {
		return 0, 0, room >= 0
	}
	if room <= 0 {
		return 0, 0, false
	}
	lo, _, ok = m.sent.NextGap(0, n)
	if !ok {
		return 0, 0, false
	}
	if lo >= m.edge {
		return m.cutFree(lo, room, fresh)
	}
	if backwards && m.edge == n {
		lo = m.lastUnsent(n)
	}
	hi = m.nextCut(lo)
	if int(hi-lo) <= room {
		return lo, hi, true
	}
	if int(hi-lo) <= fresh {
		return 0, 0, false // fits the next datagram as it was cut before
	}
	m.divide(lo, hi, fresh)
	if backwards {
		lo = m.lastUnsent(n)
	}
	hi = m.nextCut(lo)
	return lo, hi, int(hi-lo) <= room
}

// lastUnsent is the offset of the last unsent fragment: a cut, or the end of bytes
// that were sent.
func (m *outMessage) lastUnsent(n uint32) (lo uint32) {
	for from, end := range m.sent.Gaps(0, n) {
		lo = from
		for _, cut := range m.cuts {
			if cut > lo && cut < end {
				lo = cut
			}
		}
	}
	return lo
}

// cutFree cuts bytes that were never sent, as many as room has.
func (m *outMessage) cutFree(lo uint32, room, fresh int) (uint32, uint32, bool) {
	rest := len(m.body) - int(lo)
	if rest > room {
		if room < minFragment || m.whole && lo == 0 && rest <= fresh {
			return 0, 0, false
		}
		rest = room
	}
	hi := lo + uint32(rest)
	if int(hi) < len(m.body) {
		m.cuts = append(m.cuts, hi)
	}
	m.edge = hi
	return lo, hi, true
}

// nextCut is the end of the fragment that begins at or contains lo.
func (m *outMessage) nextCut(lo uint32) uint32 {
	i, found := slices.BinarySearch(m.cuts, lo)
	if found {
		i++
	}
	if i < len(m.cuts) {
		return m.cuts[i]
	}
	return uint32(len(m.body))
}

// divide splits [lo, hi) into equal parts of at most size bytes.
func (m *outMessage) divide(lo, hi uint32, size int) {
	if size < 1 {
		return
	}
	n := int(hi - lo)
	parts := (n + size - 1) / size
	at, _ := slices.BinarySearch(m.cuts, lo+1)
	fresh := make([]uint32, 0, parts-1)
	for i := 1; i < parts; i++ {
		fresh = append(fresh, lo+uint32(i*n/parts))
	}
	m.cuts = slices.Insert(m.cuts, at, fresh...)
}

// rejoin forgets the cuts.
func (m *outMessage) rejoin() {
	m.cuts, m.edge = nil, 0
}

// datagram is the size of a datagram with all of the message in plaintext.
func (m *outMessage) datagram() int { return record.HeaderLen + message.HeaderLen + len(m.body) }

func (m *outMessage) header(lo, hi uint32) message.Header {
	return message.Header{Type: m.typ, Length: uint32(len(m.body)), Seq: m.seq, FragmentOffset: lo, FragmentLength: hi - lo}
}
