// Command paths makes many associations at a time on paths that are slow, policed,
// lossy or narrow, asks both ends for their limits afterwards, and writes the results
// as tables. It needs root; see package lab.
//
//	go run ./e2e/lab/paths [-scene loss] [-only 1.3] [-write docs/mtu.md]
//
// Both ends are the library, as processes of their own. The exit code is 1 if a
// requirement of scenes.go does not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/flightpath-dtls/flightpath/e2e/role"
)

func main() {
	role.Play(map[string]func(args []string) error{"serve": serve, "dial": dial})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "paths:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	scene    string
	only     string
	parallel int
	trace    bool
	write    string
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("paths", flag.ContinueOnError)
	flags.StringVar(&o.scene, "scene", "", "this one alone: "+strings.Join(sceneNames(), ", "))
	flags.StringVar(&o.only, "only", "", "trials whose name contains this, such as `1.3`")
	flags.IntVar(&o.parallel, "parallel", 4, "trials that run side by side, in scenes where times do not count")
	flags.BoolVar(&o.trace, "trace", false, "print what both ends saw of associations that miss a requirement")
	flags.StringVar(&o.write, "write", "", "put the tables into this `file`, between their marks")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.parallel < 1 || flags.NArg() > 0 {
		return o, fmt.Errorf("bad arguments: %q", args)
	}
	if o.scene != "" && !slices.Contains(sceneNames(), o.scene) {
		return o, fmt.Errorf("no scene %q", o.scene)
	}
	if o.only != "" && o.write != "" {
		return o, errors.New("a part of a table is not written: -only or -write")
	}
	return o, nil
}
