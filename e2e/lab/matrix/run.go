package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
	"github.com/flightpath-dtls/flightpath/e2e/page"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// chainSize is the Certificate message of the server, in bytes.
const chainSize = 6000

// runner has what every try needs.
type runner struct {
	options
	program string // this one
	files   dtlstest.Files
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
	r := runner{options: o}
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	chain, err := dtlstest.NewChain(dtlstest.P256, chainSize)
	if err != nil {
		return err
	}
	if r.files, err = chain.Write(dir); err != nil {
		return err
	}
	var cells []*cell
	for _, c := range o.matrix() {
		if strings.Contains(c.String(), o.only) {
			cells = append(cells, c)
		}
	}
	if err := r.all(ctx, cells); err != nil {
		return err
	}
	text := table(cells, o.version)
	fmt.Print(text)
	if o.write != "" {
		if err := page.Replace(o.write, "lab "+o.version, text); err != nil {
			return err
		}
	}
	return check(cells, o.version)
}

// lane is tries of one cell that run one after the other, in a lab of their own.
type lane struct {
	*cell
	tries int
}

// laneTries is how many tries of a cell with loss have a lab together.
const laneTries = 3

// all runs the cells without loss one after the other, since their times are
// held against limits, and then the others side by side.
func (r *runner) all(ctx context.Context, cells []*cell) error {
	var lossy []lane
	for _, c := range cells {
		if c.loss > 0 {
			for n := c.want; n > 0; n -= laneTries {
				lossy = append(lossy, lane{c, min(n, laneTries)})
			}
			continue
		}
		if err := r.lane(ctx, lane{c, c.want}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	work := make(chan lane)
	for range r.parallel {
		wg.Go(func() {
			for c := range work {
				if err := r.lane(ctx, c); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, c := range lossy {
		select {
		case work <- c:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// lane runs one. An error is the lab's, or that the time is over; what the library
// does wrong is in the tries.
func (r *runner) lane(ctx context.Context, c lane) (err error) {
	l, err := lab.Up(ctx, c.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Down()) }()
	for range c.tries {
		if err := l.Forget(ctx); err != nil {
			return err
		}
		before, err := l.Count(ctx)
		if err != nil {
			return err
		}
		t, err := r.try(ctx, l, c.cell)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		after, err := l.Count(ctx)
		if err != nil {
			return err
		}
		t.sent = after.Sub(before)
		r.progress(c.cell, c.add(t), t)
	}
	return nil
}

// try is one handshake between new processes.
func (r *runner) try(ctx context.Context, l *lab.Lab, c *cell) (try, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience+10*time.Second)
	defer cancel()
	server, err := l.Start(ctx, lab.Server, r.program, "serve", "-version", r.version,
		"-chain", r.files.Chain, "-key", r.files.Key, "-address", ":4433")
	if err != nil {
		return try{}, err
	}
	defer server.Stop()
	if err := server.Report(new(report)); err != nil { // it listens
		return try{}, err
	}
	client, err := l.Start(ctx, lab.Client, r.program, "dial", "-version", r.version,
		"-root", r.files.Root, "-address", "["+c.server()+"]:4433")
	if err != nil {
		return try{}, err
	}
	defer client.Stop()

	var (
		t            try
		ours, theirs report
	)
	if err := client.Report(&ours); err != nil {
		return try{}, err
	}
	if t.err = ours.Error; t.err == "" {
		if err := server.Report(&theirs); err != nil {
			return try{}, err
		}
		t.err, t.complete = theirs.Error, theirs.Error == ""
		last := ours.Established
		if theirs.Established.After(last) {
			last = theirs.Established
		}
		t.took = last.Sub(ours.Began)
	}
	t.log = "client:\n" + client.Stop() + "server:\n" + server.Stop()
	return t, nil
}
