package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// minMTU is the smallest MTU the library works with, bytes of UDP payload.
const minMTU = 228

// options are the flags of the demo.
type options struct {
	mtu       int     // bytes of UDP payload
	blackhole bool    // what is larger vanishes, instead of being refused
	hint      bool    // refusals say what would pass
	loss      float64 // percent of the datagrams
	reorder   int     // datagrams that may overtake one
	seed      uint64
	version   string
	pq        bool // post-quantum groups alone, with a share in the first hello
	verbose   bool
	timeout   time.Duration
	timers    dtls.RetransmitPolicy
}

// defaultTimers suit a path that never leaves this machine: a demonstration of heavy
// loss need not wait for a minute's back-off.
var defaultTimers = dtls.RetransmitPolicy{Initial: 500 * time.Millisecond, Max: 2 * time.Second, MaxTries: 12}

func newDemoCommand(stdout io.Writer) *ffcli.Command {
	o := options{timers: defaultTimers}
	fs := newFlagSet("flightpath demo")
	fs.IntVar(&o.mtu, "mtu", 0, "largest datagram the path takes, bytes of UDP payload (default 548, 1232 with -pq)")
	fs.BoolVar(&o.blackhole, "blackhole", false, "swallow larger datagrams in silence instead of refusing them")
	fs.BoolVar(&o.hint, "hint", false, "refusals say what would pass, as most kernels know")
	fs.Float64Var(&o.loss, "loss", 0, "percent of the datagrams that are lost, each way")
	fs.IntVar(&o.reorder, "reorder", 0, "let up to this many datagrams overtake one in four")
	fs.Uint64Var(&o.seed, "seed", 1, "of loss and reordering")
	fs.StringVar(&o.version, "version", "1.3", "DTLS version, 1.2 or 1.3")
	fs.BoolVar(&o.pq, "pq", false, "DTLS 1.3: offer post-quantum groups alone, so that the first hello takes two datagrams")
	fs.BoolVar(&o.verbose, "v", false, "show every datagram")
	fs.DurationVar(&o.timeout, "timeout", 30*time.Second, "give up after this time")
	return &ffcli.Command{
		Name:       "demo",
		ShortUsage: "flightpath demo [flags]",
		ShortHelp:  "a handshake over a path that is too small for it",
		LongHelp: `A client and a server in this process, each with a certificate chain of several
kilobytes, shake hands over the loopback interface and echo one message. The path
between them refuses datagrams over -mtu with EMSGSIZE. Handshake returns that as
*LargePacketError; the caller sets a smaller MTU and calls Handshake again, and the
same flight goes on. With -blackhole nobody says anything, and both sides have to
find out by themselves.`,
		FlagSet: fs,
		Exec: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return badUsage("demo takes flags only, not %q", args[0])
			}
			if err := checkRules(fs, demoRules); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if !given(fs, "mtu") {
				o.mtu = 548
				if o.pq {
					o.mtu = 1232
				}
			}
			return demo(ctx, o, stdout)
		},
	}
}

// versions by the names of the -version flag.
var versions = map[string]uint16{"1.2": dtls.VersionDTLS12, "1.3": dtls.VersionDTLS13}

// check finds what cannot work before anything is sent.
func (o options) check() error {
	switch {
	case versions[o.version] == 0:
		return badUsage("demo: -version %s: there are 1.2 and 1.3", o.version)
	case o.pq && o.version != "1.3":
		return badUsage("demo: -pq needs -version 1.3: DTLS 1.2 has no post-quantum groups")
	case o.mtu < 1:
		return badUsage("demo: -mtu %d: bytes of UDP payload, %d or more", o.mtu, minMTU)
	case o.blackhole && o.mtu < minMTU:
		return badUsage("demo: -mtu %d -blackhole: DTLS needs %d bytes of UDP payload here; on a smaller path that swallows in silence, both sides could only wait", o.mtu, minMTU)
	case o.loss < 0 || o.loss > 90:
		return badUsage("demo: -loss %g: percent, from 0 to 90", o.loss)
	case o.reorder < 0:
		return badUsage("demo: -reorder %d: a number of datagrams", o.reorder)
	case o.timeout <= 0:
		return badUsage("demo: -timeout %v: must be longer than 0", o.timeout)
	}
	return nil
}

// demo runs the demonstration and prints it.
func demo(ctx context.Context, o options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("no echo within %v", o.timeout))
	defer cancel()
	fmt.Fprintf(out, "%s\n\n", o.headline())
	r, err := run(ctx, o, out)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.print(out)
	if !r.exportersEqual {
		return errors.New("demo: the two ends exported different keying material")
	}
	return nil
}

func (o options) headline() string {
	text := fmt.Sprintf("DTLS %s over a path that refuses datagrams over %d bytes of UDP payload", o.version, o.mtu)
	if o.blackhole {
		text = fmt.Sprintf("DTLS %s over a black hole: datagrams over %d bytes of UDP payload vanish", o.version, o.mtu)
	}
	if o.loss > 0 {
		text += fmt.Sprintf(", %g %% are lost", o.loss)
	}
	if o.reorder > 0 {
		text += fmt.Sprintf(", a quarter is overtaken by up to %d others", o.reorder)
	}
	return fmt.Sprintf("%s (seed %d)", text, o.seed)
}
