// Command psk is an echo server and client without certificates: both know a
// key, and ECDHE_PSK makes sure that who learns it later cannot decrypt what
// was said before (RFC 5489).
//
//	go run ./examples/psk                          both in one process
//	go run ./examples/psk -listen :4433            the server
//	go run ./examples/psk -connect localhost:4433  a client of it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// keys are what the server knows, by identity. Real keys are random, at least
// 16 bytes long, and not in the source.
var keys = map[string][]byte{
	"lamp-7": []byte("not a secret any more"),
	"door-2": []byte("neither is this one"),
}

// TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256 (RFC 8442). Without CipherSuites the
// two ends would agree on a suite of this kind too; naming it leaves out those
// of plain PSK.
const ecdhePSK = 0xd001

var serverConfig = &dtls.Config{
	CipherSuites: []uint16{ecdhePSK},
	IdleTimeout:  5 * time.Minute, // a client that vanishes sends no close_notify
	ServerPSK: func(_ context.Context, client dtls.ServerPSKInfo) (*dtls.PSK, error) {
		key, ok := keys[string(client.Identity)]
		if !ok {
			return nil, nil // unknown; to the client that looks like a wrong key
		}
		return &dtls.PSK{Identity: client.Identity, Key: key}, nil
	},
}

var clientConfig = &dtls.Config{
	CipherSuites: []uint16{ecdhePSK},
	ClientPSK: func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) {
		return []dtls.PSK{{Identity: []byte("lamp-7"), Key: keys["lamp-7"]}}, nil
	},
}

func main() {
	listen := flag.String("listen", "", "serve on this address")
	connect := flag.String("connect", "", "be a client of this server")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *listen, *connect); err != nil {
		fmt.Fprintln(os.Stderr, "psk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, listen, connect string) error {
	if connect != "" {
		return ask(ctx, out, connect)
	}
	address := listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := dtls.Listen("udp", address, serverConfig)
	if err != nil {
		return err
	}
	defer l.Close()
	if listen != "" {
		fmt.Fprintf(out, "listening on %v\n", l.Addr())
		return serve(ctx, out, l)
	}
	go func() { _ = serve(ctx, out, l) }()
	return ask(ctx, out, l.Addr().String())
}

// serve echoes to every client until ctx ends.
func serve(ctx context.Context, out io.Writer, l *dtls.Listener) error {
	for {
		c, err := l.AcceptContext(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "server: %q is here\n", c.ConnectionState().PSKIdentity)
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // one record in, one record out
		}()
	}
}

// ask sends one line and waits for it to come back.
func ask(ctx context.Context, out io.Writer, address string) error {
	dialer := dtls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: clientConfig}
	c, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 2048)
	for range 5 { // datagrams may be lost
		if _, err := io.WriteString(c, "light on"); err != nil {
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
