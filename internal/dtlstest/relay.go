package dtlstest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Direction names the two ways through a relay.
type Direction uint8

const (
	ToServer Direction = iota // from a client to the relay's target
	ToClient                  // from the target back
)

func (d Direction) String() string {
	if d == ToServer {
		return "to server"
	}
	return "to client"
}

// RelayConfig describes the network a relay plays. The zero value is a perfect
// one.
type RelayConfig struct {
	Seed     uint64 // of all random decisions; each direction draws from its own stream
	ToServer Path
	ToClient Path

	// Tap, when not nil, sees every datagram that comes in, with its verdict.
	// It owns the bytes. Calls for one direction come in order of arrival and
	// never overlap; the two directions run side by side.
	Tap func(d Direction, datagram []byte, v Verdict)
}

// Relay forwards datagrams between any number of clients and one target. The
// target sees each client at an address of its own.
type Relay struct {
	target *net.UDPAddr
	front  *net.UDPConn
	tap    func(Direction, []byte, Verdict)
	wires  [2]*wire // by Direction

	mu       sync.Mutex
	upstream map[netip.AddrPort]*net.UDPConn // by client; nil once the relay is closed

	goroutines sync.WaitGroup
}

// NewRelay listens on a free port of 127.0.0.1 and forwards to target, a
// host:port. The target need not be there yet.
func NewRelay(target string, cfg RelayConfig) (*Relay, error) {
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &Relay{
		target:   to,
		front:    front,
		tap:      cfg.Tap,
		upstream: make(map[netip.AddrPort]*net.UDPConn),
	}
	r.wires[ToServer] = newWire(newLane(cfg.ToServer, cfg.Seed, ToServer))
	r.wires[ToClient] = newWire(newLane(cfg.ToClient, cfg.Seed, ToClient))
	for _, w := range r.wires {
		r.goroutines.Go(w.run)
	}
	r.goroutines.Go(r.readFront)
	return r, nil
}

// Addr is where clients send to.
func (r *Relay) Addr() *net.UDPAddr { return r.front.LocalAddr().(*net.UDPAddr) }

// Stats returns the counters of one direction.
func (r *Relay) Stats(d Direction) PathStats {
	w := r.wires[d]
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lane.stats
}

// SetPath changes what one direction does to datagrams from now on: a path
// that shrinks under an association, a line that goes dead and comes back.
func (r *Relay) SetPath(d Direction, p Path) {
	w := r.wires[d]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane.path = p
}

// Close stops forwarding. Datagrams still held or delayed are gone. When Close
// returns, every goroutine of the relay has ended.
func (r *Relay) Close() error {
	err := r.front.Close()
	r.mu.Lock()
	for _, c := range r.upstream {
		c.Close()
	}
	r.upstream = nil
	r.mu.Unlock()
	for _, w := range r.wires {
		w.close()
	}
	r.goroutines.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// maxDatagram is the largest UDP payload there is.
const maxDatagram = 1<<16 - 1

func (r *Relay) readFront() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error about a client that is gone
		}
		up := r.upstreamOf(from)
		if up == nil {
			continue
		}
		r.forward(ToServer, buf[:n], func(p []byte) { up.Write(p) })
	}
}

// upstreamOf returns the socket that stands for a client, nil when the relay
// is closed or out of sockets.
func (r *Relay) upstreamOf(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upstream == nil {
		return nil
	}
	if up, ok := r.upstream[client]; ok {
		return up
	}
	up, err := net.DialUDP("udp", nil, r.target)
	if err != nil {
		return nil
	}
	r.upstream[client] = up
	r.goroutines.Go(func() { r.readUpstream(up, client) })
	return up
}

func (r *Relay) readUpstream(up *net.UDPConn, client netip.AddrPort) {
	buf := make([]byte, maxDatagram)
	for {
		n, err := up.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // connection refused: the target is not there yet
		}
		r.forward(ToClient, buf[:n], func(p []byte) { r.front.WriteToUDPAddrPort(p, client) })
	}
}

func (r *Relay) forward(d Direction, datagram []byte, send func([]byte)) {
	data := append([]byte(nil), datagram...)
	r.wires[d].push(parcel{data, send}, func(v Verdict) {
		if r.tap != nil {
			r.tap(d, append([]byte(nil), datagram...), v)
		}
	})
}

// wire is a lane with a clock: one goroutine that sends what is ready.
type wire struct {
	kick chan struct{} // something was pushed
	done chan struct{}

	tapped sync.Mutex // held from decision to tap: taps come in order
	mu     sync.Mutex
	lane   *lane
}

func newWire(l *lane) *wire {
	return &wire{kick: make(chan struct{}, 1), done: make(chan struct{}), lane: l}
}

func (w *wire) push(p parcel, tap func(Verdict)) {
	w.tapped.Lock()
	defer w.tapped.Unlock()
	w.mu.Lock()
	v := w.lane.push(time.Now(), p)
	w.mu.Unlock()
	tap(v) // before the datagram can be answered
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *wire) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		parcels := w.lane.ready(time.Now())
		next := w.lane.next()
		w.mu.Unlock()
		for _, p := range parcels {
			p.send(p.data)
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-w.kick:
		case <-timer.C:
		case <-w.done:
			return
		}
	}
}

func (w *wire) close() {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
}
