package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// streams are the standard ones, or what stands for them in tests.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, std streams) int {
	// Hooks of a dtls.Trace write while commands do.
	std.err = &lockedWriter{w: std.err}
	root := newRoot(std)
	err := root.Parse(args)
	var none ffcli.NoExecError
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &none):
		if args := root.FlagSet.Args(); len(args) > 0 {
			fmt.Fprintf(std.err, "flightpath: there is no command %q\n\n", args[0])
		}
		root.FlagSet.Usage()
		return 2
	case err != nil:
		return 2 // package flag has said why
	}
	if err := root.Run(ctx); err != nil {
		fmt.Fprintf(std.err, "flightpath: %v\n", err)
		return 1
	}
	return 0
}

// newRoot returns the tree of commands.
func newRoot(std streams) *ffcli.Command {
	return &ffcli.Command{
		Name:        "flightpath",
		ShortUsage:  "flightpath <command> [flags]",
		LongHelp:    "DTLS associations from the command line: as a client, as a server, and shown datagram\nby datagram.",
		FlagSet:     newFlagSet("flightpath", std.err),
		Subcommands: []*ffcli.Command{newConnectCommand(std), newListenCommand(std), newDemoCommand(std.out, std.err)},
	}
}

func newFlagSet(name string, out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(out)
	return fs
}

// lockedWriter lets goroutines share w; one Write is one piece.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
