// Command engine is an echo server and client in one event loop, over the parts of
// package dtls that have no I/O: a Door and Engines. One goroutine has all of them; it
// waits for datagrams and for the next time-out.
//
//	go run ./examples/engine                          both in one process; the client loses its state
//	go run ./examples/engine -listen :4433            the server
//	go run ./examples/engine -connect localhost:4433  a client of it
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

func main() {
	listen := flag.String("listen", "", "serve on this address")
	connect := flag.String("connect", "", "be a client of this server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen, *connect); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen, connect string) error {
	l := &loop{out: out, arrivals: make(chan arrival), done: make(chan struct{}), engines: map[netip.AddrPort][]*association{}}
	defer l.close()
	if connect != "" {
		if err := l.ask(ctx, ":0", connect); err != nil {
			return err
		}
		l.client.Close(time.Now())
		l.drain(time.Now(), l.client)
		return nil
	}
	address := listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	if err := l.listen(address); err != nil {
		return err
	}
	if listen != "" {
		fmt.Fprintf(out, "listening on %v\n", l.server.LocalAddr())
		return l.run(ctx)
	}
	if err := l.ask(ctx, "127.0.0.1:0", l.server.LocalAddr().String()); err != nil {
		return err
	}
	fmt.Fprintln(out, "client: power failure") // no close_notify
	return l.boot(ctx, l.client.socket, l.client.peer)
}

// ---- the loop ----------------------------------------------------------------------

// loop has the state of both sides. One goroutine uses it.
type loop struct {
	out      io.Writer
	arrivals chan arrival
	done     chan struct{} // closed behind it
	sockets  []*net.UDPConn

	server  *net.UDPConn
	door    *dtls.Door
	engines map[netip.AddrPort][]*association // of the server, by address

	client *association // nil: none
}

type arrival struct {
	socket   *net.UDPConn
	datagram []byte
	from     netip.AddrPort
}

// association is an Engine and the state of its owner.
type association struct {
	*dtls.Engine
	socket *net.UDPConn
	peer   netip.AddrPort
	heard  time.Time // server: when the last data came
	asks   time.Time // client: when it sends its line (again)
	asked  int
	echo   string
}

// run is the loop. It ends with ctx, or when the client is done.
func (l *loop) run(ctx context.Context) error {
	for {
		timer := time.NewTimer(time.Until(l.next()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case a := <-l.arrivals:
			l.receive(time.Now(), a)
		case <-timer.C:
			l.timeout(time.Now())
		}
		timer.Stop()
		switch c := l.client; {
		case c == nil:
		case c.echo != "":
			return nil
		case c.Err() != nil:
			return c.Err()
		case c.asked > 5:
			return errors.New("no echo")
		}
	}
}

// next is when something is due at the latest. With many associations a heap finds it.
func (l *loop) next() time.Time {
	next := time.Now().Add(time.Minute)
	for _, a := range l.all() {
		for _, t := range []time.Time{a.NextTimeout(), a.asks} {
			if !t.IsZero() && t.Before(next) {
				next = t
			}
		}
	}
	return next
}

func (l *loop) all() (all []*association) {
	for _, list := range l.engines {
		all = append(all, list...)
	}
	if l.client != nil {
		all = append(all, l.client)
	}
	return all
}

func (l *loop) timeout(now time.Time) {
	for _, a := range l.all() {
		if t := a.NextTimeout(); !t.IsZero() && !now.Before(t) {
			_ = a.HandleTimeout(now) // drain asks Err
		}
		switch {
		case !a.asks.IsZero() && !now.Before(a.asks):
			l.sayHello(now)
		case a != l.client && a.Established() && now.Sub(a.heard) > 5*time.Minute:
			a.Close(now) // a client without network sends no close_notify
		}
		l.drain(now, a)
	}
}

func (l *loop) receive(now time.Time, in arrival) {
	a := l.client
	if in.socket == l.server {
		if a = l.route(now, &in); a == nil {
			return
		}
	} else if a == nil || in.from != a.peer {
		return
	}
	_ = a.HandleDatagram(now, in.datagram, in.from) // drain asks Err
	l.drain(now, a)
}

// drain follows every input: datagrams first, then events, which may make more.
func (l *loop) drain(now time.Time, a *association) {
	for more := true; more; {
		for tx, ok := a.PollTransmit(now, nil); ok; tx, ok = a.PollTransmit(now, nil) {
			if _, err := a.socket.WriteToUDPAddrPort(tx.Data, a.peer); errors.Is(err, syscall.EMSGSIZE) {
				a.TransmitRefused(now, tx.ID, 0) // it is cut anew
			} // whatever else happened to it: what is lost is sent again
		}
		more = false
		for ev, ok := a.PollEvent(); ok; ev, ok = a.PollEvent() {
			more = true
			l.event(now, a, ev)
		}
	}
	if a != l.client && a.Err() != nil {
		l.remove(a)
	}
}

func (l *loop) event(now time.Time, a *association, ev dtls.Event) {
	isClient := a == l.client
	switch ev.Kind {
	case dtls.EventEstablished:
		if isClient {
			l.sayHello(now)
			return
		}
		l.engines[a.peer] = []*association{a} // in place of one whose client has lost its state
		fmt.Fprintf(l.out, "server: %v is here\n", a.peer)
	case dtls.EventData:
		a.heard = now
		if isClient {
			a.echo = string(ev.Data)
			return
		}
		_ = a.Write(now, ev.Data) // as long as what came: it fits
	case dtls.EventClosed:
		if !isClient {
			a.Close(now)
		}
	default:
	}
}

// ---- the server ----------------------------------------------------------------------

func (l *loop) listen(address string) (err error) {
	if l.door, err = dtls.NewDoor(serverConfig, time.Now()); err != nil {
		return err
	}
	l.server, err = l.open(address)
	return err
}

// route finds the association of a datagram, or begins one; nil: the datagram is
// handled.
func (l *loop) route(now time.Time, in *arrival) *association {
	list := l.engines[in.from]
	engines := make([]*dtls.Engine, len(list))
	for i, a := range list {
		engines[i] = a.Engine
	}
	eng := l.door.Route(now, in.datagram, in.from, engines)
	for _, a := range list {
		if a.Engine == eng {
			return a
		}
	}
	reply, hello := l.door.Handle(now, in.datagram, in.from, netip.AddrPort{}, nil)
	if reply != nil {
		_, _ = l.server.WriteToUDPAddrPort(reply, in.from) // if it is lost, the hello comes again
	}
	if hello == nil {
		return nil
	}
	eng, err := dtls.NewServerEngine(serverConfig, hello, now)
	if err != nil {
		fmt.Fprintln(l.out, "server:", err)
		return nil
	}
	in.datagram = hello.Datagram
	a := &association{Engine: eng, socket: l.server, peer: in.from, heard: now}
	if len(list) > 0 && list[0].Established() {
		l.engines[in.from] = []*association{list[0], a} // the older one lives on until this one is established
	} else {
		l.engines[in.from] = []*association{a}
	}
	return a
}

func (l *loop) remove(gone *association) {
	var kept []*association
	for _, a := range l.engines[gone.peer] {
		if a != gone {
			kept = append(kept, a)
		}
	}
	if l.engines[gone.peer] = kept; kept == nil {
		delete(l.engines, gone.peer)
	}
}

// ---- the client ----------------------------------------------------------------------

// ask sends one line to a server, and waits for it to come back.
func (l *loop) ask(ctx context.Context, local, address string) error {
	peer, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return err
	}
	socket, err := l.open(local)
	if err != nil {
		return err
	}
	return l.boot(ctx, socket, unmap(peer.AddrPort()))
}

// boot is ask for a client that has a socket and nothing else.
func (l *loop) boot(ctx context.Context, socket *net.UDPConn, peer netip.AddrPort) error {
	eng, err := dtls.NewClientEngine(clientConfig, time.Now())
	if err != nil {
		return err
	}
	l.client = &association{Engine: eng, socket: socket, peer: peer}
	l.drain(time.Now(), l.client) // the first flight
	if err := l.run(ctx); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "client: the echo is %q\n", l.client.echo)
	return nil
}

