package main

import (
	"github.com/flightpath-dtls/flightpath/internal/interval"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// ledger knows which bytes of which messages one side has sent.
type ledger struct {
	messages map[partKey]*account
	repeated int // bytes of handshake messages sent more than once
}

type account struct {
	total  uint32
	bytes  interval.Set // that were sent at least once
	cuts   map[uint32]bool
	starts int // times the first byte was sent
}

// add enters a datagram. It reports whether some of it was sent before.
func (l *ledger) add(parts []part) (again bool) {
	for _, p := range parts {
		if p.key == (partKey{}) {
			continue
		}
		if l.messages == nil {
			l.messages = make(map[partKey]*account)
		}
		a := l.messages[p.key]
		if a == nil {
			a = &account{total: p.total, cuts: make(map[uint32]bool)}
			l.messages[p.key] = a
		}
		twice := p.hi - p.lo - a.bytes.Add(p.lo, p.hi)
		l.repeated += int(twice)
		again = again || twice > 0 || p.lo == p.hi && a.starts > 0
		a.cuts[p.lo] = true
		if p.lo == 0 {
			a.starts++
		}
	}
	return again
}

// fragments is the number of pieces a message was cut into.
func (l *ledger) fragments(t message.Type) (n int) {
	for key, a := range l.messages {
		if key.content == record.TypeHandshake && key.typ == t {
			n += len(a.cuts)
		}
	}
	return n
}

// retransmissions counts the flights that were sent again. RFC 6347, Section
// 4.2.4: that happens when a timer expires, or when the peer repeats its flight.
// The first message of a flight stands for it; the answer of a server without
// state to each hello, hello_verify_request, is no retransmission.
func (l *ledger) retransmissions(from side) (n int) {
	again := func(key partKey) {
		if a := l.messages[key]; a != nil {
			n += max(0, a.starts-1)
		}
	}
	var second []partKey // candidates for the first message of the client's second flight
	for key := range l.messages {
		switch {
		case key.content == record.TypeChangeCipherSpec && from == server:
			again(key)
		case key.content != record.TypeHandshake:
		case key.typ == message.TypeClientHello, key.typ == message.TypeServerHello:
			again(key)
		case from == client:
			second = append(second, key)
		}
	}
	if len(second) > 0 {
		first := second[0]
		for _, key := range second {
			if key.seq < first.seq {
				first = key
			}
		}
		again(first)
	}
	return n
}
