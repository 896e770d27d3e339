package dtls

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// halfOpen is a server behind the second hello of a client that sends nothing more.
func halfOpen(t *testing.T, client *Config, server *params, door *Door, from netip.AddrPort) (e *Engine) {
	c, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	for tx, ok := c.PollTransmit(simStart, nil); ok; tx, ok = c.PollTransmit(simStart, nil) {
		if e == nil {
			reply, hello := door.Handle(simStart, tx.Data, from, netip.AddrPort{}, nil)
			if reply != nil {
				_ = c.HandleDatagram(simStart, reply, netip.AddrPort{})
			}
			if hello == nil {
				continue
			}
			if e, err = newServerEngine(server, hello, nil, PeerInfo{Addr: from}, simStart); err != nil {
				t.Fatal(err)
			}
			tx.Data = hello.Datagram
		}
		_ = e.HandleDatagram(simStart, tx.Data, from)
	}
	if e == nil || !e.speaks13() || e.keys.Write() != epochData {
		t.Fatalf("%v, %v", c, e)
	}
	return e
}

// runAlone has an engine send and time out until then; its datagrams are dropped.
func (e *Engine) runAlone(until time.Time, buf []byte) {
	for now := e.now; !now.After(until) && e.Err() == nil; now = e.NextTimeout() {
		_ = e.HandleTimeout(now)
		for _, ok := e.PollTransmit(now, buf); ok; _, ok = e.PollTransmit(now, buf) {
		}
		for _, ok := e.PollEvent(); ok; _, ok = e.PollEvent() {
		}
	}
}

// TestHalfOpenMemory: a client of DTLS 1.3 that proves its address and sends nothing more
// costs the engine of a server 14 KiB at most, from its first flight to the last repetition
// of it. The front has 2 KiB more.
func TestHalfOpenMemory(t *testing.T) {
	const clients, limit = 100, 14 << 10
	client, server := simConfigs13(dtlstest.P256, 0)
	p, err := resolve(server, false)
	if err != nil {
		t.Fatal(err)
	}
	door, err := NewDoor(server, simStart)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]*Engine, clients)
	each := heapOf(clients, func(i int) {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 4433)
		list[i] = halfOpen(t, client, p, door, from)
	})
	buf := make([]byte, 0, 2048)
	for _, after := range []time.Duration{0, time.Second, 10 * time.Second, 45 * time.Second} {
		each += heapOf(clients, func(i int) { list[i].runAlone(simStart.Add(after), buf) })
		t.Logf("%.0f bytes after %v", each, after)
		if e := list[0]; each > limit || e.Err() != nil {
			t.Errorf("%.0f bytes after %v, %v", each, after, e)
		}
	}
	runtime.KeepAlive(list)
}
