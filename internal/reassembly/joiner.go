package reassembly

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

const (
	pageSize = 256 // bytes; the unit in which incomplete messages take memory
	variants = 3   // of one message, which contradict each other

	// Window is how many messages from the awaited one on are kept.
	Window = 16

	// Floating is how far from zero the message_seq of a peer's first message may
	// be: cookie exchanges use up numbers in more than one way.
	Floating = 4
)

// Message is a complete handshake message of the peer.
type Message struct {
	Type  message.Type
	Seq   uint16
	Epoch uint16
	Raw   []byte // header as of one fragment, then the body
}

// Body is the message without its header.
func (m *Message) Body() []byte { return m.Raw[message.HeaderLen:] }

// AsksRetry reports whether the message is a HelloVerifyRequest or a
// HelloRetryRequest: a request for another ClientHello.
func (m *Message) AsksRetry() bool {
	const random = message.HeaderLen + 2 // after legacy_version
	return m.Type == message.TypeHelloVerifyRequest || m.Type == message.TypeServerHello &&
		len(m.Raw) >= random+32 && [32]byte(m.Raw[random:]) == message.RetryRandom
}

// partial is a message of the peer of which some bytes have arrived. Memory grows
// with the bytes received, in pages, never with the length in the header.
type partial struct {
	typ    message.Type
	epoch  uint16
	length uint32
	pages  map[uint32]*[pageSize]byte
	have   interval.Set
}

// slot has the variants of a message.
type slot struct {
	seq  uint16
	list []*partial
}

// Joiner joins fragments, and returns complete messages in the order of their
// message_seq. A fragment that contradicts bytes received before, which without
// protection may be forged, does not replace them but begins another variant of
// the message; of several variants the first that is complete is returned first.
//
// It is not safe for concurrent use.
type Joiner struct {
	next   uint16      // message_seq awaited
	free   bool        // next is not fixed yet: any of the first few is taken
	limit  int         // bytes of one message, and of what all of them take
	used   int         // bytes of pages and ranges
	slots  []slot      // of messages with fragments that wait, at most Floating+Window
	begins message.Set // types of the first message, while free
	floor  uint16      // fragments of older epochs are refused
}

// New returns a Joiner that takes one of the types in begins as the first
// message, whatever its message_seq below Floating. Messages have at most limit
// bytes, and so has, within a page, all that waits.
func New(begins message.Set, limit int) Joiner {
	return Joiner{free: true, limit: limit, begins: begins}
}

// Await fixes the message_seq of the next message.
func (r *Joiner) Await(seq uint16) { r.free, r.next = false, seq }

// Awaited is the message_seq of the next message.
func (r *Joiner) Awaited() uint16 { return r.next }

// Fixed reports whether it is fixed: that of the first message may be another.
func (r *Joiner) Fixed() bool { return !r.free }

// Limit is the length of the longest message in bytes.
func (r *Joiner) Limit() int { return r.limit }

// Used is the memory of all that waits, in bytes.
func (r *Joiner) Used() int { return r.used }

// Len is the number of messages of which fragments wait.
func (r *Joiner) Len() int { return len(r.slots) }

// Fault names an invariant that does not hold; nil: all do. It is for tests.
func (r *Joiner) Fault() error {
	used := 0
	for _, s := range r.slots {
		seq, list := s.seq, s.list
		if !r.free && seq-r.next >= Window || len(list) == 0 || len(list) > variants {
			return fmt.Errorf("%d variants of message %d, while %d is awaited", len(list), seq, r.next)
		}
		for _, p := range list {
			used += p.size()
		}
	}
	if used != r.used || used > r.limit+pageSize+spareRanges*rangeSize {
		return fmt.Errorf("%d bytes wait, %d are counted, the limit is %d", used, r.used, r.limit)
	}
	return nil
}

// CloseBefore refuses fragments of older epochs from now on, and drops those that
// wait: they are forged, or no longer needed.
func (r *Joiner) CloseBefore(epoch uint16) {
	r.floor = epoch
	for i := range r.slots {
		r.slots[i].list = slices.DeleteFunc(r.slots[i].list, func(p *partial) bool {
			if p.epoch < epoch {
				r.used -= p.size()
			}
			return p.epoch < epoch
		})
	}
	r.slots = slices.DeleteFunc(r.slots, func(s slot) bool { return len(s.list) == 0 })
}

// Verdict is what became of a fragment.
type Verdict uint8

// Verdicts.
const (
	Kept     Verdict = iota
	Old              // of a message that was complete before
	Repeated         // all its bytes were received before
	Refused          // illegal, or out of place
	NoRoom           // beyond the window or the limit
	TooLong          // of an awaited message over the limit
)

// Idle reports whether no fragment waits.
func (r *Joiner) Idle() bool { return len(r.slots) == 0 }

