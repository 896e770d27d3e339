package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// event is one datagram that was sent, or that was refused before it could be.
type event struct {
	at       time.Duration // since the start
	from     side
	datagram []byte
	parts    []part
	fate     fate
	asked    int  // times the same datagram was handed to the gate
	again    bool // holds bytes that were sent before
}

// entry is a part of the timeline that is printed as one: the datagrams of one
// transmission of a flight, a refused datagram, or a word of a caller.
type entry struct {
	at     time.Duration
	who    side
	said   string
	group  []event
	closed bool // nothing will be added
}

// timeline records what happens and prints it, entry by entry.
type timeline struct {
	start time.Time

	keys    unsealer
	mu      sync.Mutex
	out     printer
	events  []event
	sent    [2]ledger // by side
	entries []*entry  // not printed yet, in order
	open    [2]*entry // by side; nil: none
}

func newTimeline(out io.Writer, verbose bool) *timeline {
	return &timeline{start: time.Now(), out: printer{out: out, verbose: verbose, palette: newPalette(out)}}
}

// crossing records a datagram and what became of it.
func (t *timeline) crossing(from side, datagram []byte, f fate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := event{at: time.Since(t.start), from: from, datagram: datagram, parts: t.keys.decode(from, datagram), fate: f, asked: 1}
	if f != refused {
		e.again = t.sent[from].add(e.parts)
	}
	t.closeOlderThan(e.at - pause)
	if own := t.open[from]; own != nil {
		last := &own.group[len(own.group)-1]
		if f == refused && last.fate == refused && bytes.Equal(last.datagram, datagram) {
			// The library asks once more: a first EMSGSIZE may be the echo of
			// an earlier datagram.
			last.asked++
			return
		}
		if !t.out.verbose && f != refused && last.fate != refused && follows(*last, e) {
			e.again = e.again || last.again && isProtected(e)
			own.group = append(own.group, e)
			t.events = append(t.events, e)
			return
		}
		own.closed = true
	}
	t.events = append(t.events, e)
	t.open[from] = &entry{at: e.at, who: from, group: []event{e}}
	t.entries = append(t.entries, t.open[from])
	t.print()
}

// say records a word of one side's caller.
func (t *timeline) say(who side, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Since(t.start)
	t.closeOlderThan(at)
	t.entries = append(t.entries, &entry{at: at, who: who, said: fmt.Sprintf(format, args...), closed: true})
	t.print()
}

// pause ends an entry: what comes later was sent for another reason. Timers are
// four times as long.
const pause = 50 * time.Millisecond

func (t *timeline) closeOlderThan(at time.Duration) {
	for s, own := range t.open {
		if own != nil && own.group[len(own.group)-1].at <= at {
			own.closed = true
			t.open[s] = nil
		}
	}
}

// print prints what is closed, as far as the order allows.
func (t *timeline) print() {
	for len(t.entries) > 0 && t.entries[0].closed {
		t.out.entry(t.entries[0])
		t.entries = t.entries[1:]
	}
}

// recorded ends the timeline and returns all of it.
func (t *timeline) recorded() []event {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closeOlderThan(time.Since(t.start))
	t.print()
	return append([]event(nil), t.events...)
}
