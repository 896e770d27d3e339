package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Limits of what one hello may cost. A datagram in and one out cost most of it,
// in the kernel; so the processor's time is held against that of a process that
// answers every datagram and does nothing else.
const (
	helloCPU     = 5.0 // microseconds more than that
	helloMallocs = 0.01
	helloHeap    = 1 << 20 // bytes, for all hellos together
)

// hellos sends a million of them, from 65 000 pairs of address and port. What
// the server's socket loses does not count: it goes on until the server has
// answered all.
func hellos(ctx context.Context, scale float64) ([]figure, error) {
	template, err := newHelloTemplate()
	if err != nil {
		return nil, err
	}
	server, err := startVictim(ctx, serveRole)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	bare, err := startVictim(ctx, bareRole)
	if err != nil {
		return nil, err
	}
	defer bare.Stop()

	var c crowd
	for _, v := range []*victim{server, bare} { // the first ones warm it up
		if err := flush(ctx, &c, v, template, 1000); err != nil {
			return nil, err
		}
	}
	before, err := server.ask(askHeap)
	if err != nil {
		return nil, err
	}
	first, err := bare.ask(askHeap)
	if err != nil {
		return nil, err
	}
	// By turns, so that both see the same machine.
	const turns = 10
	n := int(1e6 * scale / turns)
	for range turns {
		if err := flush(ctx, &c, server, template, n); err != nil {
			return nil, err
		}
		if err := flush(ctx, &c, bare, template, n/5); err != nil {
			return nil, err
		}
	}
	after, err := server.ask(askStats)
	if err != nil {
		return nil, err
	}
	last, err := bare.ask(askStats)
	if err != nil {
		return nil, err
	}
	collected, err := server.ask(askHeap)
	if err != nil {
		return nil, err
	}
	refused, err := refuse(ctx, &c, server, template, scaled(10000, scale))
	if err != nil {
		return nil, err
	}
	if l := after.Listener; l.HandshakesOpen > 0 || l.HandshakesDone > 0 {
		return nil, fmt.Errorf("strangers got in: %+v", l)
	}
	answered := after.Listener.CookiesSent - before.Listener.CookiesSent
	user, system := each(before, after)
	bareUser, bareSystem := each(first, last)
	return []figure{
		told("hellos answered", "%d", answered),
		atMost("goroutines more", "%d", after.Goroutines-before.Goroutines, 0),
		atMost("heap more, bytes", "%d", collected.Heap-before.Heap, helloHeap),
		atMost("allocations each", "%.3f", float64(after.Mallocs-before.Mallocs)/float64(answered), helloMallocs).inFull(),
		told("processor time each, program + kernel", "%.1f + %.1f µs", user, system),
		told("of a process that answers and does nothing else", "%.1f + %.1f µs", bareUser, bareSystem),
		atMost("processor time each, more than that, µs", "%.1f", user+system-bareUser-bareSystem, helloCPU).inFull(),
		atMost("bytes out for each byte in", "%.2f", float64(after.Listener.BytesOut-before.Listener.BytesOut)/
			float64(after.Listener.BytesIn-before.Listener.BytesIn), 3),
		refused,
	}, nil
}

// each is the processor time for each hello between two looks at a server, in
// microseconds.
func each(before, after stats) (user, system float64) {
	per := 1000 * float64(after.Listener.CookiesSent-before.Listener.CookiesSent)
	return float64(after.User-before.User) / per, float64(after.System-before.System) / per
}

// refuse sends n hellos from strangers who are gone when the answer comes, so
// that ICMP refuses it. That has no limit; what it costs is the kernel's way to
// tell.
func refuse(ctx context.Context, c *crowd, v *victim, template *helloTemplate, n int) (figure, error) {
	const burst = 50
	before, err := v.ask(askStats)
	if err != nil {
		return figure{}, err
	}
	for i := range n {
		s, err := c.socket()
		if err != nil {
			return figure{}, err
		}
		_, err = s.WriteToUDPAddrPort(template.another(), v.addr)
		if err = errors.Join(err, s.Close(), ctx.Err()); err != nil {
			return figure{}, err
		}
		if i%burst == burst-1 {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(100 * time.Millisecond)
	after, err := v.ask(askStats)
	if err != nil {
		return figure{}, err
	}
	user, system := each(before, after)
	return told("of answers that ICMP refuses, allocations and time each", "%.2f, %.1f + %.1f µs",
		float64(after.Mallocs-before.Mallocs)/float64(n), user, system), nil
}

// Sockets of a batch, and what each of them sends.
const (
	batchSockets = 100
	batchRounds  = 16
)

// flush sends hellos until the server has answered n more.
func flush(ctx context.Context, c *crowd, v *victim, template *helloTemplate, n int) error {
	first, err := v.ask(askStats)
	if err != nil {
		return err
	}
	goal := first.Listener.CookiesSent + uint64(n)
	for missing := n; missing > 0 && ctx.Err() == nil; {
		for range (missing + batchSockets*batchRounds - 1) / (batchSockets * batchRounds) {
			if err := batch(ctx, c, v, template); err != nil {
				return err
			}
		}
		now, err := v.ask(askStats)
		if err != nil {
			return err
		}
		missing = int(goal - min(goal, now.Listener.CookiesSent))
	}
	return ctx.Err()
}

func batch(ctx context.Context, c *crowd, v *victim, template *helloTemplate) error {
	sockets, err := c.sockets(batchSockets)
	if err != nil {
		return err
	}
	defer closeAll(sockets)
	for range batchRounds {
		if err := round(sockets, v, template); err != nil {
			return err
		}
	}
	time.Sleep(time.Millisecond) // nobody is gone before the answer comes
	return ctx.Err()
}

// round sends a hello from every socket and waits for the last one's answer, so
// that the server's socket hardly loses any.
func round(sockets []*net.UDPConn, v *victim, template *helloTemplate) error {
	for _, s := range sockets {
		if _, err := s.WriteToUDPAddrPort(template.another(), v.addr); err != nil {
			return err
		}
	}
	last := sockets[len(sockets)-1]
	if err := last.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		return err
	}
	var answer [256]byte
	if _, _, err := last.ReadFromUDPAddrPort(answer[:]); err != nil && !os.IsTimeout(err) {
		return err
	}
	return nil
}
