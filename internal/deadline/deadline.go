// Package deadline has the two deadlines of a net.Conn.
package deadline

import (
	"sync"
	"time"
)

// Set is the set of deadlines that apply to a call.
type Set uint8

const (
	Read Set = 1 << iota
	Write
	Either = Read | Write
)

// Pair is the deadlines of one owner, whose lock guards them. Every method but New is
// called with that lock held. nil has none.
type Pair struct {
	mu      sync.Locker
	ended   func() bool // the owner has no use for them any more
	expired func(Set)   // one has passed
	of      [2]one
}

// one is a deadline.
type one struct {
	at    time.Time // zero: none
	past  bool
	timer *time.Timer
}

// New returns a Pair without deadlines. expired is called with mu held when a deadline
// passes, unless ended returns true.
func New(mu sync.Locker, ended func() bool, expired func(Set)) *Pair {
	return &Pair{mu: mu, ended: ended, expired: expired}
}

// Stop ends the timers.
func (p *Pair) Stop() {
	if p != nil {
		p.of[0].stop()
		p.of[1].stop()
	}
}

// Past reports whether one of the deadlines has passed.
func (p *Pair) Past(by Set) bool {
	return p != nil && (by&Read != 0 && p.of[0].past || by&Write != 0 && p.of[1].past)
}

// Set moves deadlines; the zero time stands for none.
func (p *Pair) Set(which Set, t time.Time) {
	for _, w := range [...]Set{Read, Write} {
		if which&w != 0 {
			p.set(w, t)
		}
	}
}

func (p *Pair) set(which Set, t time.Time) {
	d := &p.of[which>>1]
	d.stop()
	d.at, d.past = t, false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	switch {
	case left <= 0:
		p.expire(which)
	case d.timer == nil:
		d.timer = time.AfterFunc(left, func() { p.ring(which) })
	default:
		d.timer.Reset(left)
	}
}

// ring is called by the timer, perhaps of a deadline that has moved since.
func (p *Pair) ring(which Set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.of[which>>1]
	if d.at.IsZero() || d.past || p.ended() {
		return
	}
	if left := time.Until(d.at); left > 0 {
		d.timer.Reset(left)
		return
	}
	p.expire(which)
}

func (p *Pair) expire(which Set) {
	p.of[which>>1].past = true
	p.expired(which)
}

func (d *one) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
