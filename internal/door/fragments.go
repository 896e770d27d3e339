package door

import (
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/antechamber"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// Hellos in several datagrams: how their fragments come together at the door.
// The pool itself is internal/antechamber.

// Fragment is a fragment of a ClientHello, and the record that it came in.
type Fragment struct {
	message.Header
	Record record.Header
	Body   []byte
}

func (p *Fragment) whole() bool { return p.FragmentLength == p.Length }

func (p *Fragment) key(from netip.AddrPort) antechamber.Key {
	return antechamber.Key{From: from, Length: p.Length, Seq: p.Seq}
}

// fragment is what the antechamber sees of it, credited with size bytes.
func (p *Fragment) fragment(size int) antechamber.Fragment {
	return antechamber.Fragment{Offset: p.FragmentOffset, Body: p.Body, Record: p.Record.Seq, Size: size}
}

// waits reports whether it may wait for the rest of its hello: a hello of more
// than 4 KiB gets no further than its first fragment does, and the engine takes
// none with a higher number.
func (p *Fragment) waits(from netip.AddrPort) bool {
	return p.Seq < reassembly.Floating && antechamber.Fits(p.key(from), p.fragment(0))
}

// Fragments walks through the fragments of ClientHellos that a datagram begins
// with. A hello is alone in its flight, so there is one as a rule; more are there
// if it was cut for a smaller MTU than that of the moment.
type Fragments struct {
	datagram []byte // what is left of it
	record   record.Header
	payload  []byte // what is left of the record
}

// FragmentsOf returns the fragments of ClientHellos that a datagram begins with.
func FragmentsOf(datagram []byte) Fragments { return Fragments{datagram: datagram} }

// Next returns the next fragment; ok is false if something else comes.
func (w *Fragments) Next() (p Fragment, ok bool) {
	if len(w.payload) == 0 {
		h, payload, rest, err := record.Next(w.datagram)
		if err != nil || h.Type != record.TypeHandshake || h.Epoch != 0 {
			return p, false
		}
		w.record, w.payload, w.datagram = h, payload, rest
	}
	m, body, rest, err := message.NextFragment(w.payload)
	if err != nil || m.Type != message.TypeClientHello {
		return p, false
	}
	w.payload = rest
	return Fragment{m, w.record, body}, true
}

// SeedRoom makes the pool of fragments with that seed, for tests that repeat.
func (d *Door) SeedRoom(seed [32]byte) { d.room = antechamber.New(seed) }

// gather adds the fragments of a datagram to those that are held, and judges the
// hello they make. Fragments that contradict each other make several hellos: one
// that is to be admitted is, whatever the others are.
func (d *Door) gather(
	now time.Time, from, to netip.AddrPort, first Fragment, rest *Fragments, size int, dst []byte,
) (reply []byte, hello *Hello, q *Question) {
	if d.room == nil {
		var seed [32]byte
		rand.Read(seed[:]) // never fails
		d.SeedRoom(seed)
	}
	key, again := first.key(from), first.FragmentOffset == 0
	for p, ok := rest.Next(); ok; p, ok = rest.Next() {
		if p.key(from) == key && p.waits(from) {
			d.room.Add(now, key, p.fragment(0))
			again = again || p.FragmentOffset == 0
		}
	}
	var admitted, answered *antechamber.Hello // the hello to admit, and the one to answer
	var in, out judgement
	for _, h := range d.room.Add(now, key, first.fragment(size)) {
		if h.Answered() && !again {
			continue // one answer for a hello: only its start, sent again, says that it was lost
		}
		switch j := d.decide(now, from, h.Prefix(), h.Complete()); {
		case j.verdict == letIn && (admitted == nil || h.Len() > admitted.Len()):
			admitted, in = h, j
		case (j.verdict == askCookie || j.verdict == askConfig || j.verdict == refuseHello) && answered == nil:
			answered, out = h, j
		case j.verdict == isNoHello:
			d.stats.Malformed++
		}
	}
	if admitted != nil {
		hello = d.admit(now, &in, &Hello{From: from, Datagram: joined(admitted, key), Local: to, RecordSeq: admitted.Record()})
		admitted.Leave()
		return nil, hello, nil
	}
	switch {
	case answered == nil:
	case out.verdict == askConfig:
		if answered.Pay(MaxReply) {
			d.count(now, &out)
			return nil, nil, newQuestion(now, from, to, first, answered.Prefix())
		}
	default:
		if reply := d.appendAnswer(dst, now, from, first, &out); answered.Pay(len(reply) - len(dst)) {
			d.asked(now, &out)
			return reply, nil, nil
		}
	}
	d.stats.Held++
	return nil, nil, nil
}

// HasBegun reports whether the start of the hello that a datagram goes on with
// waits here.
func (d *Door) HasBegun(now time.Time, datagram []byte, from netip.AddrPort) bool {
	rest := FragmentsOf(datagram)
	p, ok := rest.Next()
	return ok && d.room != nil && d.room.Begun(now, p.key(from))
}

// joined writes what is here of a hello into records of one datagram, beginning
// with its start. The engine takes the rest as it comes.
func joined(h *antechamber.Hello, k antechamber.Key) []byte {
	datagram := make([]byte, 0, h.Len()+2*(record.HeaderLen+message.HeaderLen))
	for at, body := range h.Pieces() {
		datagram = record.AppendHeader(datagram, record.Header{
			Type: record.TypeHandshake, Version: message.Version12, Number: record.Number{Seq: h.Record()},
			Length: message.HeaderLen + len(body),
		})
		m := message.Header{
			Type: message.TypeClientHello, Length: k.Length, Seq: k.Seq,
			FragmentOffset: at, FragmentLength: uint32(len(body)),
		}
		datagram = append(m.Append(datagram), body...)
	}
	return datagram
}
