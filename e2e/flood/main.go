// Command flood puts a Listener under what crowds of strangers can do to it,
// and holds what that costs against limits: hellos from tens of thousands of
// addresses, handshakes that stall, fragments that never become a message, and
// associations that end in every way there is.
//
//	go run ./e2e/flood [-only name] [-scale 1] [-write docs/security.md]
//
// The server is a process of its own, so that its memory, processor time,
// goroutines and files are its own. Everything stays on the loopback
// interface. The exit code is 1 if a limit does not hold; the limits of time
// are meant for an idle machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/flightpath-dtls/flightpath/e2e/page"
	"github.com/flightpath-dtls/flightpath/e2e/role"
)

func main() {
	role.Play(roles)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := runAll(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

// scenario is one kind of flood. A scale of 1 is its full form.
type scenario struct {
	name, what string
	run        func(ctx context.Context, scale float64) ([]figure, error)
}

var scenarios = []scenario{
	{"hellos", "10⁶ hellos from 65 000 addresses and ports", hellos},
	{"honest", "handshakes of honest clients, meanwhile 20 000 hellos/s", honest},
	{"bombs", "30 MB of fragments over 6 associations", bombs},
	{"stalled", "handshakes of honest clients beside 1000 that stall", stalled},
	{"endings", "10 000 associations that end in every way", endings},
}

// figure is something measured. limit is "" for what is only reported; full
// says that it makes sense for the full form on an idle machine only.
type figure struct {
	what, value, limit string
	holds, full        bool
}

// atMost is a figure with a limit. format is for both.
func atMost[T int | int64 | float64](what, format string, value, limit T) figure {
	return figure{what: what, value: fmt.Sprintf(format, value), limit: "≤ " + fmt.Sprintf(format, limit), holds: value <= limit}
}

// told is a figure that is only reported.
func told(what, format string, values ...any) figure {
	return figure{what: what, value: fmt.Sprintf(format, values...), holds: true}
}

// inFull marks a limit that needs the full form.
func (f figure) inFull() figure {
	f.full = true
	return f
}

func runAll(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("flood", flag.ContinueOnError)
	only := flags.String("only", "", "the scenario with this `name`: hellos, honest, bombs, stalled or endings")
	scale := flags.Float64("scale", 1, "part of the full form, 0…1")
	write := flags.String("write", "", "put the table into this `file`, between the marks for it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *scale <= 0 || *scale > 1 || flags.NArg() > 0 {
		return fmt.Errorf("bad arguments: %q", args)
	}
	if _, _, err := cpuTime(); err != nil {
		return err
	}
	text := "| flood | measured | | limit |\n|---|---|---|---|\n"
	fmt.Print(text)
	var errs []error
	for _, s := range scenarios {
		if *only != "" && *only != s.name {
			continue
		}
		figures, err := s.run(ctx, *scale)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Print(rows(s, figures))
		text += rows(s, figures)
		for _, f := range figures {
			if !f.holds {
				errs = append(errs, fmt.Errorf("%s: %s: %s, want %s", s.name, f.what, f.value, f.limit))
			}
		}
	}
	if *write != "" {
		errs = append(errs, page.Replace(*write, "flood", text))
	}
	return errors.Join(errs...)
}

// rows are a scenario's part of the table.
func rows(s scenario, figures []figure) string {
	var b strings.Builder
	for i, f := range figures {
		name := ""
		if i == 0 {
			name = s.what
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, f.what, f.value, f.limit)
	}
	return b.String()
}
