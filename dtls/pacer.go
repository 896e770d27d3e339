package dtls

import "time"

// paceInterval separates bursts of a large flight.
const paceInterval = time.Millisecond

// defaultBurst: RFC 9147, Section 5.8.3 has 10 records in a transmission.
const defaultBurst = 10

// pacer splits a transmission into bursts with pauses between them, so that a large
// flight does not overflow a queue on the path (RFC 9147, Section 5.8.3). Any
// datagram of the peer ends a pause.
type pacer struct {
	limit int       // datagrams in a burst, RetransmitPolicy.Burst
	burst int       // datagrams since the last pause
	next  time.Time // when the pause ends, zero: there is none
}

// restart begins a burst.
func (p *pacer) restart() { p.next, p.burst = time.Time{}, 0 }

// stop ends the pause: nothing is left to send.
func (p *pacer) stop() { p.next = time.Time{} }

func (p *pacer) datagramSent() { p.burst++ }

// withdraw takes back a datagram that was not sent.
func (p *pacer) withdraw() { p.burst = max(0, p.burst-1) }

// pause begins a pause if the burst is complete.
func (p *pacer) pause(now time.Time) {
	if p.burst >= p.limit {
		p.next = now.Add(paceInterval)
	}
}

// pauses reports whether a pause is due before the next datagram.
func (p *pacer) pauses(now time.Time) bool {
	p.handleTimeout(now)
	if p.next.IsZero() {
		p.pause(now)
	}
	return !p.next.IsZero()
}

// handleTimeout ends a pause that is over.
func (p *pacer) handleTimeout(now time.Time) {
	if !p.next.IsZero() && !now.Before(p.next) {
		p.restart()
	}
}
