package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// The two ends of a try are this program again, inside a namespace. They print
// reports on standard output, and what the association saw on standard error.

var roles = map[string]func(args []string) error{"serve": serve, "dial": dial}

// report is what an end says, once or twice. Times are of the machine's clock,
// which both ends share.
type report struct {
	Listening   bool      `json:",omitempty"` // the server, for a start
	Began       time.Time `json:",omitzero"`
	Established time.Time `json:",omitzero"`
	MTU         int       `json:",omitempty"`
	Error       string    `json:",omitempty"`
}

func (r report) print() error { return json.NewEncoder(os.Stdout).Encode(r) }

// patience is more than a handshake takes before it gives up by itself.
const patience = 70 * time.Second

// endpoint are the arguments of a role.
type endpoint struct {
	version, chain, key, root, address string
}

func (e *endpoint) parse(args []string) error {
	flags := flag.NewFlagSet("endpoint", flag.ContinueOnError)
	flags.StringVar(&e.version, "version", "", "")
	flags.StringVar(&e.chain, "chain", "", "")
	flags.StringVar(&e.key, "key", "", "")
	flags.StringVar(&e.root, "root", "", "")
	flags.StringVar(&e.address, "address", "", "")
	return flags.Parse(args)
}

// config is the default one, but for what an end cannot do without, a limit if the
// version is not the latest, and another if a client has no other version, which
// changes its hello.
func (e *endpoint) config() (*dtls.Config, error) {
	v, err := versionOf(e.version)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: shorten}))
	c := &dtls.Config{Logger: logger}
	if v == dtls.VersionDTLS12 {
		c.MaxVersion = v
	}
	if e.version == only13 && e.root != "" {
		c.MinVersion = v
	}
	if e.chain != "" {
		cert, err := tls.LoadX509KeyPair(e.chain, e.key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if e.root != "" {
		pem, err := os.ReadFile(e.root)
		if err != nil {
			return nil, err
		}
		c.RootCAs, c.ServerName = x509.NewCertPool(), "localhost"
		c.RootCAs.AppendCertsFromPEM(pem)
	}
	return c, nil
}

// shorten leaves only the seconds and below of a line's time.
func shorten(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.String(a.Key, a.Value.Time().Format("05.000000"))
	}
	return a
}

// only13 stands for clients that offer DTLS 1.3 alone.
const only13 = "1.3-only"

func versionOf(name string) (uint16, error) {
	switch name {
	case "1.2":
		return dtls.VersionDTLS12, nil
	case "1.3", only13:
		return dtls.VersionDTLS13, nil
	}
	return 0, fmt.Errorf("no version %q", name)
}

// serve accepts one association on the wildcard address and echoes until its
// standard input ends.
func serve(args []string) error {
	var e endpoint
	if err := e.parse(args); err != nil {
		return err
	}
	config, err := e.config()
	if err != nil {
		return err
	}
	l, err := dtls.Listen("udp", e.address, config)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := (report{Listening: true}).print(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := l.AcceptContext(ctx)
	if err != nil {
		return report{Error: err.Error()}.print()
	}
	defer conn.Close()
	r := report{Established: time.Now(), MTU: conn.MTU()}
	go echo(conn)
	if err := r.print(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func echo(conn *dtls.Conn) {
	buf := make([]byte, 64)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		_, _ = conn.Write(buf[:n]) // lost like any datagram: the client asks again
	}
}

// dial makes one association and sends data until it comes back.
func dial(args []string) error {
	var e endpoint
	if err := e.parse(args); err != nil {
		return err
	}
	config, err := e.config()
	if err != nil {
		return err
	}
	r := report{Began: time.Now()}
	conn, err := dtls.Dial("udp", e.address, config)
	if err != nil {
		r.Error = err.Error()
		return r.print()
	}
	defer conn.Close()
	r.Established, r.MTU = time.Now(), conn.MTU()
	if v, err := versionOf(e.version); err != nil || conn.ConnectionState().Version != v {
		r.Error = "not " + e.version + " but " + dtls.VersionName(conn.ConnectionState().Version)
	} else if err := hearEcho(conn); err != nil {
		r.Error = err.Error()
	}
	return r.print()
}

// hearEcho repeats a line until it comes back, which also tells that the server
// is established.
func hearEcho(conn *dtls.Conn) error {
	buf := make([]byte, 64)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := conn.Write([]byte("is anybody there?")); err != nil && dtls.IsFatal(err) {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return err
		}
		switch _, err := conn.Read(buf); {
		case err == nil:
			return nil
		case !errors.Is(err, dtls.ErrAgain):
			return err
		}
	}
	return errors.New("established, but no data comes back")
}
