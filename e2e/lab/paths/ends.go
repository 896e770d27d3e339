package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// The two ends of a trial are this program again, inside a namespace. The server
// answers every datagram of data with its limit. The client makes associations,
// asks, and prints a report on each.

// patience is more than a handshake takes before it gives up by itself.
const patience = 70 * time.Second

// askEvery is the time after which a question without an answer is repeated. A round
// trip takes much less, so an answer is not counted for a later question.
const askEvery = 200 * time.Millisecond

// endpoint are the arguments of a role.
type endpoint struct {
	version, chain, key, root, address string
	mutual, classic, trace             bool
	think                              thinking

	n             int // the client's, as those below
	every, settle time.Duration
	data          bool
}

func (e *endpoint) parse(args []string) error {
	flags := flag.NewFlagSet("endpoint", flag.ContinueOnError)
	flags.StringVar(&e.version, "version", "", "")
	flags.StringVar(&e.chain, "chain", "", "")
	flags.StringVar(&e.key, "key", "", "")
	flags.StringVar(&e.root, "root", "", "")
	flags.StringVar(&e.address, "address", "", "")
	flags.BoolVar(&e.mutual, "mutual", false, "")
	flags.BoolVar(&e.classic, "classic", false, "")
	flags.BoolVar(&e.trace, "trace", false, "")
	flags.DurationVar(&e.think.time, "think", 0, "")
	flags.StringVar(&e.think.callback, "in", "", "")
	flags.IntVar(&e.n, "n", 0, "")
	flags.DurationVar(&e.every, "every", 0, "")
	flags.DurationVar(&e.settle, "settle", 0, "")
	flags.BoolVar(&e.data, "data", false, "")
	return flags.Parse(args)
}

// config is the default one, but for what an end cannot do without, a limit if the
// version is not the latest, and a callback that thinks.
func (e *endpoint) config(client bool) (*dtls.Config, error) {
	c := &dtls.Config{ServerName: "localhost"}
	if e.version == "1.2" {
		c.MaxVersion = dtls.VersionDTLS12
	}
	if e.classic {
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	pem, err := os.ReadFile(e.root)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c.RootCAs, c.ClientCAs = pool, pool
	cert, err := tls.LoadX509KeyPair(e.chain, e.key)
	if err != nil {
		return nil, err
	}
	if !client || e.mutual {
		c.Certificates = []tls.Certificate{cert}
	}
	if e.mutual {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	switch e.think.callback {
	case "":
	case "verify":
		c.VerifyConnection = func(dtls.ConnectionState) error { time.Sleep(e.think.time); return nil }
	case "certificate":
		c.Certificates = nil
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { time.Sleep(e.think.time); return &cert, nil }
	default:
		return nil, fmt.Errorf("no callback %q", e.think.callback)
	}
	return c, nil
}

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.String(a.Key, a.Value.Time().Format("05.000000"))
		}
		return a
	}}))
}

// limit is what an end thinks of its direction of the path.
type limit struct {
	MTU    int
	Source string
}

func limitAt(conn *dtls.Conn) limit {
	p := conn.PathMTU()
	return limit{p.MTU, p.Source.String()}
}

// answer is what the server sends for a question.
type answer struct {
	Question    int // its number
	Limit       limit
	Established time.Time // by the machine's clock, which both ends share
	Answers     int       // with this one
}

// serve accepts associations on the wildcard address until its standard input ends.
func serve(args []string) error {
	var e endpoint
	if err := e.parse(args); err != nil {
		return err
	}
	config, err := e.config(false)
	if err != nil {
		return err
	}
	if e.trace {
		config.Logger = logTo(os.Stderr)
	}
	l, err := dtls.Listen("udp", e.address, config)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.AcceptContext(context.Background())
			if err != nil {
				return // it is closed
			}
			go answerAll(conn, time.Now())
		}
	}()
	if err := json.NewEncoder(os.Stdout).Encode("listening"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func answerAll(conn *dtls.Conn, established time.Time) {
	buf := make([]byte, 2048)
	for answers := 1; ; answers++ {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		var number int
		if _, err := fmt.Sscanf(string(buf[:n]), "question %d\n", &number); err != nil {
			return
		}
		text, err := json.Marshal(answer{number, limitAt(conn), established, answers})
		if err != nil {
			return
		}
		if _, err := conn.Write(text); err != nil {
			return // the client gets no answer, and reports that
		}
	}
}
