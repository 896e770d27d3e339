package dtls

import (
	"bytes"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Fragmenting and joining handshake messages (RFC 6347, Section 4.2.3). One
// type, interval.Set, answers both "which bytes arrived" and "which bytes were
// handed to the network".

// ---- cutting ----------------------------------------------------------------

// minFragment is the least room worth beginning a fragment for: its header and
// record cost 25 bytes and more.
const minFragment = 32

// outMessage is a message of ours, whole, with the places where it was cut.
// Cuts nest: a smaller limit only divides fragments that are too long, and no
// cut ever moves within a flight, so that peers which cannot join overlapping
// fragments still finish. A hello that was cut may go out whole again.
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

// acknowledge notes that the peer has [lo, hi), and reports whether that is news.
func (m *outMessage) acknowledge(lo, hi uint32) bool {
	if !m.done() {
		m.sent.Add(lo, hi)
	}
	return m.acked.Add(lo, hi) > 0
}

// arrived reports whether the peer has acknowledged all of it.
func (m *outMessage) arrived() bool { return m.acked.Covers(uint32(len(m.body))) }

// next returns the next fragment to send that has at most room bytes of body,
// where a fresh datagram would have fresh bytes; backwards, the last one. ok is
// false if nothing should go into the present datagram.
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

// lastUnsent is where the last fragment begins that was not sent: at a cut, or
// where what was sent ends.
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

// cutFree cuts bytes that were never sent: as many as there is room for.
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

// datagram is how long one with all of a plaintext message is.
func (m *outMessage) datagram() int { return record.HeaderLen + message.HeaderLen + len(m.body) }

// appendRaw appends the message as the transcript sees it: one fragment
// (RFC 6347, Section 4.2.6).
func (m *outMessage) appendRaw(dst []byte) []byte {
	return append(m.header(0, uint32(len(m.body))).Append(dst), m.body...)
}

func (m *outMessage) header(lo, hi uint32) message.Header {
	return message.Header{Type: m.typ, Length: uint32(len(m.body)), Seq: m.seq, FragmentOffset: lo, FragmentLength: hi - lo}
}

// ---- joining ----------------------------------------------------------------

const (
	pageSize = 256 // bytes; the unit in which incomplete messages take memory
	window   = 16  // messages ahead of the awaited one that are kept
	variants = 3   // versions of one message that contradict each other
	// floating is how far from zero the first message of a peer may be
	// numbered: cookie exchanges use up numbers in more than one way.
	floating = 4
)

// inMessage is a complete message of the peer.
type inMessage struct {
	typ   message.Type
	seq   uint16
	epoch uint16
	raw   []byte // header as of one fragment, then the body
}

func (m *inMessage) body() []byte { return m.raw[message.HeaderLen:] }

// partial is a message of the peer of which some bytes are here. Memory
// follows the bytes received, in pages, never the length announced.
type partial struct {
	typ    message.Type
	epoch  uint16
	length uint32
	pages  map[uint32]*[pageSize]byte
	have   interval.Set
}

// reassembly joins fragments and hands messages out in order. Without keys
// anybody can send a fragment: one that contradicts the bytes that are here
// does not replace them, but begins another variant, and whichever variant is
// complete first is tried first.
type reassembly struct {
	next   uint16 // message_seq awaited
	free   bool   // next is not fixed yet: any of the first few will do
	limit  int    // bytes of one message, and of what all of them take
	used   int    // bytes of pages and ranges
	slots  map[uint16][]*partial
	begins message.Set // what the first message may be, while free
	floor  uint16      // no new fragment of an older epoch is taken
}

// closeBefore: from now on messages come in an epoch or later ones. What is here
// of others was never of this peer, or is no longer wanted.
func (r *reassembly) closeBefore(epoch uint16) {
	r.floor = epoch
	for seq, list := range r.slots {
		kept := slices.DeleteFunc(slices.Clone(list), func(p *partial) bool {
			if p.epoch < epoch {
				r.release([]*partial{p})
			}
			return p.epoch < epoch
		})
		r.keep(seq, kept)
	}
}

type fragmentVerdict uint8

const (
	fragmentKept     fragmentVerdict = iota
	fragmentOld                      // of a message that was complete before
	fragmentRepeated                 // bytes that are here already
	fragmentRefused                  // lies, or is out of place
	fragmentNoRoom
)

// idle reports whether nothing waits for more.
func (r *reassembly) idle() bool { return len(r.slots) == 0 }

// inOrder reports whether a fragment is the next piece of the awaited message.
func (r *reassembly) inOrder(h message.Header) bool {
	if !r.free && h.Seq != r.next {
		return false
	}
	if h.FragmentOffset == 0 {
		return true
	}
	for _, p := range r.slots[h.Seq] {
		if p.length == h.Length && p.have.Contains(0, h.FragmentOffset) {
			return true
		}
	}
	return false
}

// add keeps a fragment; body is copied.
func (r *reassembly) add(epoch uint16, h message.Header, body []byte) fragmentVerdict {
	if int64(h.Length) > int64(r.limit) {
		return fragmentRefused
	}
	switch {
	case r.free:
		if h.Seq >= floating+window {
			return fragmentRefused
		}
	case h.Seq-r.next >= 1<<15: // behind, in the arithmetic of 16 bits
		return fragmentOld
	case h.Seq-r.next >= window:
		return fragmentNoRoom
	}
	if epoch < r.floor {
		return fragmentRefused
	}
	if r.slots == nil {
		r.slots = make(map[uint16][]*partial)
	}
	kept, repeated := false, false
	for i := 0; i < len(r.slots[h.Seq]); i++ { // makeRoom may take one out
		p := r.slots[h.Seq][i]
		if p.typ != h.Type || p.length != h.Length || p.epoch != epoch || !p.agrees(h.FragmentOffset, body) {
			continue
		}
		if p.have.Contains(h.FragmentOffset, h.FragmentOffset+h.FragmentLength) && h.Length > 0 {
			repeated = true
			continue
		}
		if !r.write(p, h.FragmentOffset, body) {
			return fragmentNoRoom
		}
		kept = true
	}
	list := r.slots[h.Seq]
	switch {
	case kept:
		return fragmentKept
	case repeated:
		return fragmentRepeated
	case len(list) > 0 && epoch < list[0].epoch:
		return fragmentRefused // plaintext never displaces what a key vouched for
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
		return fragmentNoRoom
	}
	r.slots[h.Seq] = append(r.slots[h.Seq], p)
	return fragmentKept
}

// agrees reports whether body repeats what p has where they overlap.
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

// write copies body in; it reports false, and changes nothing, if the pages
// that takes are more than the limit.
func (r *reassembly) write(p *partial, offset uint32, body []byte) bool {
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

// maxRanges bounds what there is of knowing which bytes of a message are there.
// Honest fragments join up; a peer that sends every other byte does not.
const maxRanges = 2048

// rangeSize is what a range takes, in bytes, and spareRanges what a message of
// the full limit may need of them while its fragments come in disorder.
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
// message with the fewest bytes for its pages: strangers who fill the memory
// with crumbs must not keep honest fragments out.
func (r *reassembly) makeRoom(p *partial, need int) bool {
	for r.used+need > r.limit+pageSize+spareRanges*rangeSize { // a message of the full limit needs its last page
		seq, i := r.sparsest(p)
		if i < 0 {
			return false
		}
		list := r.slots[seq]
		r.release(list[i : i+1])
		r.keep(seq, slices.Delete(list, i, i+1))
	}
	return true
}

// keep sets the variants of a message.
func (r *reassembly) keep(seq uint16, list []*partial) {
	if len(list) == 0 {
		delete(r.slots, seq)
		return
	}
	r.slots[seq] = list
}

// sparsest finds the message, other than p, with the fewest bytes for its
// pages, if it has fewer than p would have; i is -1 if there is none.
func (r *reassembly) sparsest(p *partial) (seq uint16, i int) {
	i = -1
	best := max(p.density(), pageSize/4)
	for s, list := range r.slots {
		for j, q := range list {
			if d := q.density(); q != p && len(q.pages) > 0 && (d < best || d == best && i >= 0 && s > seq) {
				best, seq, i = d, s, j
			}
		}
	}
	return seq, i
}

// density is how many bytes there are for each page.
func (p *partial) density() int {
	if len(p.pages) == 0 {
		return 0
	}
	return int(p.have.Bytes()) / len(p.pages)
}

func (r *reassembly) release(list []*partial) {
	for _, p := range list {
		r.used -= p.size()
	}
}

// take returns the awaited message if one variant of it is complete. It stays
// in place until accept or reject.
func (r *reassembly) take() (*inMessage, bool) {
	if !r.free {
		return r.complete(r.next)
	}
	for seq := range uint16(floating) {
		if m, ok := r.complete(seq); ok {
			return m, true
		}
	}
	return nil, false
}

// complete finds a whole variant of a message. What cannot be a first message
// is passed over while one is awaited: its number may yet turn out to be that
// of a later one, and until then it must not stand before an honest variant.
func (r *reassembly) complete(seq uint16) (*inMessage, bool) {
	for _, p := range r.slots[seq] {
		if p.have.Covers(p.length) && (!r.free || r.begins.Has(p.typ)) {
			return p.message(seq), true
		}
	}
	return nil, false
}

func (p *partial) message(seq uint16) *inMessage {
	h := message.Header{Type: p.typ, Length: p.length, Seq: seq, FragmentLength: p.length}
	raw := h.Append(make([]byte, 0, message.HeaderLen+int(p.length)))
	for at := uint32(0); at < p.length; at += pageSize {
		raw = append(raw, p.pages[at/pageSize][:min(pageSize, p.length-at)]...)
	}
	return &inMessage{typ: p.typ, seq: seq, epoch: p.epoch, raw: raw}
}

// accept goes on to the message after m and forgets all that came before. A
// HelloVerifyRequest or HelloRetryRequest fixes no numbers: the server
// that sent it may have forgotten it, and answers the next hello as if it were
// the first (RFC 6347, Section 4.2.2 numbers its ServerHello 1, other servers go
// by the client's number).
func (r *reassembly) accept(m *inMessage) {
	r.free = asksRetry(m)
	r.next = m.seq + 1
	for seq, list := range r.slots {
		if seq-r.next >= 1<<15 {
			r.release(list)
			delete(r.slots, seq)
		}
	}
}

// reject forgets the variant that m was made of.
func (r *reassembly) reject(m *inMessage) {
	list := r.slots[m.seq]
	for i, p := range list {
		if p.have.Covers(p.length) && p.typ == m.typ && p.epoch == m.epoch {
			r.release(list[i : i+1])
			list = slices.Delete(list, i, i+1)
			break
		}
	}
	r.keep(m.seq, list)
}
