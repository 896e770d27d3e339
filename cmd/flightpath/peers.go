package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Sizes of the Certificate messages, bytes: the server's is what a chain with
// two RSA intermediates takes, the client's is large enough to be refused.
const (
	serverChain = 6000
	clientChain = 2000
)

const greeting = "hello across a narrow path"

// run shakes hands and echoes a message, with everything on one timeline.
func run(ctx context.Context, o options, out io.Writer) (*report, error) {
	configs, err := newConfigs(o)
	if err != nil {
		return nil, err
	}
	log := newTimeline(out, o.verbose)
	defer log.recorded()
	p, err := newPath(o, log)
	if err != nil {
		return nil, err
	}
	defer p.close()

	ctx, fail := context.WithCancelCause(ctx)
	served := make(chan error, 1)
	serverUp := make(chan *dtls.Conn, 1)
	go func() {
		err := serve(ctx, p, configs[server], log, serverUp)
		if err != nil {
			fail(err) // the client need not wait for an answer
		}
		served <- err
	}()
	defer func() {
		fail(errDone)
		<-served
	}()

	conn, err := p.dial()
	if err != nil {
		return nil, err
	}
	configs[client].KeyLogWriter = &log.keys
	c := dtls.Client(conn, watch(configs[client], client, log))
	defer c.Close()
	r := &report{options: o, log: log}
	if err := shake(ctx, client, c, log); err != nil {
		return nil, first(ctx, err)
	}
	r.handshake = time.Since(log.start)
	if err := echo(ctx, c, log); err != nil {
		return nil, first(ctx, err)
	}
	// The echo came back, so both ends are established.
	return r, r.compare(c, <-serverUp)
}

var errDone = errors.New("done")

// first is what ended the run: the side that failed, not the one that was
// stopped because of it.
func first(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("client: %w", err)
}

func newConfigs(o options) (configs [2]*dtls.Config, err error) {
	for s, size := range [2]int{client: clientChain, server: serverChain} {
		chain, err := dtlstest.NewChain(dtlstest.P256, size)
		if err != nil {
			return configs, err
		}
		configs[s] = &dtls.Config{
			Certificates: []tls.Certificate{chain.Certificate}, Retransmit: o.timers,
			MinVersion: versions[o.version], MaxVersion: versions[o.version],
		}
		if !o.blackhole {
			configs[s].MTUMode = dtls.MTUManual
		}
	}
	clientRoot, _ := dtlstest.NewChain(dtlstest.P256, clientChain) // made above
	serverRoot, _ := dtlstest.NewChain(dtlstest.P256, serverChain)
	configs[client].Hello, configs[client].RequirePQ = dtls.HelloSmall, o.pq
	if o.pq {
		configs[client].Hello = dtls.HelloFull
	}
	configs[client].ServerName = "localhost"
	configs[client].RootCAs = serverRoot.Pool()
	configs[server].ClientAuth = tls.RequireAndVerifyClientCert
	configs[server].ClientCAs = clientRoot.Pool()
	configs[server].CookieMode = dtls.CookieAlways // as a Listener does
	return configs, nil
}

// watch has the timeline told what the association learns of its path.
func watch(config *dtls.Config, who side, log *timeline) *dtls.Config {
	config = config.Clone()
	config.OnMTU = func(p dtls.PathInfo) { log.say(who, "OnMTU: %d bytes from now on, learned from %s", p.MTU, p.Source) }
	return config
}

// shake is the loop of a caller who is in charge of the MTU.
func shake(ctx context.Context, who side, c *dtls.Conn, log *timeline) error {
	for {
		err := c.HandshakeContext(ctx)
		var large *dtls.LargePacketError
		switch {
		case err == nil:
			log.say(who, "Handshake returned nil: established")
			return nil
		case dtls.IsFatal(err) || !errors.As(err, &large):
			log.say(who, "Handshake returned %q", err)
			return err
		}
		log.say(who, "Handshake returned %q: SetMTU(%d), Handshake again", err, large.Suggest())
		if err := c.SetMTU(large.Suggest()); err != nil {
			return err
		}
	}
}

// serve is the server: one association, whatever comes back as it came.
func serve(ctx context.Context, p *path, config *dtls.Config, log *timeline, up chan<- *dtls.Conn) error {
	conn, err := p.accept(ctx)
	if err != nil {
		return err
	}
	c := dtls.Server(conn, watch(config, server, log))
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := shake(ctx, server, c, log); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("server: %w", err)
	}
	up <- c
	buf := make([]byte, 1<<14)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		log.say(server, "Read %q, and Write it back", buf[:n])
		if _, err := c.Write(buf[:n]); err != nil {
			return fmt.Errorf("server: %w", err)
		}
	}
}

// patience is how long the client waits for an echo before it asks again:
// application data is as lossy as the path.
const patience = 300 * time.Millisecond

// echo sends the greeting until it comes back.
func echo(ctx context.Context, c *dtls.Conn, log *timeline) error {
	buf := make([]byte, 1<<14)
	for ctx.Err() == nil {
		log.say(client, "Write %q", greeting)
		if _, err := c.Write([]byte(greeting)); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		n, err := c.Read(buf)
		switch {
		case errors.Is(err, dtls.ErrAgain):
			log.say(client, "no echo within %v, once more", patience)
		case err != nil:
			return err
		case string(buf[:n]) != greeting:
			return fmt.Errorf("the echo is %q", buf[:n])
		default:
			log.say(client, "Read %q: the echo is back", buf[:n])
			return nil
		}
	}
	return context.Cause(ctx)
}
