package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Honest clients come at this rate, whether those before them are through or
// not.
const honestRate = 100 // a second

const (
	floodRate   = 20000                  // hellos a second
	honestLimit = 200 * time.Millisecond // 99 of 100 handshakes under that flood
)

// honest lets clients in while a flood goes on.
func honest(ctx context.Context, scale float64) ([]figure, error) {
	v, err := startVictim(ctx, serveRole)
	if err != nil {
		return nil, err
	}
	defer v.Stop()
	flooding, stop := context.WithCancel(ctx)
	defer stop()
	var (
		wg       sync.WaitGroup
		floodErr error
	)
	wg.Go(func() { floodErr = flood(flooding, v) })
	before, err := v.ask(askStats)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	times, failed := greetings(ctx, v, scaled(2000, scale))
	took := time.Since(began)
	after, err := v.ask(askStats)
	if err != nil {
		return nil, err
	}
	stop()
	wg.Wait()
	if floodErr != nil {
		return nil, floodErr
	}
	if len(times) == 0 {
		return nil, failed
	}
	rate := float64(after.Listener.CookiesSent-before.Listener.CookiesSent) / took.Seconds()
	return []figure{
		told("hellos answered per second", "%.0f", rate),
		completed(times, failed),
		told("until the greeting, median", "%v", percentile(times, 50)),
		atMost("99 of 100, ms", "%d", percentile(times, 99).Milliseconds(), honestLimit.Milliseconds()).inFull(),
	}, nil
}

func scaled(n int, scale float64) int { return max(1, int(float64(n)*scale)) }

// completed is the figure of how many got through; all must.
func completed(times []time.Duration, failed error) figure {
	f := told("honest clients complete", "%d", len(times))
	if f.limit = "all"; failed != nil {
		f.holds, f.value = false, f.value+", but: "+failed.Error()
	}
	return f
}

// flood sends hellos at floodRate until ctx ends. Every stranger sends a few and
// makes place for the next.
func flood(ctx context.Context, v *victim) error {
	template, err := newHelloTemplate()
	if err != nil {
		return err
	}
	var c crowd
	sockets, err := c.sockets(500)
	if err != nil {
		return err
	}
	defer func() { closeAll(sockets) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	sent, last := 0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now()
		due := int(min(now.Sub(last), 10*time.Millisecond) * floodRate / time.Second)
		last = now
		for range due {
			at := sent % len(sockets)
			if _, err := sockets[at].WriteToUDPAddrPort(template.another(), v.addr); err != nil {
				return err
			}
			if sent++; sent/len(sockets)%batchRounds == 0 {
				next, err := c.socket()
				if err != nil {
					return err
				}
				_ = sockets[at].Close()
				sockets[at] = next
			}
		}
	}
}

// greetings are n honest clients. It returns how long those that were greeted
// waited, from the first datagram to the greeting behind Accept, and what went
// wrong with the first of the others.
func greetings(ctx context.Context, v *victim, n int) (times []time.Duration, failed error) {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	tick := time.NewTicker(time.Second / honestRate)
	defer tick.Stop()
	for range n {
		wg.Go(func() {
			took, err := greeted(ctx, v)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				times = append(times, took)
			} else if failed == nil {
				failed = err
			}
		})
		<-tick.C
	}
	wg.Wait()
	return times, failed
}

// greeted is one honest client.
func greeted(ctx context.Context, v *victim) (time.Duration, error) {
	began := time.Now()
	conn, err := v.connect(ctx, v.config())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = hear(conn)
	return time.Since(began), err
}

// connect dials over a socket of its own.
func (v *victim) connect(ctx context.Context, config *dtls.Config) (*dtls.Conn, error) {
	raw, err := v.dial()
	if err != nil {
		return nil, err
	}
	return shake(ctx, raw, config)
}

func shake(ctx context.Context, raw net.Conn, config *dtls.Config) (*dtls.Conn, error) {
	conn := dtls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// hear waits for the greeting.
func hear(conn *dtls.Conn) error {
	const patience = 30 * time.Second
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err == nil && string(buf[:n]) != greeting {
		err = fmt.Errorf("greeted with %q", buf[:n])
	}
	return err
}

// percentile is the smallest time that p of 100 do not exceed.
func percentile(times []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
