package dtls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/acks"
	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/reassembly"
	"github.com/flightpath-dtls/flightpath/record"
)

// An established pair of DTLS 1.3 of which a script has the keys: peers that
// acknowledge, renew keys and send messages in ways of their own, legal and not,
// between honest ones, losses and time that passes.

// postScript is the pair, and what the script has done to it.
type postScript struct {
	*sim
	script
	steps int

	fates   [2][]fate          // of the next datagrams, by sender; fates: none in particular
	losses  int                // datagrams
	ids     map[string]uint64  // of datagrams
	arrived [2]map[uint64]bool // by sender
	passed  [2][][]byte        // datagrams that came to a side
	base    [2]int             // datagrams of the handshake, by sender
	held    [2][][]byte        // authentic records to a side that wait
	sent    map[string]bool    // application data

	doomed [2]bool // got, or will get, what it must refuse
	rogue  bool    // one side was told what its peer, an honest engine, knows nothing of
}

// What a step does. The lowest bit of its byte is the side that it does it to, by
// the other one.
const (
	postTime     = iota // passes
	postWrite           // an honest engine's
	postUpdate          // UpdateKeys of an honest engine
	postFate            // of the next datagrams
	postACK             // of any numbers
	postMessage         // whole, with the next number
	postFragment        // of anything
	postRecut           // an honest message that is outstanding, cut elsewhere
	postTicket          // an honest engine's
	postReplay          // of a datagram that came to either side
	postHold            // a record of data that is sealed now
	postRelease         // and comes later
	postNoise           // of somebody without keys
	postJunk            // warnings and heartbeats
	postSteps
)

func newPostScript(t *testing.T, input []byte) *postScript {
	p := &postScript{
		script: input, ids: map[string]uint64{}, sent: map[string]bool{},
		arrived: [2]map[uint64]bool{{}, {}},
	}
	client, server := fuzzConfigs13(0)
	client.MTU, server.MTU = minMTU+4*p.next(), minMTU+4*p.next()
	server.CookieMode = CookieAuto
	p.sim = newSim(t, client, server)
	p.handshake()
	p.settle()
	p.data, p.base = [2][][]byte{}, p.sim.sent
	p.path = func(from side, _ int, d []byte) []time.Duration {
		p.ids[string(d)] = p.eng[from].nextID
		if f := p.fates[from]; len(f) > 0 {
			p.fates[from] = f[1:]
			if f[0] != fates {
				return f[0].copies()
			}
		}
		return []time.Duration{simRTT / 2}
	}
	p.onDeliver = func(to side, d []byte) []byte {
		p.arrived[to.other()][p.ids[string(d)]] = true
		p.passed[to] = append(p.passed[to], bytes.Clone(d))
		return d
	}
	return p
}

// act does what the next bytes of the script say.
func (p *postScript) act() {
	b := p.next()
	to := side(b & 1)
	from := to.other()
	p.steps++
	switch b >> 1 % postSteps {
	case postTime:
		p.pass(time.Duration(p.next()) * 10 * ms << (p.next() % 4 * 3))
	case postWrite:
		text := p.text(from)
		p.must(p.eng[from].Write(p.now, text))
		p.flush(from)
	case postUpdate:
		p.must(p.eng[from].UpdateKeys(p.now, p.next()&1 == 1))
		p.flush(from)
	case postFate:
		for range 1 + p.next()%3 {
			f := fate(p.next()) % (fates + 1)
			if f == lost {
				if p.losses++; p.losses > fewLosses {
					f = doubled
				}
			}
			p.fates[from] = append(p.fates[from], f)
		}
	case postACK:
		p.sendACK(to)
	case postMessage:
		p.sendMessage(to)
	case postFragment:
		p.sendFragment(to)
	case postRecut:
		p.recut(to)
	case postTicket:
		p.sendTicket(from)
	case postReplay:
		if list := p.passed[p.next()%2]; len(list) > 0 {
			p.tell(to, list[p.next()%len(list)])
		}
	case postHold:
		p.held[to] = append(p.held[to], p.authentic(from, record.TypeApplicationData, p.text(from)...))
	case postRelease:
		if list := p.held[to]; len(list) > 0 {
			p.tell(to, list[p.next()%len(list)])
		}
	case postNoise:
		if list := p.passed[to]; len(list) > 0 {
			forged, _ := p.mutate(p.t, list[p.next()%len(list)], list)
			for _, d := range forged {
				p.tell(to, d)
			}
		}
	case postJunk:
		if p.next()%2 == 0 {
			p.tell(to, p.authentic(from, record.TypeAlert, byte(alert.Warning), byte(alert.UserCanceled))) // any other ends it
			return
		}
		p.tell(to, p.authentic(from, record.TypeHeartbeat, p.take(p.next())...))
	}
}