// sayHello sends the line, which may be lost.
func (l *loop) sayHello(now time.Time) {
	c := l.client
	c.asked++
	c.asks = now.Add(time.Second)
	_ = c.Write(now, []byte("hello"))
}

// ---- sockets ---------------------------------------------------------------------------

// open opens a socket, and a goroutine that passes on what it receives.
func (l *loop) open(address string) (*net.UDPConn, error) {
	local, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, err
	}
	l.sockets = append(l.sockets, socket)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // about an earlier datagram
			}
			select {
			case l.arrivals <- arrival{socket, bytes.Clone(buf[:n]), unmap(from)}:
			case <-l.done:
				return
			}
		}
	}()
	return socket, nil
}

func (l *loop) close() {
	close(l.done)
	for _, s := range l.sockets {
		_ = s.Close()
	}
}

// unmap gives an address of IPv4 one form, whatever the socket calls it.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// ---- keys ------------------------------------------------------------------------------

var key = dtls.PSK{Identity: []byte("device"), Key: []byte("not a secret any more")}

var serverConfig = &dtls.Config{
	ServerPSK: func(_ context.Context, client dtls.ServerPSKInfo) (*dtls.PSK, error) {
		if !bytes.Equal(client.Identity, key.Identity) {
			return nil, nil // unknown; to the client that looks like a wrong key
		}
		return &key, nil
	},
}

var clientConfig = &dtls.Config{
	ClientPSK: func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) { return []dtls.PSK{key}, nil },
}
