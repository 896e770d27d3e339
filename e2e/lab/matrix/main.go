// Command matrix runs handshakes with a long certificate chain through paths
// that are narrow, lose packets, and tell or do not tell about it, and writes
// the result as a table. It needs root; see package lab.
//
//	go run ./e2e/lab/matrix [-version 1.2] [-tries 6] [-write docs/mtu.md]
//
// Both ends are the library with its default Config, as processes of their own.
// The exit code is 1 if a requirement of check.go does not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/flightpath-dtls/flightpath/e2e/role"
)

func main() {
	role.Play(roles)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measure(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	version  string
	tries    int
	lossy    int
	parallel int
	only     string
	trace    bool
	write    string
}

func parseOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "1.2", "of DTLS: 1.2, 1.3, or 1.3-only for clients that offer no other")
	flags.IntVar(&o.tries, "tries", 6, "handshakes in each cell")
	flags.IntVar(&o.lossy, "lossy", 0, "handshakes in each cell with 30 % loss, 0: 6, and 21 with -version 1.3-only")
	flags.IntVar(&o.parallel, "parallel", 8, "tries with loss that run side by side; they mostly wait")
	flags.StringVar(&o.only, "only", "", "cells whose name contains this, such as `\"black hole 576\"`")
	flags.BoolVar(&o.trace, "trace", false, "print what both ends saw of every try, not only of failed ones")
	flags.StringVar(&o.write, "write", "", "put the table into this `file`, between its marks")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if _, err := versionOf(o.version); err != nil {
		return o, err
	}
	if o.tries < 1 || o.lossy < 0 || o.parallel < 1 || flags.NArg() > 0 {
		return o, fmt.Errorf("bad arguments: %q", args)
	}
	return o, nil
}