// text is data that comes once.
func (p *postScript) text(from side) []byte {
	text := fmt.Appendf([]byte{'d', 'a', 't', 'a', byte(from)}, "%d", p.steps)
	p.sent[string(text)] = true
	return text
}

// pass lets time go by.
func (p *postScript) pass(d time.Duration) {
	end := p.now.Add(d)
	p.run(d, p.over)
	if p.now.Before(end) {
		p.now = end
	}
}

// tell hands an engine a datagram that must not end it.
func (p *postScript) tell(to side, datagram []byte) { p.judge(to, datagram, nil) }

// judge hands an engine a datagram: it must end with the alert of fault, at
// once, or go on.
func (p *postScript) judge(to side, datagram []byte, fault error) {
	p.t.Helper()
	// A side that was lied to may write in an epoch that its peer knows nothing of.
	heard := !p.rogue || p.hears(to)
	p.inject(to, datagram)
	if fault == nil || !heard {
		p.must(p.eng[to].Err())
		return
	}
	p.doomed[to] = true
	var want *alert.Error
	if !errors.As(fault, &want) {
		p.t.Fatalf("%v has no alert", fault)
	}
	if p.eng[to].Err() == nil {
		p.t.Fatalf("%v, want %v\n%s", p.eng[to], fault, p.history())
	}
	if a, remote := alertOf(p.t, p.eng[to]); a != want.Alert || remote {
		p.t.Fatalf("%v, want %v\n%s", p.eng[to], fault, p.history())
	}
}

// hears reports whether a side has read keys for the epoch its peer writes in.
func (p *postScript) hears(to side) bool {
	return slices.Contains(p.eng[to].keys.Readable(), p.eng[to.other()].keys.Write())
}

// must takes no error of an honest association.
func (p *postScript) must(err error) {
	p.t.Helper()
	if err != nil && !p.rogue {
		p.t.Fatalf("%v\n%s", err, p.history())
	}
}

// sendACK acknowledges what there is, what never was, and worse.
func (p *postScript) sendACK(to side) {
	e, peer := p.eng[to], p.eng[to.other()]
	var list []record.Number
	for range p.next() % 6 {
		switch write := uint64(e.keys.Write()); p.next() % 6 {
		case 0:
			list = append(list, record.Number{Epoch: write, Seq: uint64(p.number())})
		case 1:
			list = append(list, record.Number{Epoch: uint64(p.next() % 3), Seq: uint64(p.number())})
		case 2: // one of a message
			list = append(list, record.Number{Epoch: write + uint64(p.next()), Seq: uint64(p.next())<<56 | uint64(p.number())})
		default:
			if known := e.out.ledger.Records; len(known) > 0 {
				list = append(list, known[p.next()%len(known)].Number())
			}
		}
	}
	body := message.AppendACK(nil, list)
	switch p.next() % 6 {
	case 0:
		body = body[:p.next()%(len(body)+1)]
	case 1:
		body = append(body, p.take(1+p.next()%20)...)
	case 2:
		body[p.next()%len(body)] ^= byte(p.next())
	}
	acked, err := message.ParseACK(body)
	for i := range acked.Len() {
		n := acked.At(i)
		if n.Epoch > uint64(max(e.keys.Write(), peer.keys.Write())) {
			err = alert.Errorf(alert.IllegalParameter, "ACK of epoch %d", n.Epoch)
		}
	}
	if err == nil {
		for i := range acked.Len() {
			// A lie: the peer will never get what it needs to go on.
			if slices.ContainsFunc(e.out.ledger.Records, func(r acks.Record) bool {
				return r.Number() == acked.At(i) && !r.Acked && !p.arrived[to][r.ID]
			}) {
				p.rogue = true
			}
		}
	}
	p.judge(to, p.authentic(to.other(), record.TypeACK, body...), err)
}

