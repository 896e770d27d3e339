package dtls

// sendFlight begins with the flight that was prepared. The peer's flight is
// complete, which acknowledges our flight before it.
func (hs *driver) sendFlight(last bool) {
	e := hs.e
	e.flightAnswered(true)
	e.out.load(hs.flight, last)
	if e.path.follow(e.out.flight.hello() != nil, e.now) {
		e.pathChanged()
	}
	hs.flight = nil
	e.acks.clear() // RFC 9147, Section 7.1: this flight acknowledges the peer's
}

// transportSaid notes an error that may explain why nothing comes.
func (e *Engine) transportSaid(err error) {
	if e.handshaking() {
		e.hs.transport = err
	}
}
