//go:build linux

package browser

import (
	"log/slog"
	"net"
	"sync"
)

// wire is an ICE connection that remembers what has passed, and loses datagrams
// that a test names.
type wire struct {
	net.Conn
	log  *slog.Logger
	lose func(d direction, i int) bool // datagram i of a direction, from 0; nil: none

	mu    sync.Mutex
	count [2]int
	seen  sight
}

type direction int

const (
	received direction = iota
	sent
)

func (d direction) String() string { return [...]string{"received", "sent"}[d] }

// sight is what a wire has seen, lost datagrams too.
type sight struct {
	hello      hello   // the first one
	lost       int     // datagrams
	keyUpdates [2]bool // a record of epoch 4, so the sender's keys are not those of its handshake
}

// maxLogged is how many datagrams of a direction are told of: a handshake.
const maxLogged = 50

func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || w.passes(received, p[:n]) {
			return n, err
		}
	}
}

func (w *wire) Write(p []byte) (int, error) {
	if !w.passes(sent, p) {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func (w *wire) passes(d direction, datagram []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.count[d]
	w.count[d]++
	lost := w.lose != nil && w.lose(d, i)
	if lost {
		w.seen.lost++
	}
	if i < maxLogged {
		w.log.Debug("datagram "+d.String(), "size", len(datagram), "records", describe(datagram), "lost", lost)
	}
	w.seen.hello.see(datagram)
	if ofEpoch4(datagram) {
		w.seen.keyUpdates[d] = true
	}
	return !lost
}

func (w *wire) sight() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