// sendMessage sends a message that the honest half of its engine does not know
// of, and brings that up to date if it is one it could have sent.
func (p *postScript) sendMessage(to side) {
	e, peer := p.eng[to], p.eng[to.other()]
	typ := message.TypeKeyUpdate
	switch k := p.next(); k % 4 {
	case 0:
	case 1:
		typ = message.TypeNewSessionTicket
	default:
		typ = handshakeTypes[k/4%len(handshakeTypes)]
	}
	var body []byte
	switch {
	case p.next()%4 == 0:
		body = p.take(p.next() % 64)
	case typ == message.TypeNewSessionTicket:
		body = p.ticket()
	default:
		body = []byte{byte(p.next() % 3)}
	}
	fault := p.faultOf(to, typ, body)
	seq := e.post.in.Awaited()
	abreast := len(peer.out.flight.msgs) == 0 && peer.out.flight.nextSeq == seq
	datagram := p.authenticMessage(to.other(), typ, seq, body...)
	if p.rogue {
		p.inject(to, datagram) // may not be the first with this number
		return
	}
	p.rogue = !abreast
	p.judge(to, datagram, fault)
	if fault != nil || p.rogue && e.Err() != nil { // an honest message that waited may have no place behind this one
		return
	}
	if n := e.post.in.Awaited(); n == seq || !p.rogue && n != seq+1 { // one that waited may follow at once
		p.t.Fatalf("%v did not take a %v\n%s", e, typ, p.history())
	}
	if abreast {
		peer.out.flight.nextSeq++
		if typ == message.TypeKeyUpdate {
			p.nextKeys(to.other())
			peer.keys.ForgetSealBefore(peer.keys.Write())
		}
	}
}

// faultOf is what is wrong with the next message of an epoch, nil: nothing.
func (p *postScript) faultOf(to side, typ message.Type, body []byte) error {
	if p.eng[to.other()].keys.Write() != p.eng[to].post.peerEpoch {
		return alert.Errorf(alert.UnexpectedMessage, "%v behind a key_update", typ)
	}
	if typ != message.TypeKeyUpdate && (typ != message.TypeNewSessionTicket || to != clientSide) {
		return alert.Errorf(alert.UnexpectedMessage, "%v", typ)
	}
	return faultIn(typ, body)
}

// faultIn is what is wrong with the body of a message.
func faultIn(typ message.Type, body []byte) error {
	m, err := message.Parse(typ, message.TLS13, body)
	if t, ok := m.(*message.NewSessionTicket13); ok && t.Lifetime > handshake.MaxTicketLifetime {
		return alert.Errorf(alert.IllegalParameter, "lifetime %d", t.Lifetime)
	}
	return err
}

