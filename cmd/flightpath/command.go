package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	err := root.Parse(args)
	var none ffcli.NoExecError
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &none):
		if args := root.FlagSet.Args(); len(args) > 0 {
			fmt.Fprintf(stderr, "flightpath: there is no command %q\n\n", args[0])
		}
		root.FlagSet.Usage()
		return 2
	case err != nil:
		return 2 // package flag has said why
	}
	if err := root.Run(ctx); err != nil {
		fmt.Fprintf(stderr, "flightpath: %v\n", err)
		return 1
	}
	return 0
}

// newRoot returns the tree of commands.
func newRoot(stdout, stderr io.Writer) *ffcli.Command {
	return &ffcli.Command{
		Name:        "flightpath",
		ShortUsage:  "flightpath <command> [flags]",
		LongHelp:    "DTLS associations, shown datagram by datagram.",
		FlagSet:     newFlagSet("flightpath", stderr),
		Subcommands: []*ffcli.Command{newDemoCommand(stdout, stderr)},
	}
}

func newFlagSet(name string, out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(out)
	return fs
}
