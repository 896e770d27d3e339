// Command echo is a DTLS server that sends back what it receives, and a client
// that asks it to.
//
//	go run ./examples/echo                          both in one process
//	go run ./examples/echo -listen :4433            the server
//	go run ./examples/echo -connect localhost:4433  a client of it
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/signal"
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
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen, connect string) error {
	if connect != "" {
		// The server's certificate is signed by itself and nobody knows it.
		// Real clients set RootCAs, or none, and leave the next line out.
		return ask(ctx, out, connect, &dtls.Config{InsecureSkipVerify: true})
	}
	certificate, err := selfSigned("localhost")
	if err != nil {
		return err
	}
	address := listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := dtls.Listen("udp", address, &dtls.Config{
		Certificates: []tls.Certificate{certificate},
		// A client that vanishes sends no close_notify.
		IdleTimeout: 5 * time.Minute,
	})
	if err != nil {
		return err
	}
	defer l.Close()
	if listen != "" {
		fmt.Fprintf(out, "listening on %v\n", l.Addr())
		return serve(ctx, out, l)
	}

	// Both in one process: here the client can know the certificate.
	go func() { _ = serve(ctx, out, l) }()
	pool := x509.NewCertPool()
	pool.AddCert(certificate.Leaf)
	return ask(ctx, out, l.Addr().String(), &dtls.Config{RootCAs: pool, ServerName: "localhost"})
}

// serve echoes to every client until ctx ends.
func serve(ctx context.Context, out io.Writer, l *dtls.Listener) error {
	for {
		c, err := l.AcceptContext(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "server: %v is here\n", c.RemoteAddr())
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // one record in, one record out
		}()
	}
}

// ask sends one line and waits for it to come back.
func ask(ctx context.Context, out io.Writer, address string, config *dtls.Config) error {
	dialer := dtls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: config}
	c, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 2048)
	for range 5 { // datagrams may be lost
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		n, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "client: the echo is %q\n", buf[:n])
		return nil
	}
	return errors.New("no echo")
}

// selfSigned makes a certificate for name.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
