// Package alarms gives each of many owners an alarm, and needs one runtime timer
// for all of them: none while no alarm is set.
//
// The order of the alarms is that of package timerheap. This package adds what
// timerheap leaves out: the lock, the clock and the timer.
package alarms

import (
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timerheap"
)

// Alarm is the alarm of one owner. It belongs to one Group, must not be copied, and
// is not set when it is made.
type Alarm[T any] struct {
	entry timerheap.Entry[T]
}

// Of returns the alarm of an owner.
func Of[T any](owner T) Alarm[T] { return Alarm[T]{timerheap.Entry[T]{Value: owner}} }

// Group is a set of alarms. It is safe for concurrent use.
type Group[T any] struct {
	mu    sync.Mutex
	ring  func(owner T, now time.Time) // nil before Init and after Stop
	heap  timerheap.Heap[T]
	timer *time.Timer // made by the first alarm
}

// Init lets alarms be set. ring is called for the owner of an alarm that is due, once
// for each time that the alarm is set, without locks held, in a goroutine of the Group.
func (g *Group[T]) Init(ring func(owner T, now time.Time)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ring = ring
}

// Set moves an alarm; the zero time turns it off. The owner's locks may be held.
func (g *Group[T]) Set(a *Alarm[T], at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ring == nil || at.Equal(a.entry.At()) {
		return
	}
	before := g.heap.Next()
	g.heap.Set(&a.entry, at)
	if !g.heap.Next().Equal(before) {
		g.arm()
	}
}

// At is when an alarm of the Group is due, the zero time if it is off.
func (g *Group[T]) At(a *Alarm[T]) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return a.entry.At()
}

// Len is the number of alarms that are set.
func (g *Group[T]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heap.Len()
}

// Next is when the first alarm is due, the zero time if none is set.
func (g *Group[T]) Next() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.heap.Next()
}

// Stop turns all alarms off for good.
func (g *Group[T]) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ring = nil
	if g.timer != nil {
		g.timer.Stop()
	}
}

// arm sets the timer to the first alarm, with mu held.
func (g *Group[T]) arm() {
	next := g.heap.Next()
	switch {
	case next.IsZero():
		if g.timer != nil {
			g.timer.Stop()
		}
	case g.timer == nil:
		g.timer = time.AfterFunc(time.Until(next), g.expire)
	default:
		g.timer.Reset(time.Until(next))
	}
}

// expire rings all alarms that are due, then sets the timer again. If an owner ends the
// goroutine, another one goes on.
func (g *Group[T]) expire() {
	done := false
	defer func() {
		if !done {
			go g.expire()
		}
	}()
	for {
		now := time.Now()
		due, ring := g.popDue(now)
		if done = due == nil; done {
			return
		}
		ring(due.Value, now)
	}
}

// popDue takes out one alarm that is due. If there is none, it sets the timer.
func (g *Group[T]) popDue(now time.Time) (due *timerheap.Entry[T], ring func(T, time.Time)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ring == nil {
		return nil, nil
	}
	if due = g.heap.PopDue(now); due == nil {
		g.arm()
	}
	return due, g.ring
}
