package timing

import "time"

// A transmission goes out in bursts with pauses between them, so that a large flight
// does not overflow a queue on the path (RFC 9147, Section 5.8.3):
//
//	transmission                         burst           pauses
//	the first of a flight                10 records      1 ms
//	the first at a smaller size          5 datagrams     10 ms
//	a repetition                         5, then 2 each  16, 16, then 32 ms
//
// A repetition follows a loss, which a queue or a policer may have made. What goes on
// behind a refusal of the transport is paced as before. Burst of the policy takes the
// place of 10, and bounds the others. Any datagram of the peer ends a pause of the first
// transmission.
const DefaultBurst = 10

// row is a row of that table.
type row struct {
	bursts []uint8
	pauses []time.Duration
}

var paces = [...]row{
	PaceFirst:  {nil, []time.Duration{time.Millisecond}},
	PaceStep:   {[]uint8{5}, []time.Duration{10 * time.Millisecond}},
	PaceRepeat: {[]uint8{5, 2}, []time.Duration{16 * time.Millisecond, 16 * time.Millisecond, 32 * time.Millisecond}},
}

type Pace uint8

const (
	PaceFirst Pace = iota
	PaceStep
	PaceRepeat
)

// Pacer splits a transmission into bursts.
type Pacer struct {
	Next  time.Time // when the pause ends, zero: there is none
	Limit int32     // RetransmitPolicy.Burst
	burst int32     // records or datagrams since the last pause
	kind  Pace
	round uint8 // bursts before this one
}

// Begin begins a transmission.
func (p *Pacer) Begin(kind Pace) {
	p.kind, p.round = kind, 0
	p.Restart()
}

// Restart begins a burst.
func (p *Pacer) Restart() { p.Next, p.burst = time.Time{}, 0 }

// Arrival takes a datagram of the peer.
func (p *Pacer) Arrival() {
	if p.kind == PaceFirst {
		p.Restart()
	}
}

// Stop ends the pause: nothing is left to send.
func (p *Pacer) Stop() { p.Next = time.Time{} }

// Left is how many more records the burst takes.
func (p *Pacer) Left() int {
	if p.kind == PaceFirst {
		return int(p.Limit - p.burst)
	}
	return DefaultBurst
}

// DatagramSent counts a datagram with a number of records.
func (p *Pacer) DatagramSent(records int) {
	if p.kind == PaceFirst {
		p.burst += int32(records)
	} else {
		p.burst++
	}
}

// Withdraw takes back a datagram that was not sent.
func (p *Pacer) Withdraw() { p.burst = max(0, p.burst-1) }

// Pause begins a pause if the burst is complete.
func (p *Pacer) Pause(now time.Time) {
	r, limit := paces[p.kind], p.Limit
	if n := len(r.bursts); n > 0 {
		limit = min(limit, int32(r.bursts[min(int(p.round), n-1)]))
	}
	if p.burst >= limit {
		p.Next = now.Add(r.pauses[min(int(p.round), len(r.pauses)-1)])
		p.round = min(p.round+1, 100)
	}
}

// Pauses reports whether a pause is due before the next datagram.
func (p *Pacer) Pauses(now time.Time) bool {
	p.HandleTimeout(now)
	if p.Next.IsZero() {
		p.Pause(now)
	}
	return !p.Next.IsZero()
}

// HandleTimeout ends a pause that is over.
func (p *Pacer) HandleTimeout(now time.Time) {
	if !p.Next.IsZero() && !now.Before(p.Next) {
		p.Restart()
	}
}