// InOrder reports whether a fragment is the next piece of the awaited message.
func (r *Joiner) InOrder(h message.Header) bool {
	if !r.free && h.Seq != r.next {
		return false
	}
	if h.FragmentOffset == 0 {
		return true
	}
	for _, p := range r.of(h.Seq) {
		if p.length == h.Length && p.have.Contains(0, h.FragmentOffset) {
			return true
		}
	}
	return false
}

// Add keeps a fragment; body is copied.
func (r *Joiner) Add(epoch uint16, h message.Header, body []byte) Verdict {
	if int64(h.Length) > int64(r.limit) {
		if epoch < r.floor || !r.free && h.Seq-r.next >= Window || r.free && !r.begins.Has(h.Type) {
			return Refused
		}
		return TooLong
	}
	switch {
	case r.free:
		if h.Seq >= Floating+Window {
			return Refused
		}
	case h.Seq-r.next >= 1<<15: // behind, in the arithmetic of 16 bits
		return Old
	case h.Seq-r.next >= Window:
		return NoRoom
	}
	if epoch < r.floor {
		return Refused
	}
	kept, repeated := false, false
	for i := 0; i < len(r.of(h.Seq)); i++ { // makeRoom may take one out
		p := r.of(h.Seq)[i]
		if p.typ != h.Type || p.length != h.Length || p.epoch != epoch || !p.agrees(h.FragmentOffset, body) {
			continue
		}
		if h.Length == 0 || p.have.Contains(h.FragmentOffset, h.FragmentOffset+h.FragmentLength) {
			repeated = true
			continue
		}
		if !r.write(p, h.FragmentOffset, body) {
			return NoRoom
		}
		kept = true
	}
	list := r.of(h.Seq)
	switch {
	case kept:
		return Kept
	case repeated:
		return Repeated
	case len(list) > 0 && epoch < list[0].epoch:
		return Refused // an unprotected fragment never displaces an authentic one
	case len(list) > 0 && epoch > list[0].epoch:
		r.release(list)
		list = nil
	case len(list) >= variants:
		r.release(list[:1])
		list = slices.Delete(list, 0, 1)
	}
	r.keep(h.Seq, list)
	p := &partial{typ: h.Type, epoch: epoch, length: h.Length}
	if !r.write(p, h.FragmentOffset, body) {
		return NoRoom
	}
	r.keep(h.Seq, append(r.of(h.Seq), p))
	return Kept
}

// agrees reports whether body has the same bytes as p where they overlap.
func (p *partial) agrees(offset uint32, body []byte) bool {
	lo, end := offset, offset+uint32(len(body))
	for lo < end {
		page := p.pages[lo/pageSize]
		hi := min(end, (lo/pageSize+1)*pageSize)
		if page != nil {
			ours, theirs := page[lo%pageSize:][:hi-lo], body[lo-offset:hi-offset]
			if !bytes.Equal(ours, theirs) && !p.agreesBytewise(lo, ours, theirs) {
				return false
			}
		}
		lo = hi
	}
	return true
}

func (p *partial) agreesBytewise(lo uint32, ours, theirs []byte) bool {
	for i := range ours {
		at := lo + uint32(i)
		if ours[i] != theirs[i] && p.have.Contains(at, at+1) {
			return false
		}
	}
	return true
}

// write copies body in; it reports false, and changes nothing, if that needs more
// pages than the limit allows.
func (r *Joiner) write(p *partial, offset uint32, body []byte) bool {
	end := offset + uint32(len(body))
	need := 0
	for lo := offset; lo < end; lo = (lo/pageSize + 1) * pageSize {
		if p.pages[lo/pageSize] == nil {
			need += pageSize
		}
	}
	if !p.mayHold(offset, end) || !r.makeRoom(p, need+rangeSize) {
		return false
	}
	before := p.size()
	if p.pages == nil && need > 0 {
		p.pages = make(map[uint32]*[pageSize]byte)
	}
	for lo := offset; lo < end; {
		hi := min(end, (lo/pageSize+1)*pageSize)
		page := p.pages[lo/pageSize]
		if page == nil {
			page = new([pageSize]byte)
			p.pages[lo/pageSize] = page
		}
		copy(page[lo%pageSize:], body[lo-offset:hi-offset])
		lo = hi
	}
	p.have.Add(offset, end)
	r.used += p.size() - before
	return true
}

// maxRanges bounds the ranges of one message. Fragments of an honest peer join up;
// those with every other byte do not.
const maxRanges = 2048

// rangeSize is the memory of a range, in bytes, and spareRanges how many a message
// of the full limit may need while its fragments arrive out of order.
const (
	rangeSize   = 8
	spareRanges = 512
)

// size is the memory that p takes, in bytes.
func (p *partial) size() int { return len(p.pages)*pageSize + p.have.Len()*rangeSize }

