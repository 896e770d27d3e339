package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// Exit codes.
const (
	exitDone   = 0 // what was asked for happened
	exitFailed = 1 // it did not
	exitUsage  = 2 // the command line is wrong
)

// streams are the standard ones, or what stands for them in tests.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func badUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// execute runs one command line and returns the exit code. A mistake in the
// command line is one line on standard error. Help that was asked for goes to
// standard output.
func execute(ctx context.Context, args []string, std streams) int {
	// Hooks of a dtls.Trace write while commands do.
	std.err = &lockedWriter{w: std.err}
	root := newRoot(std)
	// Package flag calls this for -h and for each flag that it refuses.
	refused := root
	for _, c := range append(root.Subcommands, root) {
		c.FlagSet.SetOutput(io.Discard)
		c.UsageFunc = func(c *ffcli.Command) string {
			refused = c
			return ""
		}
	}
	err := root.Parse(args)
	var none ffcli.NoExecError
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(std.out, help(refused))
		return exitDone
	case errors.As(err, &none) && len(root.FlagSet.Args()) == 0:
		fmt.Fprint(std.err, help(root))
		return exitUsage
	case errors.As(err, &none):
		err = noCommand(root.FlagSet.Arg(0))
	case err != nil:
		// ff wraps what package flag says.
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		if refused == root {
			err = badUsage("%w: flags follow the command, and flightpath help lists those", err)
		} else {
			err = badUsage("%s: %w (flightpath help %[1]s)", refused.Name, err)
		}
	default:
		err = root.Run(ctx)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(std.err, "flightpath: %v\n", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

func noCommand(name string) error {
	return badUsage("there is no command %q; flightpath help lists them", name)
}

// newRoot returns the tree of commands.
func newRoot(std streams) *ffcli.Command {
	root := &ffcli.Command{
		Name:       "flightpath",
		ShortUsage: "flightpath <command> [flags]",
		LongHelp:   "DTLS associations from the command line: as a client, as a server, and shown datagram by datagram.",
		FlagSet:    newFlagSet("flightpath"),
	}
	root.Subcommands = []*ffcli.Command{
		newConnectCommand(std), newListenCommand(std), newDemoCommand(std.out),
		newVersionCommand(std.out), newHelpCommand(root, std.out),
	}
	return root
}

// newFlagSet returns one that leaves it to execute to report errors.
func newFlagSet(name string) *flag.FlagSet { return flag.NewFlagSet(name, flag.ContinueOnError) }

// newHelpCommand explains root, or what its argument names.
func newHelpCommand(root *ffcli.Command, out io.Writer) *ffcli.Command {
	return &ffcli.Command{
		Name:       "help",
		ShortUsage: "flightpath help [command | suites]",
		ShortHelp:  "all flags of a command, or all cipher suites",
		FlagSet:    newFlagSet("flightpath help"),
		Exec: func(_ context.Context, args []string) error {
			switch {
			case len(args) == 0:
				fmt.Fprint(out, help(root))
				return nil
			case len(args) > 1:
				return badUsage("help takes one command, not %q", args)
			case args[0] == "suites":
				printSuites(out)
				return nil
			}
			for _, c := range root.Subcommands {
				if strings.EqualFold(c.Name, args[0]) {
					fmt.Fprint(out, help(c))
					return nil
				}
			}
			return noCommand(args[0])
		},
	}
}

// Columns of a help text.
const (
	helpWidth  = 80
	helpIndent = 26 // where descriptions begin
)

// help describes a command, its flags and its subcommands.
func help(c *ffcli.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n", c.ShortUsage)
	if text := c.LongHelp; text != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.Join(wrap(text, helpWidth), "\n"))
	}
	entry := func(name, text string) {
		lines := wrap(text, helpWidth-helpIndent)
		if len(name) > helpIndent-4 {
			fmt.Fprintf(&b, "  %s\n", name)
			name = ""
		}
		for _, line := range lines {
			fmt.Fprintf(&b, "  %-*s%s\n", helpIndent-2, name, line)
			name = ""
		}
	}
	if len(c.Subcommands) > 0 {
		fmt.Fprint(&b, "\ncommands:\n")
	}
	for _, sub := range c.Subcommands {
		entry(sub.Name, sub.ShortHelp)
	}
	title := "\nflags:\n"
	c.FlagSet.VisitAll(func(f *flag.Flag) {
		fmt.Fprint(&b, title)
		title = ""
		argument, text := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			text += " (default: " + f.DefValue + ")"
		}
		entry(strings.TrimSpace("-"+f.Name+" "+argument), text)
	})
	return b.String()
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
