// Command endpoint is a node with one UDP socket that is a DTLS server, a DTLS
// client and speaks a little STUN beside it, all on the same port: what CoAP
// nodes, WebRTC and TURN need.
//
//	go run ./examples/endpoint                                  two nodes in one process
//	go run ./examples/endpoint -listen :5684                    one that waits
//	go run ./examples/endpoint -listen :0 -peer localhost:5684  one that asks the other
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

func main() {
	listen := flag.String("listen", "", "the address of this node's socket")
	peer := flag.String("peer", "", "another node to ask")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen, *peer); err != nil {
		fmt.Fprintln(os.Stderr, "endpoint:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen, peer string) error {
	if listen == "" {
		return both(ctx, out)
	}
	n, err := open(out, "node", listen)
	if err != nil {
		return err
	}
	defer n.Close()
	fmt.Fprintf(out, "node: this is %v\n", n.LocalAddr())
	if peer != "" {
		return n.ask(ctx, peer)
	}
	<-ctx.Done()
	return nil
}

// both are two nodes that ask each other.
func both(ctx context.Context, out io.Writer) error {
	a, err := open(out, "A", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := open(out, "B", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer b.Close()
	return errors.Join(a.ask(ctx, b.LocalAddr().String()), b.ask(ctx, a.LocalAddr().String()))
}

// node is an Endpoint that answers whoever asks.
type node struct {
	*dtls.Endpoint
	out    io.Writer
	name   string
	socket net.PacketConn
	mapped chan netip.AddrPort // what a STUN server says our address is
}

func open(out io.Writer, name, address string) (*node, error) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	n := &node{out: out, name: name, socket: socket, mapped: make(chan netip.AddrPort, 1)}
	config := &dtls.Config{
		ClientPSK: clientPSK, ServerPSK: serverPSK, NonDTLS: n.stun,
		IdleTimeout: 5 * time.Minute, // a peer that vanishes sends no close_notify
	}
	if n.Endpoint, err = dtls.NewEndpoint(socket, config); err != nil {
		_ = socket.Close()
		return nil, err
	}
	l, err := n.Listen(nil)
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	go n.serve(l)
	return n, nil
}

// serve echoes to every client.
func (n *node) serve(l *dtls.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the Endpoint was closed
		}
		fmt.Fprintf(n.out, "%s: %v has dialed\n", n.name, c.RemoteAddr())
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // one record in, one record out
		}()
	}
}

// ask learns our address from a peer, then dials it and wants an echo, on the
// same two ports.
func (n *node) ask(ctx context.Context, address string) error {
	peer, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	mapped, err := n.askAddress(ctx, peer)
	if err != nil {
		return err
	}
	fmt.Fprintf(n.out, "%s: seen from there, this is %v\n", n.name, mapped)
	c, err := n.Dial(ctx, peer, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return n.echo(c)
}

// echo sends one line and waits for it to come back.
func (n *node) echo(c *dtls.Conn) error {
	buf := make([]byte, 2048)
	for range 5 { // datagrams may be lost
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		switch size, err := c.Read(buf); {
		case err == nil:
			fmt.Fprintf(n.out, "%s: the echo of %v is %q\n", n.name, c.RemoteAddr(), buf[:size])
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
	return errors.New("no echo")
}

// ---- the other protocol: STUN's Binding, over IPv4 (RFC 8489) ----------------------

const (
	bindingRequest  = 0x0001
	bindingSuccess  = 0x0101
	mappedAddress   = 0x0001
	magicCookie     = 0x2112a442
	stunHeader      = 20
	mappedAttribute = 4 + 8

	transaction = "one question" // real ones have a random ID for each
)

// stun gets what is not DTLS, on the goroutine that reads the socket. It must not
// block, and from is where to answer.
func (n *node) stun(p []byte, from net.Addr) {
	if len(p) < stunHeader || binary.BigEndian.Uint32(p[4:]) != magicCookie {
		return
	}
	switch binary.BigEndian.Uint16(p) {
	case bindingRequest:
		if addr, ok := from.(*net.UDPAddr); ok && addr.IP.To4() != nil {
			_, _ = n.socket.WriteTo(appendSuccess(nil, p[8:stunHeader], addr.AddrPort()), from)
		}
	case bindingSuccess:
		if len(p) < stunHeader+mappedAttribute || string(p[8:stunHeader]) != transaction {
			return
		}
		value := p[stunHeader+4:]
		addr := netip.AddrFrom4([4]byte(value[4:8]))
		select {
		case n.mapped <- netip.AddrPortFrom(addr, binary.BigEndian.Uint16(value[2:])):
		default:
		}
	}
}

// askAddress asks a peer for the address it sees us under.
func (n *node) askAddress(ctx context.Context, peer net.Addr) (netip.AddrPort, error) {
	request := binary.BigEndian.AppendUint16(nil, bindingRequest)
	request = binary.BigEndian.AppendUint16(request, 0) // no attributes
	request = binary.BigEndian.AppendUint32(request, magicCookie)
	request = append(request, transaction...)
	for {
		if _, err := n.socket.WriteTo(request, peer); err != nil {
			return netip.AddrPort{}, err
		}
		select {
		case addr := <-n.mapped:
			return addr, nil
		case <-time.After(500 * time.Millisecond): // it was lost
		case <-ctx.Done():
			return netip.AddrPort{}, ctx.Err()
		}
	}
}

// appendSuccess writes the answer: one MAPPED-ADDRESS.
func appendSuccess(dst, transaction []byte, addr netip.AddrPort) []byte {
	dst = binary.BigEndian.AppendUint16(dst, bindingSuccess)
	dst = binary.BigEndian.AppendUint16(dst, mappedAttribute)
	dst = binary.BigEndian.AppendUint32(dst, magicCookie)
	dst = append(dst, transaction...)
	dst = binary.BigEndian.AppendUint16(dst, mappedAddress)
	dst = binary.BigEndian.AppendUint16(dst, 8)
	dst = append(dst, 0, 1) // family IPv4
	dst = binary.BigEndian.AppendUint16(dst, addr.Port())
	ip := addr.Addr().Unmap().As4()
	return append(dst, ip[:]...)
}

// ---- keys --------------------------------------------------------------------------

// All nodes share a key. Real ones have one each.
var sharedKey = dtls.PSK{Identity: []byte("node"), Key: []byte("0123456789abcdef")}

func clientPSK(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) {
	return []dtls.PSK{sharedKey}, nil
}

func serverPSK(_ context.Context, info dtls.ServerPSKInfo) (*dtls.PSK, error) {
	if string(info.Identity) != string(sharedKey.Identity) {
		return nil, nil // unknown, which looks like a wrong key
	}
	return &sharedKey, nil
}
