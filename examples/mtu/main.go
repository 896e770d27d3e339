// Command mtu shakes hands over a transport that refuses datagrams of more than
// 300 bytes. Both ends hear of each refusal and choose a smaller MTU, and the
// same flight goes on: the client in a loop around Handshake, the server in the
// callback OnLargePacket.
//
//	go run ./examples/mtu
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// ---- a transport that refuses ---------------------------------------------------

const limit = 300 // bytes of UDP payload

// errTooLarge may be any error that matches syscall.EMSGSIZE or
// dtls.ErrLargePacket. If it had a method PathMTU() int, Suggest would return
// that size, and one refusal would do.
var errTooLarge = fmt.Errorf("the link takes %d bytes: %w", limit, syscall.EMSGSIZE)

type narrowConn struct{ net.Conn }

func (c narrowConn) Write(p []byte) (int, error) {
	if len(p) > limit {
		return 0, errTooLarge
	}
	return c.Conn.Write(p)
}

type narrowSocket struct{ net.PacketConn }

func (s narrowSocket) WriteTo(p []byte, to net.Addr) (int, error) {
	if len(p) > limit {
		return 0, errTooLarge
	}
	return s.PacketConn.WriteTo(p, to)
}

// ---- the two ends -----------------------------------------------------------------

// connect shakes hands; the caller decides about the MTU.
func connect(ctx context.Context, out io.Writer, address string, config *dtls.Config) (*dtls.Conn, error) {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return nil, err
	}
	c := dtls.Client(narrowConn{conn}, config) // sends nothing yet
	for {
		err := c.HandshakeContext(ctx)
		if err == nil {
			return c, nil
		}
		var large *dtls.LargePacketError
		if dtls.IsFatal(err) || !errors.As(err, &large) {
			_ = c.Close()
			return nil, err
		}
		fmt.Fprintf(out, "client: %v\n        SetMTU(%d), and once more\n", err, large.Suggest())
		if err := c.SetMTU(large.Suggest()); err != nil { // or whatever you know better
			_ = c.Close()
			return nil, err
		}
	}
}

// serve echoes to one client after the other.
func serve(out io.Writer, l *dtls.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(out, "server: established, MTU %d\n", c.(*dtls.Conn).MTU())
		_, _ = io.Copy(c, c) // ends when the client closes
		_ = c.Close()
	}
}

func run(ctx context.Context, out io.Writer) error {
	certificate, pool, err := selfSigned()
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l, err := dtls.NewListener(narrowSocket{socket}, &dtls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert, // so that the client has something large to send too
		ClientCAs:    pool,
		MTUMode:      dtls.MTUManual,
		OnLargePacket: func(large *dtls.LargePacketError) (int, bool) {
			fmt.Fprintf(out, "server: %v\n        MTU %d from now on\n", large, large.Suggest())
			return large.Suggest(), true
		},
	})
	if err != nil {
		return err
	}
	defer l.Close()
	go serve(out, l)

	c, err := connect(ctx, out, l.Addr().String(), &dtls.Config{
		Certificates: []tls.Certificate{certificate},
		RootCAs:      pool,
		ServerName:   "localhost",
		MTUMode:      dtls.MTUManual,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintf(out, "client: established, MTU %d, a Write may have %d bytes\n", c.MTU(), c.MaxData())

	// Writes are refused too, and nothing is sent in part.
	_, err = c.Write(make([]byte, 1000))
	fmt.Fprintf(out, "client: %v\n", err)
	var large *dtls.LargePacketError
	if !errors.As(err, &large) {
		return fmt.Errorf("a Write of 1000 bytes: %w", err)
	}
	sent := strings.Repeat("x", min(100, large.MaxData)) // the server's MTU may be smaller than ours
	if _, err := c.Write([]byte(sent)); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, limit)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if string(buf[:n]) != sent {
		return fmt.Errorf("the echo is %q", buf[:n])
	}
	fmt.Fprintf(out, "client: an echo of %d bytes came back\n", n)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mtu:", err)
		os.Exit(1)
	}
}

// selfSigned makes a certificate that both ends use and trust.
func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}
