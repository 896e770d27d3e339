package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
	"github.com/flightpath-dtls/flightpath/e2e/page"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// runner has what every trial needs.
type runner struct {
	options
	program string                 // this one
	files   map[int]dtlstest.Files // by the size of the chain
}

func measure(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flightpath-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := runner{options: o, files: map[int]dtlstest.Files{}}
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	for _, size := range []int{leafAlone, longChain} {
		chain, err := dtlstest.NewChain(dtlstest.P256, size)
		if err != nil {
			return err
		}
		at := filepath.Join(dir, strconv.Itoa(size))
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
		if r.files[size], err = chain.Write(at); err != nil {
			return err
		}
	}
	var errs []error
	for _, s := range scenes() {
		if o.scene != "" && s.name != o.scene {
			continue
		}
		if err := r.scene(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("scene %s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// scene runs the trials of one and prints its table.
func (r *runner) scene(ctx context.Context, s *scene) error {
	var trials []*trial
	for _, t := range s.trials {
		if strings.Contains(t.String(), r.only) {
			trials = append(trials, t)
		}
	}
	if s.trials = trials; len(trials) == 0 {
		return nil
	}
	began := time.Now()
	if err := r.all(ctx, trials, s.alone); err != nil {
		return err
	}
	text := s.table()
	fmt.Print(text)
	fmt.Fprintf(os.Stderr, "scene %s took %.0f s\n", s.name, time.Since(began).Seconds())
	if r.write != "" {
		if err := page.Replace(r.write, "lab "+s.name, text); err != nil {
			return err
		}
	}
	return check(trials)
}

// all runs trials side by side, or one after the other.
func (r *runner) all(ctx context.Context, trials []*trial, alone bool) error {
	workers := r.parallel
	if alone {
		workers = 1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg       sync.WaitGroup
		work     = make(chan *trial)
		progress sync.Mutex
	)
	for range workers {
		wg.Go(func() {
			for t := range work {
				log, err := r.trial(ctx, t)
				if err != nil {
					cancel(fmt.Errorf("%v: %w", t, err))
					return
				}
				progress.Lock()
				fmt.Fprintf(os.Stderr, "%v: %s\n%s%s", t, t.summary(), t.limits(), r.failures(t, log))
				progress.Unlock()
			}
		})
	}
	for _, t := range trials {
		select {
		case work <- t:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// trial runs one and returns the server's log. An error is the lab's, or that the
// time is over; what the library does wrong is in the associations.
func (r *runner) trial(ctx context.Context, t *trial) (log string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+time.Duration(t.n)*t.every+t.settle)
	defer cancel()
	l, err := lab.Up(ctx, t.path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	server, err := l.Start(ctx, lab.Server, r.program, t.arguments("server", r.files[t.chain], r.trace)...)
	if err != nil {
		return "", err
	}
	defer server.Stop()
	if err := server.Report(new(string)); err != nil { // it listens
		return "", err
	}
	client, err := l.Start(ctx, lab.Client, r.program, t.arguments("client", r.files[t.chain], r.trace)...)
	if err != nil {
		return "", err
	}
	defer client.Stop()
	for range t.n {
		var a association
		if err := client.Report(&a); err != nil {
			return "", err
		}
		t.done = append(t.done, a)
	}
	flows, err := l.Flows(ctx)
	if err != nil {
		return "", err
	}
	if err := t.count(flows); err != nil {
		return "", err
	}
	client.Stop()
	return server.Stop(), nil
}

// count sets the datagrams of each handshake.
func (t *trial) count(flows map[int]lab.Counts) error {
	for i := range t.done {
		a := &t.done[i]
		if a.Port == 0 {
			continue
		}
		sent, ok := flows[a.Port]
		if !ok {
			return fmt.Errorf("no datagrams of port %d", a.Port)
		}
		a.Datagrams = sent.FromClient + sent.FromServer - a.Written - a.Answers
	}
	return nil
}

// arguments of an end's process.
func (t *trial) arguments(end string, files dtlstest.Files, trace bool) []string {
	args := []string{"serve", "-address", ":4433"}
	if end == "client" {
		args = []string{
			"dial", "-address", lab.Server4 + ":4433", "-n", strconv.Itoa(t.n), "-every", t.every.String(),
			"-settle", t.settle.String(), fmt.Sprintf("-data=%t", t.data),
		}
	}
	args = append(args, "-version", t.version, "-chain", files.Chain, "-key", files.Key, "-root", files.Root,
		fmt.Sprintf("-mutual=%t", t.mutual), fmt.Sprintf("-classic=%t", t.classic), fmt.Sprintf("-trace=%t", trace))
	if t.think.end == end {
		args = append(args, "-think", t.think.time.String(), "-in", t.think.callback)
	}
	return args
}

// failures are the associations that miss something, with -trace and what both ends
// saw of the first of them.
func (r *runner) failures(t *trial, log string) string {
	const most = 3
	var b strings.Builder
	for i := range t.done {
		a := &t.done[i]
		lacks := t.misses(a)
		if lacks == "" {
			continue
		}
		fmt.Fprintf(&b, "  port %d, %s s, %d datagrams, client %v, server %v: %s %s\n", a.Port, seconds(a.Took), a.Datagrams, a.Client, a.Server, lacks, a.Error)
		if r.trace {
			fmt.Fprintf(&b, "client:\n%sserver:\n%s", a.Log, linesWith(log, fmt.Sprintf(":%d ", a.Port)))
		}
		if strings.Count(b.String(), "  port ") >= most && !r.trace {
			b.WriteString("  …\n")
			break
		}
	}
	return b.String()
}

func linesWith(text, part string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			b.WriteString(line)
		}
	}
	return b.String()
}
