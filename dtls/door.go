package dtls

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// Door performs the cookie exchange of a server, without I/O. The first hello of a
// client is answered with a cookie. Only the hello that brings the cookie back, and
// so proves that its sender receives at its address, is admitted (RFC 6347, Section
// 4.2.1; RFC 9147, Section 5.1), unless Config.CookieMode says otherwise. For a hello
// without a cookie nothing is allocated and no public-key operation is done. Such a
// hello gets one answer at most, and its address never more than three times the
// bytes that came from it.
//
// A Door keeps nothing of a hello, except for the fragments of hellos that came in
// several datagrams: those are held for a second, in a fixed pool of at most 1024
// hellos of 4 KiB. Its memory is allocated when it is first used.
//
// It is not safe for concurrent use.
type Door struct {
	p *params
	d *door.Door
}

// DoorStats counts what a Door has done.
type DoorStats struct {
	Asked   uint64 // cookies sent
	Proven  uint64 // hellos let in
	Refused uint64 // cookies that were wrong or too old: DTLS 1.2 asks anew, 1.3 answers with an alert
	Held    uint64 // datagrams with a part of a hello that waits for the rest
	Dropped uint64 // datagrams that do not begin with a hello

	Rejected  uint64 // hellos answered with an alert: of no version spoken here, or illegal
	Malformed uint64 // hellos that could not be parsed, which are not answered
}

// ProvenHello is a ClientHello that a Door admitted. Hand it to NewServerEngine, and
// then Datagram to HandleDatagram of the engine.
type ProvenHello struct {
	From netip.AddrPort
	// Datagram has all that was received of the hello, and belongs to the caller: a
	// copy of the one datagram that it came in, or the fragments of several in records
	// of one.
	Datagram []byte

	proof door.Hello
}

// NewDoor returns a door with a cookie secret of its own, or Config.CookieKeys.
func NewDoor(config *Config, now time.Time) (*Door, error) {
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return newDoor(p, now)
}

func newDoor(p *params, now time.Time) (*Door, error) {
	mode := map[CookieMode]door.Mode{CookieUnderLoad: door.UnderLoad, CookieNever: door.Never, AddressProven: door.AddressProven}[p.cookieMode]
	d, err := door.New(door.Config{Config: &p.Config, Mode: mode, CookieKeys: p.cookieKeys, MaxHandshakes: p.maxHandshakes}, now)
	if err != nil {
		return nil, err
	}
	return &Door{p, d}, nil
}

// Stats returns the counters.
func (d *Door) Stats() DoorStats { return DoorStats(d.d.Stats()) }

// SetLoad sets the number of handshakes under way, for CookieUnderLoad: over a quarter
// of Config.MaxHandshakes, cookies are asked for.
func (d *Door) SetLoad(handshakes int) { d.d.SetLoad(handshakes) }

// Route returns the engine that a datagram is for; nil: it goes to Handle. engines are
// those of the address from, which NewServerEngine has made of hellos that this Door
// admitted, the older one first: none, one, or two while a client that has lost its
// state begins anew (RFC 6347, Section 4.2.8; RFC 9147, Section 5.11). The owner keeps them so:
//
//   - An engine whose hello was just admitted is added behind one that is Established.
//     It takes the place of any other: that handshake has ended for its client.
//   - When it is Established too, at EventEstablished, the older one is dropped. Its
//     client has lost the keys: there is nothing to send.
//   - An engine whose Err is not nil is taken out.
//
// So an association lives on until its successor is authenticated. Where no cookie is asked for (CookieNever, CookieUnderLoad), another hello
// is dropped for 10 s by the handshake of the one before.
func (d *Door) Route(now time.Time, datagram []byte, from netip.AddrPort, engines []*Engine) *Engine {
	if len(engines) == 0 {
		return nil
	}
	older, newest := engines[:len(engines)-1], engines[len(engines)-1]
	if _, hello := door.Header(datagram); !hello {
		for _, e := range older {
			if !door.IsPlaintext(datagram) && e.recognizes(bytes.Clone(datagram)) {
				return e
			}
		}
		return newest
	}
	mark := door.MarkWithin(datagram)
	for _, e := range engines {
		if mark != 0 && mark == e.hello {
			return e // a repetition
		}
	}
	unproven := d.p.cookieMode == CookieNever || d.p.cookieMode == CookieUnderLoad
	rest := mark == 0 && !d.d.HasBegun(now, datagram, from) // of the hello that was admitted by its start
	if newest.handshaking() && (rest || unproven && now.Sub(newest.hs.began) < restartPause) {
		return newest
	}
	return nil
}

// Handle takes a datagram that belongs to no association, see Route: from is its source
// address, to its destination, if known. A reply, to be sent back, is appended to
// dst; hello is not nil if it is admitted. If there is neither, the datagram was
// dropped, or has a part of a hello that waits for the rest.
//
// Config.GetConfigForClient is called for a first hello that offers DTLS 1.3, whose
// address is not proven, before Handle returns. A Listener calls it on other
// goroutines than that which reads its socket.
func (d *Door) Handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) (reply []byte, hello *ProvenHello) {
	reply, hello, q := d.handle(now, datagram, from, to, dst)
	if q != nil {
		c, err := q.Call(&d.p.Config, handshake.HelloSource{Local: to, Remote: from})
		reply = d.answer(dst, now, q, c, err)
	}
	return reply, hello
}

// answer appends what answers q out of the Config that was chosen for it.
func (d *Door) answer(dst []byte, now time.Time, q *door.Question, c *handshake.Config, err error) []byte {
	reply, refused := d.d.AppendChosen(dst, now, q, c, err)
	d.d.Answered(refused)
	return reply
}

// handle is Handle without GetConfigForClient: q is a hello that it has to be called for.
func (d *Door) handle(now time.Time, datagram []byte, from, to netip.AddrPort, dst []byte) ([]byte, *ProvenHello, *door.Question) {
	reply, h, q := d.d.Handle(now, datagram, from, to, dst)
	if h == nil {
		return reply, nil, q
	}
	return reply, &ProvenHello{h.From, h.Datagram, *h}, q
}