func (p *partial) mayHold(lo, hi uint32) bool {
	return p.have.Len() < maxRanges || lo > 0 && p.have.Contains(lo-1, lo) || p.have.Contains(hi, hi+1)
}

// makeRoom frees memory until need more bytes fit, for p. What goes first is the
// message with the fewest bytes for its pages: forged crumbs that fill the memory
// must not keep honest fragments out.
func (r *Joiner) makeRoom(p *partial, need int) bool {
	for r.used+need > r.limit+pageSize+spareRanges*rangeSize { // a message of the full limit needs its last page
		seq, i := r.sparsest(p)
		if i < 0 {
			return false
		}
		list := r.of(seq)
		r.release(list[i : i+1])
		r.keep(seq, slices.Delete(list, i, i+1))
	}
	return true
}

// of returns the variants of a message, none if nothing of it waits.
func (r *Joiner) of(seq uint16) []*partial {
	for i := range r.slots {
		if r.slots[i].seq == seq {
			return r.slots[i].list
		}
	}
	return nil
}

// keep sets the variants of a message.
func (r *Joiner) keep(seq uint16, list []*partial) {
	i := slices.IndexFunc(r.slots, func(s slot) bool { return s.seq == seq })
	switch {
	case len(list) == 0 && i >= 0:
		r.slots = slices.Delete(r.slots, i, i+1)
	case len(list) == 0:
	case i >= 0:
		r.slots[i].list = list
	default:
		r.slots = append(r.slots, slot{seq, list})
	}
}

// sparsest finds the message, other than p, with the fewest bytes per page, if these
// are fewer than those of p; i is -1 if there is none.
func (r *Joiner) sparsest(p *partial) (seq uint16, i int) {
	i = -1
	best := max(p.density(), pageSize/4)
	for k := range r.slots {
		s, list := r.slots[k].seq, r.slots[k].list
		for j, q := range list {
			if d := q.density(); q != p && len(q.pages) > 0 && (d < best || d == best && i >= 0 && s > seq) {
				best, seq, i = d, s, j
			}
		}
	}
	return seq, i
}

// density is the number of bytes per page.
func (p *partial) density() int {
	if len(p.pages) == 0 {
		return 0
	}
	return int(p.have.Bytes()) / len(p.pages)
}

func (r *Joiner) release(list []*partial) {
	for _, p := range list {
		r.used -= p.size()
	}
}

// Take returns the awaited message if one variant of it is complete. It stays
// in place until Accept or Reject.
func (r *Joiner) Take() (*Message, bool) {
	if !r.free {
		return r.complete(r.next)
	}
	for seq := range uint16(Floating) {
		if m, ok := r.complete(seq); ok {
			return m, true
		}
	}
	return nil, false
}

// complete finds a complete variant of a message. While the first message is awaited,
// variants of other types are skipped: their message_seq may be that of a later
// message, and they must not hide an honest variant.
func (r *Joiner) complete(seq uint16) (*Message, bool) {
	for _, p := range r.of(seq) {
		if p.have.Covers(p.length) && (!r.free || r.begins.Has(p.typ)) {
			return p.message(seq), true
		}
	}
	return nil, false
}

func (p *partial) message(seq uint16) *Message {
	h := message.Header{Type: p.typ, Length: p.length, Seq: seq, FragmentLength: p.length}
	raw := h.Append(make([]byte, 0, message.HeaderLen+int(p.length)))
	for at := uint32(0); at < p.length; at += pageSize {
		raw = append(raw, p.pages[at/pageSize][:min(pageSize, p.length-at)]...)
	}
	return &Message{Type: p.typ, Seq: seq, Epoch: p.epoch, Raw: raw}
}

// Accept goes on to the message after m and forgets all that came before. A
// HelloVerifyRequest or HelloRetryRequest fixes no numbers: the server
// that sent it may have forgotten it, and answers the next hello as if it were
// the first (RFC 6347, Section 4.2.2 numbers its ServerHello 1, other servers go
// by the client's number).
func (r *Joiner) Accept(m *Message) {
	r.free = m.AsksRetry()
	r.next = m.Seq + 1
	r.slots = slices.DeleteFunc(r.slots, func(s slot) bool {
		behind := s.seq-r.next >= 1<<15
		if behind {
			r.release(s.list)
		}
		return behind
	})
}

// Reject forgets the variant that m was made of.
func (r *Joiner) Reject(m *Message) {
	list := r.of(m.Seq)
	for i, p := range list {
		if p.have.Covers(p.length) && p.typ == m.Type && p.epoch == m.Epoch {
			r.release(list[i : i+1])
			list = slices.Delete(list, i, i+1)
			break
		}
	}
	r.keep(m.Seq, list)
}
