package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// listenOptions are the flags of listen.
type listenOptions struct {
	peerOptions
	requireCert bool
	clientCA    string // PEM file
	print       bool
	echo        *bool // nil: unless print
	once        bool
	stats       bool
	idle        time.Duration
}

func newListenCommand(std streams) *ffcli.Command {
	var o listenOptions
	fs := newFlagSet("flightpath listen")
	o.register(fs)
	fs.BoolVar(&o.requireCert, "require-client-cert", false, "refuse clients without a certificate that -client-ca, or else the system, verifies")
	fs.StringVar(&o.clientCA, "client-ca", "", "ask clients for a certificate and verify it by those in this PEM `file`")
	fs.BoolFunc("echo", "echo records back (the default without -print; -echo=false does not)", func(s string) error {
		echo, err := strconv.ParseBool(s)
		o.echo = &echo
		return err
	})
	fs.BoolVar(&o.print, "print", false, "copy records to standard output")
	fs.BoolVar(&o.once, "once", false, "end after the first association")
	fs.DurationVar(&o.idle, "idle", 10*time.Minute, "end an association when nothing has come from the client for this `time`; 0: never")
	fs.BoolVar(&o.stats, "stats", false, "print the listener's counters at the end")
	return &ffcli.Command{
		Name:       "listen",
		ShortUsage: "flightpath listen [flags] <[host]:port>",
		ShortHelp:  "a server that echoes or prints what its clients send",
		LongHelp: `Accepts DTLS associations until it is interrupted, and says of each on standard
error what was negotiated. Without -cert and -psk it makes a certificate for
localhost and prints its SHA-256.`,
		FlagSet: fs,
		Exec: func(ctx context.Context, args []string) error {
			address, err := oneAddress("listen", args)
			if err == nil {
				err = listen(ctx, &o, address, std)
			}
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			return nil
		},
	}
}

func (o *listenOptions) config(log io.Writer) (*dtls.Config, func(), error) {
	if o.hasPSK() && o.cert == "" {
		if err := o.withoutPSK("add -cert", "client-ca", "require-client-cert"); err != nil {
			return nil, nil, err
		}
	}
	config, done, err := o.peerOptions.config(log)
	if err != nil {
		return nil, nil, err
	}
	config.IdleTimeout = o.idle
	if err := o.credentials(config, log); err != nil {
		done()
		return nil, nil, err
	}
	if o.trace {
		config.Trace = newTracing(log).each()
	} else {
		// Accept does not tell of the handshakes that failed.
		config.Trace = &dtls.Trace{Peer: func(peer dtls.PeerInfo) *dtls.Trace {
			return &dtls.Trace{Ended: func(err error) {
				if !errors.Is(err, net.ErrClosed) {
					fmt.Fprintf(log, "%s: ended: %v\n", peer.Name, err)
				}
			}}
		}}
	}
	return config, done, nil
}

// credentials adds the server's own, and what it asks of clients.
func (o *listenOptions) credentials(config *dtls.Config, log io.Writer) (err error) {
	if o.hasPSK() {
		psk, err := o.loadPSK()
		if err != nil {
			return err
		}
		config.ServerPSK = serverPSK(psk)
	}
	if !o.hasPSK() && o.cert == "" {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{cert}
		fmt.Fprintf(log, "made a certificate for localhost, SHA-256 %s\n", fingerprint(cert.Certificate[0]))
	}
	switch {
	case o.requireCert:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	case o.clientCA != "":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if o.clientCA != "" {
		if config.ClientCAs, err = loadPool(o.clientCA); err != nil {
			return fmt.Errorf("-client-ca: %w", err)
		}
	}
	return nil
}

// shutdownPatience bounds the end of listen.
const shutdownPatience = 2 * time.Second

// listen accepts until ctx ends, or the first association with -once.
func listen(ctx context.Context, o *listenOptions, address string, std streams) error {
	config, done, err := o.config(std.err)
	if err != nil {
		return err
	}
	defer done()
	l, err := dtls.Listen("udp", address, config)
	if err != nil {
		return inFlags(err)
	}
	fmt.Fprintf(std.err, "listening on %v\n", l.Addr())

	std.out = &lockedWriter{w: std.out} // shared by all associations
	served, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() {
		if ctx.Err() != nil {
			fmt.Fprintln(std.err, "interrupted: closing all associations")
		}
		stop()
		running.Wait()
		// Associations linger: a client may have lost our last flight.
		patience, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		defer cancel()
		_ = l.Shutdown(patience)
		if o.stats {
			printStats(std.err, l.Stats())
		}
	}()
	for {
		c, err := l.AcceptContext(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil // as asked
		case err != nil:
			return err
		case o.once:
			o.serve(served, c, std)
			return nil
		}
		running.Go(func() { o.serve(served, c, std) })
	}
}

// serve talks to one client until either side closes.
func (o *listenOptions) serve(ctx context.Context, c *dtls.Conn, std streams) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	peer := c.RemoteAddr()
	if err := o.summarize(std.err, fmt.Sprintf("%v: connected", peer), c); err != nil {
		fmt.Fprintf(std.err, "%v: %v\n", peer, err)
	}
	echo := !o.print
	if o.echo != nil {
		echo = *o.echo
	}
	buf := make([]byte, maxRecord)
	for {
		n, err := c.Read(buf)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				err = errors.New("closed")
			}
			fmt.Fprintf(std.err, "%v: %v\n", peer, err)
			return
		}
		if o.print {
			if _, err := std.out.Write(buf[:n]); err != nil {
				fmt.Fprintf(std.err, "%v: %v\n", peer, err)
				return
			}
		}
		if !echo {
			continue
		}
		if _, err := c.Write(buf[:n]); err != nil && !dtls.IsFatal(err) {
			fmt.Fprintf(std.err, "%v: not echoed: %v\n", peer, err)
		} // a fatal one is returned by Read too
	}
}
