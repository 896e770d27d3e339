package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// endings makes associations that end in every way, and then looks whether
// goroutines, files and memory are those of the beginning, on both sides.
func endings(ctx context.Context, scale float64) ([]figure, error) {
	var args []string
	if scale < 1 {
		args = []string{"5s"} // of HandshakeTimeout: nobody waits for a minute
	}
	v, err := startVictim(ctx, serveRole, args...)
	if err != nil {
		return nil, err
	}
	defer v.Stop()
	if _, failed := greetings(ctx, v, 10); failed != nil { // which warms both up
		return nil, failed
	}
	before, err := v.settled(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := measure()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := endAll(ctx, v, scaled(10000, scale)); err != nil {
		return nil, err
	}
	ended := time.Now()
	after, err := v.settled(ctx)
	if err != nil {
		return nil, err
	}
	settled := time.Now()
	left, err := measure()
	if err != nil {
		return nil, err
	}
	if _, err := v.ask(askClose); err != nil {
		return nil, err
	}
	closed, err := v.settled(ctx)
	if err != nil {
		return nil, err
	}
	l := after.Listener
	return []figure{
		told("handshakes complete, failed", "%d, %d", l.HandshakesDone, l.HandshakesFailed),
		told("time for all of them, until the last had ended", "%v, %v", ended.Sub(began).Round(time.Second), settled.Sub(ended).Round(time.Second)),
		atMost("associations and handshakes left", "%d", l.Associations+l.HandshakesOpen, 0),
		atMost("goroutines more, server", "%d", after.Goroutines-before.Goroutines, 0),
		atMost("files more, server", "%d", after.Files-before.Files, 0),
		atMost("heap more, server, bytes", "%d", after.Heap-before.Heap, 1<<20),
		atMost("goroutines more, clients", "%d", left.Goroutines-mine.Goroutines, 0),
		atMost("files more, clients", "%d", left.Files-mine.Files, 0),
		atMost("goroutines more, server, after Close", "%d", closed.Goroutines-before.Goroutines, -readers),
		atMost("files more, server, after Close", "%d", closed.Files-before.Files, -1),
	}, nil
}

// readers are the goroutines of a server without associations: the Listener's,
// and the one that accepts.
const readers = 2

// settled waits until no association is left and the number of goroutines does
// not change any more. Handshakes whose clients went away end by their time-out.
func (v *victim) settled(ctx context.Context) (s stats, err error) {
	const (
		patience = 90 * time.Second
		same     = 10 // answers in a row
	)
	goroutines, times := 0, 0
	for deadline := time.Now().Add(patience); times < same; time.Sleep(20 * time.Millisecond) {
		if s, err = v.ask(askHeap); err != nil || time.Now().After(deadline) || ctx.Err() != nil {
			return s, errors.Join(err, ctx.Err())
		}
		if times++; s.Goroutines != goroutines || s.Listener.Associations+s.Listener.HandshakesOpen > 0 {
			goroutines, times = s.Goroutines, 0
		}
	}
	return s, nil
}

// ending is a way for an association to end.
type ending struct {
	name string
	run  func(ctx context.Context, v *victim) error
}

var allEndings = []ending{
	{"the client closes", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		return conn.Close()
	}},
	{"the server closes", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte(sayBye)); err != nil {
			return errors.Join(err, conn.Close())
		}
		_, _ = conn.Read(make([]byte, 64)) // io.EOF, or the deadline if it was lost
		return conn.Close()
	}},
	{"both close", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		_, err = conn.Write([]byte(sayBye))
		return errors.Join(err, conn.Close())
	}},
	{"the client's socket closes", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte(sayStay)); err != nil {
			return errors.Join(err, conn.Close())
		}
		return errors.Join(conn.NetConn().Close(), conn.Close())
	}},
	{"the client restarts from its address", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		local := conn.LocalAddr().(*net.UDPAddr)
		if err := errors.Join(conn.NetConn().Close(), conn.Close()); err != nil {
			return err
		}
		raw, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(v.addr))
		if err != nil {
			return nil // somebody else has the port now
		}
		again, err := shake(ctx, raw, v.cheapConfig())
		if err != nil {
			return err
		}
		return errors.Join(hear(again), again.Close())
	}},
	{"a read deadline passes, then Close", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.cheapConfig())
		if err != nil {
			return err
		}
		err = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _ = conn.Read(make([]byte, 64))
		return errors.Join(err, conn.Close())
	}},
	{"after data, with certificates", func(ctx context.Context, v *victim) error {
		conn, err := v.meet(ctx, v.config())
		if err != nil {
			return err
		}
		_, err = conn.Write([]byte(sayEcho))
		_, _ = conn.Read(make([]byte, 64))
		return errors.Join(err, conn.Close())
	}},
	{"the client gives up somewhere in the handshake", func(ctx context.Context, v *victim) error {
		ctx, cancel := context.WithTimeout(ctx, rand.N(3*time.Millisecond))
		defer cancel()
		conn, err := v.connect(ctx, v.cheapConfig())
		if err == nil {
			return conn.Close()
		}
		return expect(err, dtls.ErrInterrupted)
	}},
	{"the client vanishes in the handshake", func(ctx context.Context, v *victim) error {
		raw, err := halfway(ctx, v)
		if err != nil {
			return err
		}
		return raw.Close()
	}},
	{"the client refuses the certificate", func(ctx context.Context, v *victim) error {
		config := v.config()
		config.ServerName = "elsewhere"
		return v.refused(ctx, config)
	}},
	{"no suite in common", func(ctx context.Context, v *victim) error {
		config := v.config()
		config.MaxVersion = dtls.VersionDTLS12
		config.CipherSuites = []uint16{0xc02f} // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
		return v.refused(ctx, config)
	}},
	{"the client does not wait for an answer", func(_ context.Context, v *victim) error {
		raw, err := v.dial()
		if err != nil {
			return err
		}
		conn := dtls.Client(raw, v.cheapConfig())
		if err := conn.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			return err
		}
		if err := conn.Handshake(); err != nil { // the answers may be quick enough
			return errors.Join(expect(err, dtls.ErrAgain), conn.Close())
		}
		return conn.Close()
	}},
}

// meet connects and waits for the greeting.
func (v *victim) meet(ctx context.Context, config *dtls.Config) (*dtls.Conn, error) {
	conn, err := v.connect(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := hear(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// refused is a handshake that ends with an alert.
func (v *victim) refused(ctx context.Context, config *dtls.Config) error {
	conn, err := v.connect(ctx, config)
	if err == nil {
		return errors.Join(errors.New("it should have been refused"), conn.Close())
	}
	var alert *dtls.AlertError
	if !errors.As(err, &alert) {
		return err
	}
	return nil
}

func expect(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%w, not %w", err, want)
}

// endAll makes n associations, some at a time, and ends each in its turn's way.
func endAll(ctx context.Context, v *victim, n int) error {
	var (
		wg     sync.WaitGroup
		places = make(chan struct{}, 16*runtime.GOMAXPROCS(0))
		mu     sync.Mutex
		faults []string
	)
	for i := range n {
		e := allEndings[i%len(allEndings)]
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := e.run(ctx, v); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if faults = append(faults, fmt.Sprintf("%s: %v", e.name, err)); len(faults) > 10 {
					faults = faults[:10]
				}
			}
		})
	}
	wg.Wait()
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	return ctx.Err()
}
