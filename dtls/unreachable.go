package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timeout"
)

// PortUnreachable takes an ICMP message "port unreachable" about the peer: quoted is the beginning of the datagram that it is about, err the error of the transport, such as
// syscall.ECONNREFUSED; either may be nil. A client that has received nothing ends, with an
// error that matches err, when two messages have quoted different transmissions of its
// ClientHello. A quote has to have 35 bytes, 8 of them of the random, which an attacker off
// the path cannot guess. The first one has the ClientHello repeated 250 ms after it was sent. So has,
// once, a message with a shorter quote. What else is quoted is forged or old. The error of
// a time-out matches err whatever was quoted. With Config.IgnoreUnreachable nothing happens.
func (e *Engine) PortUnreachable(now time.Time, quoted []byte, err error) {
	if !e.handshaking() || e.hs.hellos == nil {
		return
	}
	e.tick(now)
	e.transportSaid(err)
	sentAt := e.out.timer.SentAt
	if e.out.flight.state != flightWaiting {
		sentAt = e.now // the rest of the transmission follows
	}
	if e.hs.hellos.Closed(quoted, sentAt) {
		e.end(&timeout.Unreachable{Sent: e.out.flight.names(), Tries: e.out.sent.number, Elapsed: e.now.Sub(e.hs.began), Transport: err})
	}
}
