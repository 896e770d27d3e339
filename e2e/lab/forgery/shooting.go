//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
	"github.com/flightpath-dtls/flightpath/e2e/role"
)

// pair is both ends of an association.
type pair struct{ client, server *role.Process }

func (p *pair) stop() {
	if p.client != nil {
		p.client.Stop()
	}
	if p.server != nil {
		p.server.Stop()
	}
}

// open starts both ends and waits until they are established. took is the
// client's handshake.
func (r *shooting) open(ctx context.Context) (p *pair, ours, theirs report, err error) {
	p = &pair{}
	if p.server, err = r.lab.Start(ctx, lab.Server, r.program, "serve", "-chain", r.files.Chain, "-key", r.files.Key); err != nil {
		return p, ours, theirs, err
	}
	if err = p.server.Report(new(report)); err != nil { // it listens
		return p, ours, theirs, err
	}
	if p.client, err = r.lab.Start(ctx, lab.Client, r.program, "dial", "-root", r.files.Root, "-address", fmt.Sprintf("[%s]:%d", r.server, serverPort)); err != nil {
		return p, ours, theirs, err
	}
	if err = p.client.Report(&ours); err == nil && ours.Error != "" {
		return p, ours, theirs, errors.New("client: " + ours.Error)
	}
	if err == nil {
		err = p.server.Report(&theirs)
	}
	if err == nil && theirs.Error != "" {
		err = errors.New("server: " + theirs.Error)
	}
	return p, ours, theirs, err
}

// startForger starts one that is ready to shoot.
func (r *shooting) startForger(ctx context.Context, args ...string) (*role.Process, error) {
	if r.family == ipv6 {
		args = append(args, "-6")
	}
	f, err := r.lab.Start(ctx, lab.R1, r.program, append([]string{"forge"}, args...)...)
	if err != nil {
		return nil, err
	}
	return f, f.Report(new(report))
}

// say has an end write n bytes, and returns what it reports.
func say(end *role.Process, n int) (r report, err error) {
	err = end.Ask(strconv.Itoa(n), &r)
	return r, err
}

// established shoots at both ends of an association. Nothing moves its MTU but
// a datagram that was seen and a size that can be true.
func (r *shooting) established(ctx context.Context) (string, error) {
	p, ours, theirs, err := r.open(ctx)
	defer p.stop()
	if err != nil {
		return "", err
	}
	forger, err := r.startForger(ctx)
	if err != nil {
		return "", err
	}
	defer forger.Stop()
	before := map[bool]report{false: ours, true: theirs}
	var errs []error
	fired := 0
	for _, s := range shots() {
		target := p.client
		if s.ToServer {
			target = p.server
		}
		if s.Quote == seen && s.Size >= r.smallest && s.Size < ours.MTU+r.headers {
			continue // who sees the traffic, and can drop it, may lower the MTU
		}
		if err := r.fire(forger, target, s); err != nil {
			return "", fmt.Errorf("%+v: %w", s, err)
		}
		fired++
		now, err := say(target, 16)
		switch was := before[s.ToServer]; {
		case err != nil:
			return "", fmt.Errorf("%+v: %w", s, err)
		case now.Error != "":
			errs = append(errs, fmt.Errorf("%+v: a write fails: %s", s, now.Error))
		case now.MTU != was.MTU:
			errs = append(errs, fmt.Errorf("%+v moves the MTU from %d to %d", s, was.MTU, now.MTU))
			before[s.ToServer] = now
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	if err := r.largeData(ctx, p, ours, theirs); err != nil {
		return "", err
	}
	if err := r.narrows(ctx, p); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d forged notices, MTU %d and %d before and after", fired, ours.MTU, theirs.MTU), nil
}

// fire has the target send something large, shoots, and waits until the notice
// is there.
func (r *shooting) fire(forger, target *role.Process, s shot) error {
	const large = 1150 // bytes of data
	now, err := say(target, large)
	if err == nil && now.Error != "" {
		err = fmt.Errorf("a write fails: %s", now.Error)
	}
	if err != nil {
		return err
	}
	time.Sleep(time.Millisecond) // the forger has read it
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var fired report
	if err := forger.Ask(string(line), &fired); err != nil {
		return err
	}
	time.Sleep(time.Millisecond)
	if fired.Error != "" {
		return errors.New(fired.Error)
	}
	return nil
}

// largeData: both ways still carry the largest datagrams, in one piece.
func (r *shooting) largeData(ctx context.Context, p *pair, ours, theirs report) error {
	before, err := r.lab.Count(ctx)
	if err != nil {
		return err
	}
	for _, end := range []struct {
		from, to *role.Process
		n        int
	}{{p.client, p.server, ours.MaxData}, {p.server, p.client, theirs.MaxData}} {
		was, err := say(end.to, 16)
		if err != nil {
			return err
		}
		sent, err := say(end.from, end.n)
		if err != nil {
			return fmt.Errorf("%d bytes: %w", end.n, err)
		}
		if sent.Error != "" {
			return fmt.Errorf("%d bytes: a write fails: %s", end.n, sent.Error)
		}
		time.Sleep(20 * time.Millisecond)
		now, err := say(end.to, 16)
		if err != nil {
			return fmt.Errorf("%d bytes: %w", end.n, err)
		}
		if now.Heard < was.Heard+end.n {
			return fmt.Errorf("%d bytes of data do not arrive", end.n)
		}
	}
	after, err := r.lab.Count(ctx)
	if n := after.Sub(before).Fragments; err == nil && n > 0 {
		err = fmt.Errorf("%d IP fragments", n)
	}
	return err
}

// narrows: when the path does become smaller, both ends hear of it.
func (r *shooting) narrows(ctx context.Context, p *pair) error {
	const link = 900
	if r.family == ipv6 {
		return nil // 1280 carries what is sent
	}
	if err := r.lab.Set(ctx, lab.Path{MTU: link}); err != nil {
		return err
	}
	for name, end := range map[string]*role.Process{"client": p.client, "server": p.server} {
		if _, err := say(end, 1150); err != nil { // is lost
			return err
		}
		time.Sleep(20 * time.Millisecond)
		now, err := say(end, 16)
		if err != nil {
			return err
		}
		if want := link - r.headers; now.MTU != want || now.Error != "" {
			return fmt.Errorf("path of %d bytes: the %s goes on with MTU %d, want %d; %s", link, name, now.MTU, want, now.Error)
		}
	}
	return nil
}

// handshakes shoots without pause while handshakes begin and end. What quotes
// no datagram may at most take away what every path carries.
func (r *shooting) handshakes(ctx context.Context) (string, error) {
	const (
		tries   = 40
		slowest = time.Second
	)
	forger, err := r.startForger(ctx, "-all")
	if err != nil {
		return "", err
	}
	defer forger.Stop()
	var (
		worst    time.Duration
		smallest = 1 << 16
	)
	for range tries {
		p, ours, theirs, err := r.open(ctx)
		p.stop()
		if err != nil {
			return "", err
		}
		worst, smallest = max(worst, ours.Took), min(smallest, ours.MTU, theirs.MTU)
	}
	if limit := r.smallest - r.headers; worst > slowest || smallest < limit {
		return "", fmt.Errorf("a handshake took %v, want at most %v; an MTU fell to %d, want at least %d", worst, slowest, smallest, limit)
	}
	return fmt.Sprintf("%d of %d, the slowest in %v, the smallest MTU %d", tries, tries, worst.Round(time.Millisecond), smallest), nil
}
