package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// side is one end of the path.
type side uint8

const (
	client side = iota
	server
)

func (s side) String() string {
	if s == client {
		return "client"
	}
	return "server"
}

func (s side) peer() side { return client + server - s }

// path joins a client and a server, each with a UDP socket on the loopback
// interface, through a relay. Datagrams over the limit are refused on both
// sides with EMSGSIZE, as a kernel refuses what its link cannot carry; over a
// black hole they are sent, and the relay swallows them.
//
//	client ── gate ──── relay ──── gate ── server
//	          EMSGSIZE  loss, reordering,  EMSGSIZE
//	                    black hole
type path struct {
	gates  [2]*gate // by side
	relay  *dtlstest.Relay
	listen *net.UDPConn
}

// newPath opens the sockets. Everything that happens on the path is told to log.
func newPath(o options, log *timeline) (*path, error) {
	listen, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &path{listen: listen}
	for s := range p.gates {
		p.gates[s] = &gate{who: side(s), log: log, hint: o.hint, verdict: make(chan struct{}, 1)}
		if !o.blackhole {
			p.gates[s].limit = o.mtu
		}
	}
	lane := dtlstest.Path{Loss: o.loss / 100}
	if o.blackhole {
		lane.MTU = o.mtu
	}
	if o.reorder > 0 {
		lane.Reorder, lane.ReorderBy = reorderShare, o.reorder
	}
	p.relay, err = dtlstest.NewRelay(listen.LocalAddr().String(), dtlstest.RelayConfig{
		Seed: o.seed, ToServer: lane, ToClient: lane,
		Tap: func(d dtlstest.Direction, datagram []byte, v dtlstest.Verdict) {
			from := client
			if d == dtlstest.ToClient {
				from = server
			}
			log.crossing(from, datagram, fateOf(v))
			p.gates[from].judged()
		},
	})
	if err != nil {
		_ = listen.Close()
		return nil, err
	}
	return p, nil
}

// reorderShare is the part of all datagrams that -reorder holds back.
const reorderShare = 0.25

func (p *path) close() {
	_ = p.relay.Close()
	_ = p.listen.Close()
}

// dial returns the client's end.
func (p *path) dial() (net.Conn, error) {
	conn, err := net.DialUDP("udp4", nil, p.relay.Addr())
	if err != nil {
		return nil, err
	}
	p.gates[client].Conn = conn
	return p.gates[client], nil
}

// accept waits for the first datagram and returns the server's end of the path
// to its sender. Nothing is lost: that datagram is the first to be read.
func (p *path) accept(ctx context.Context) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.listen.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 64<<10)
	n, from, err := p.listen.ReadFromUDPAddrPort(buf)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("waiting for the first datagram: %w", err)
	}
	p.gates[server].Conn = &onePeer{UDPConn: p.listen, peer: from, first: buf[:n]}
	return p.gates[server], nil
}

// gate is a side's socket as DTLS sees it.
type gate struct {
	net.Conn
	who     side
	limit   int  // bytes of UDP payload; 0: none
	hint    bool // refusals tell the limit
	log     *timeline
	turn    sync.Mutex
	verdict chan struct{}
}

// Write refuses what is too large the way package net reports a kernel's
// refusal.
func (g *gate) Write(p []byte) (int, error) {
	g.turn.Lock()
	defer g.turn.Unlock()
	if g.limit > 0 && len(p) > g.limit {
		g.log.crossing(g.who, bytes.Clone(p), refused)
		return 0, &net.OpError{Op: "write", Net: "udp", Source: g.LocalAddr(), Addr: g.RemoteAddr(), Err: g.refusal()}
	}
	select {
	case <-g.verdict:
	default:
	}
	n, err := g.Conn.Write(p)
	if err == nil {
		// The timeline is easier to read if a datagram meets its fate before
		// its sender goes on. It takes some ten microseconds.
		select {
		case <-g.verdict:
		case <-time.After(50 * time.Millisecond): // the kernel has dropped it
		}
	}
	return n, err
}

func (g *gate) refusal() error {
	err := os.NewSyscallError("sendto", syscall.EMSGSIZE)
	if g.hint {
		return &hintedError{err, g.limit}
	}
	return err
}

// hintedError is a refusal that says what would pass. A kernel tells through
// the socket option IP_MTU; any transport can through this method.
type hintedError struct {
	error
	limit int
}

func (e *hintedError) PathMTU() int  { return e.limit }
func (e *hintedError) Unwrap() error { return e.error }

// judged lets Write return: the relay has seen the datagram.
func (g *gate) judged() {
	select {
	case g.verdict <- struct{}{}:
	default:
	}
}

// onePeer is an unconnected UDP socket that speaks with one address.
type onePeer struct {
	*net.UDPConn
	peer  netip.AddrPort
	first []byte // read, but not by the owner of this Conn
}

func (c *onePeer) Read(p []byte) (int, error) {
	if c.first != nil {
		n := copy(p, c.first)
		c.first = nil
		return n, nil
	}
	for {
		n, from, err := c.ReadFromUDPAddrPort(p)
		if err != nil || from == c.peer {
			return n, err
		}
	}
}

func (c *onePeer) Write(p []byte) (int, error) { return c.WriteToUDPAddrPort(p, c.peer) }
func (c *onePeer) RemoteAddr() net.Addr        { return net.UDPAddrFromAddrPort(c.peer) }

// fate is what became of a datagram.
type fate uint8

const (
	arrived   fate = iota // or will, late, if it was held back
	lost                  // by -loss
	swallowed             // too large for the black hole
	refused               // too large for the gate: it never left
)

func fateOf(v dtlstest.Verdict) fate {
	switch v {
	case dtlstest.Lost:
		return lost
	case dtlstest.TooLarge:
		return swallowed
	default:
		return arrived
	}
}