// ticket is the body of one.
func (p *postScript) ticket() []byte {
	m := &message.NewSessionTicket13{
		Lifetime: [...]uint32{3600, 0, handshake.MaxTicketLifetime, handshake.MaxTicketLifetime + 1}[p.next()%4],
		AgeAdd:   uint32(p.number()), Nonce: p.take(p.next() % 16), Ticket: bytes.Repeat([]byte{7}, 1+p.number()%700),
	}
	body, err := m.AppendBody(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

// sendFragment sends one that may lie in every way. What is kept of it may join
// with others to a message that the other half of the engine knows nothing of.
func (p *postScript) sendFragment(to side) {
	in := &p.eng[to].post.in
	h := message.Header{Type: message.Type(p.next()), Seq: in.Awaited() + uint16(p.next()) - 8}
	if k := p.next(); k%2 == 0 {
		h.Type = [...]message.Type{message.TypeKeyUpdate, message.TypeNewSessionTicket}[k/2%2]
	}
	h.Length, h.FragmentOffset = uint32(p.number()), uint32(p.number())
	body := p.take(p.next())
	switch k := p.next(); k % 4 {
	case 0: // an honest shape
		h.Length = uint32(len(body) + k)
		h.FragmentOffset %= uint32(k + 1)
	case 1:
		h.Length <<= 8
	}
	h.FragmentLength = uint32(len(body))
	payload := append(h.Append(nil), body...)
	_, _, _, fault := message.NextFragment(payload)
	if fault == nil && h.Seq-in.Awaited() < reassembly.Window && int64(h.Length) <= int64(in.Limit()) {
		p.rogue = true
	}
	p.judge(to, p.authentic(to.other(), record.TypeHandshake, payload...), fault)
}

// recut sends part of an honest message in a record of its own.
func (p *postScript) recut(to side) {
	peer := p.eng[to.other()]
	if len(peer.out.flight.msgs) == 0 {
		return
	}
	m := &peer.out.flight.msgs[p.next()%len(peer.out.flight.msgs)]
	lo := uint32(p.number() % len(m.body))
	hi := lo + 1 + uint32(p.number())%(uint32(len(m.body))-lo)
	payload := append(m.header(lo, hi).Append(nil), m.body[lo:hi]...)
	p.tell(to, p.authenticIn(to.other(), m.epoch, record.TypeHandshake, payload...))
}

// sendTicket has a server give another one, where it may.
func (p *postScript) sendTicket(from side) {
	e := p.eng[from]
	if from != serverSide || e.post.update.out {
		return
	}
	body := p.ticket()
	if faultIn(message.TypeNewSessionTicket, body) != nil {
		p.doomed[clientSide] = true
	}
	e.out.extend([]outMessage{e.newMessage(message.TypeNewSessionTicket, e.keys.Write(), body)})
	p.flush(from)
}

// bounds is what holds whatever the peer does.
func (p *postScript) bounds() {
	p.t.Helper()
	for at, e := range p.eng {
		if n := p.sim.sent[at] - p.base[at]; n > 60+16*p.steps {
			p.t.Fatalf("%d datagrams of the %v in %d steps\n%s", n, side(at), p.steps, p.history())
		}
		if e.post == nil {
			continue
		}
		if err := e.post.in.Fault(); err != nil {
			p.t.Fatalf("%v: %v\n%s", side(at), err, p.history())
		}
		if len(e.out.ledger.Records) > acks.MaxRecords || len(e.acks.Numbers) > acks.MaxNumbers || len(e.post.sessions) > maxSessions {
			p.t.Fatalf("%v keeps %d records, %d numbers, %d sessions", side(at), len(e.out.ledger.Records), len(e.acks.Numbers), len(e.post.sessions))
		}
		if e.keys.Sealer() == nil || e.keys.OpenerByBits(uint8(e.post.peerEpoch&3)) == nil {
			p.t.Fatalf("%v has no keys of epochs %d and %d\n%s", side(at), e.keys.Write(), e.post.peerEpoch, p.history())
		}
	}
}

// ends brings the script to an end: an honest association goes on for ever, one
// that was sent what is illegal is over, and any other comes to rest.
func (p *postScript) ends() {
	p.fates = [2][]fate{}
	honest := !p.rogue && p.doomed == [2]bool{}
	if honest {
		p.settle()
	}
	p.run(10*time.Minute, func() bool { return p.eng[0].Err() != nil && p.eng[1].Err() != nil })
	p.bounds()
	p.onlySent(p.sent)
	for at, e := range p.eng {
		a, _ := errors.AsType[*AlertError](e.Err())
		switch other, _ := errors.AsType[*AlertError](p.eng[side(at).other()].Err()); {
		case e.Err() == nil && (!p.doomed[at] || p.rogue) && e.NextTimeout().IsZero():
		case a != nil && !a.Remote && (p.doomed[at] || p.rogue) && a.Alert != alert.InternalError:
		case a != nil && a.Remote && other != nil && !other.Remote && a.Alert == other.Alert:
		case p.rogue && errors.Is(e.Err(), ErrHandshakeTimeout):
		default:
			p.t.Fatalf("%v; rogue %v, doomed %v, next time-out %v\n%s", e, p.rogue, p.doomed, e.NextTimeout(), p.history())
		}
	}
	if !honest {
		return
	}
	p.echo("after it all")
	p.pass(2 * keepHandshake)
	for at, e := range p.eng {
		live := len(e.keys.Readable())
		if live != 1 || len(e.out.flight.msgs) > 0 || e.post.in.Len() > 0 {
			p.t.Fatalf("%v keeps %d epochs, %s, %d messages\n%s", side(at), live, e.out.flight.names(), e.post.in.Len(), p.history())
		}
	}
	p.echo("hours later")
}

// FuzzPostHandshake13: whatever an authentic peer sends, nothing is delivered that
// was not sent, or twice; what is illegal ends the association with its alert,
// there and then, and what is legal, with a few losses, does not; nothing grows
// and nothing storms.
func FuzzPostHandshake13(f *testing.F) {
	for _, seed := range postSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 300 {
			return
		}
		p := newPostScript(t, input)
		for len(p.script) > 0 && !p.over() {
			p.act()
			p.bounds()
		}
		p.ends()
	})
}

// postSeeds do every step, most of them to both sides.
func postSeeds() (list [][]byte) {
	do := func(steps ...[]byte) {
		for to := range byte(2) {
			seed := []byte{255, 255 * to}
			for _, s := range steps {
				seed = append(seed, s[0]<<1|to^s[1])
				seed = append(seed, s[2:]...)
			}
			list = append(list, seed)
		}
	}
	const there, back = 0, 1
	wait := []byte{postTime, there, 20, 0}
	long := []byte{postTime, there, 200, 3}
	write := []byte{postWrite, there}
	lose := []byte{postFate, there, 2, byte(lost), byte(doubled), byte(delayed)}
	update, ask := []byte{postUpdate, there, 0}, []byte{postUpdate, there, 1}
	answer := []byte{postUpdate, back, 1}
	do(write, update, write, wait, answer, ask, write, long, write)
	do(lose, ask, answer, write, wait, lose, update, long)
	// ACKs: the records of a KeyUpdate, which have arrived or not; nothing; old
	// numbers; an epoch to come; of an odd length.
	do([]byte{postFate, back, 0, byte(lost)}, answer, []byte{postACK, there, 1, 3, 0, 9}, wait)
	do(answer, []byte{postTime, there, 3, 0}, []byte{postACK, there, 1, 3, 0, 9}, []byte{postACK, there, 0, 9}, wait)
	do([]byte{postACK, there, 2, 0, 0, 1, 1, 2, 0, 2, 9}, answer, []byte{postACK, there, 1, 2, 1, 0, 0, 0, 9})
	do([]byte{postACK, there, 1, 0, 0, 1, 0, 5})
	do([]byte{postACK, there, 1, 0, 0, 1, 1, 1, 7, 7})
	do([]byte{postACK, there, 1, 0, 0, 1, 2, 1, 16})
	// Messages of another implementation, in order and behind a KeyUpdate.
	do([]byte{postMessage, there, 0, 1, 1}, write, wait, []byte{postMessage, there, 0, 1, 0}, answer, wait)
	do([]byte{postMessage, there, 1, 1, 0, 1, 1, 0, 1, 44}, wait, []byte{postMessage, there, 0, 1, 1}, ask, long)
	do([]byte{postMessage, there, 0, 1, 2})
	do([]byte{postMessage, there, 1, 1, 3, 1, 1, 0, 1, 44})
	do([]byte{postMessage, there, 22, 1, 0})
	do(update, []byte{postTime, there, 3, 0}, []byte{postMessage, there, 0, 1, 0})
	// Fragments: repeated ones, crumbs of what is to come, and one that lies.
	do([]byte{postFragment, there, 0, 7, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4}, wait, write)
	do([]byte{postFragment, there, 0, 8, 2, 0, 0, 0, 0, 1, 7, 40}, []byte{postFragment, there, 0, 9, 2, 0, 0, 0, 9, 2, 7, 8, 40}, []byte{postTicket, there, 0, 1, 1, 0, 1, 44}, long)
	do([]byte{postFragment, there, 0, 200, 0, 9, 9, 0, 0, 1, 7, 2}, write, wait)
	do([]byte{postFragment, there, 24, 8, 1, 0, 1, 0, 9, 1, 7, 2})
	do([]byte{postFragment, there, 0, 8, 0, 0, 1, 0, 0, 1, 1, 2}, wait, answer)
	do(lose, []byte{postTicket, there, 0, 1, 1, 0, 2, 88}, []byte{postRecut, there, 0, 0, 100, 0, 50}, []byte{postRecut, there, 0, 0, 120, 1, 90}, []byte{postTicket, there, 2, 1, 1, 0, 0, 88}, update, wait, write)
	do([]byte{postTicket, there, 3, 1, 1, 0, 0, 88}, wait)
	// Records that come twice, late, or from strangers.
	do([]byte{postHold, there}, ask, wait, write, wait, []byte{postRelease, there, 0}, []byte{postRelease, there, 0}, long, []byte{postRelease, there, 0}, write)
	for op := range byte(mutations) {
		do(ask, wait, []byte{postNoise, there, 0, op, 3, 3, 1, 1, 3, 0, 3, 4, 3, 2}, []byte{postReplay, there, 0, op}, []byte{postReplay, there, 1, op}, []byte{postJunk, there, op, 3, 1, 2, 3})
	}
	return list
}
