package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/flightpath-dtls/flightpath/e2e/role"
)

// Host names one of the four namespaces of a lab.
type Host string

const (
	Client Host = "client"
	R1     Host = "r1" // the client's router, the one that loses packets
	R2     Host = "r2"
	Server Host = "server"
)

var hosts = []Host{Client, R1, R2, Server}

// Addresses of the two ends.
const (
	Client4, Client6 = "10.77.1.2", "fd77:1::2"
	Server4, Server6 = "10.77.3.2", "fd77:3::2"
)

// Lab is a path that is up. Its methods must not be called concurrently, but
// for Command and Start.
type Lab struct {
	prefix string // of the namespaces' names
}

// labs counts the ones of this process, so that their names differ.
var labs atomic.Uint64

// Up builds a lab. When it fails, nothing is left behind; else call Down. Labs
// of processes that have died without Down are taken away first.
func Up(ctx context.Context, p Path) (*Lab, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := available(); err != nil {
		return nil, err
	}
	sweep(ctx)
	l := &Lab{prefix: namePrefix(os.Getpid()) + strconv.FormatUint(labs.Add(1), 10) + "-"}
	if err := l.build(ctx, p); err != nil {
		return nil, fmt.Errorf("%w%s", err, suffix("; and not all of it went away: ", l.Down()))
	}
	return l, nil
}

func suffix(text string, err error) string {
	if err == nil {
		return ""
	}
	return text + err.Error()
}

func (l *Lab) build(ctx context.Context, p Path) error {
	for _, h := range hosts {
		if err := run(ctx, "", "ip", "netns", "add", l.namespace(h)); err != nil {
			return fmt.Errorf("lab: %w: the kernel needs CONFIG_NET_NS", err)
		}
		if err := run(ctx, "", "ip", "netns", "exec", l.namespace(h), "sh", "-c", sysctls(h)); err != nil {
			return err
		}
	}
	if err := run(ctx, l.wires(), "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("lab: %w: the kernel needs CONFIG_VETH (module veth)", err)
	}
	for _, h := range hosts {
		if err := l.ip(ctx, h, addresses[h]); err != nil {
			return err
		}
	}
	return l.Set(ctx, p)
}

// sysctls come before the links, which inherit them. Addresses of IPv6 are used
// at once, without looking for duplicates.
func sysctls(h Host) string {
	s := "cd /proc/sys/net && for c in all default; do echo 0 >ipv6/conf/$c/accept_dad; echo 0 >ipv6/conf/$c/accept_ra; echo 0 >ipv4/conf/$c/rp_filter; done"
	if h == R1 || h == R2 {
		s += " && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding"
	}
	return s
}

// wires joins the namespaces. gso_max_segs 1 puts every datagram on the wire by
// itself, so that packets can be counted.
func (l *Lab) wires() string {
	var b strings.Builder
	for _, w := range []struct {
		a, b     Host
		atA, atB string
	}{{Client, R1, "eth", "cli"}, {R1, R2, "mid", "mid"}, {R2, Server, "srv", "eth"}} {
		fmt.Fprintf(&b, "link add name %s gso_max_segs 1 netns %s type veth peer name %s gso_max_segs 1 netns %s\n",
			w.atA, l.namespace(w.a), w.atB, l.namespace(w.b))
	}
	return b.String()
}

// addresses and routes of each host; Set does the middle link's for IPv6.
var addresses = map[Host]string{
	Client: `link set lo up
link set eth up
addr add 10.77.1.2/24 dev eth
route add default via 10.77.1.1
addr add fd77:1::2/64 dev eth nodad
route add default via fd77:1::1`,
	R1: `link set cli up
link set mid up
addr add 10.77.1.1/24 dev cli
addr add 10.77.2.1/24 dev mid
route add 10.77.3.0/24 via 10.77.2.2
addr add fd77:1::1/64 dev cli nodad`,
	R2: `link set mid up
link set srv up
addr add 10.77.2.2/24 dev mid
addr add 10.77.3.1/24 dev srv
route add 10.77.1.0/24 via 10.77.2.1
addr add fd77:3::1/64 dev srv nodad`,
	Server: `link set lo up
link set eth up
addr add 10.77.3.2/24 dev eth
route add default via 10.77.3.1
addr add fd77:3::2/64 dev eth nodad
route add default via fd77:3::1`,
}

// minIPv6 is the smallest link that IPv6 uses (RFC 8200, Section 5). Linux takes
// all addresses off a smaller one.
const minIPv6 = 1280

// kernelNeeds is said when the kernel refuses the rules.
const kernelNeeds = "lab: the kernel needs CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET (module nf_tables), " +
	"CONFIG_NFT_NUMGEN (nft_numgen) for loss, and CONFIG_NFT_LIMIT (nft_limit) for a policer"

// Set changes the path of a running lab. Learned path MTUs stay: see Forget.
func (l *Lab) Set(ctx context.Context, p Path) error {
	if err := p.check(); err != nil {
		return err
	}
	for _, h := range []Host{R1, R2} {
		script := fmt.Sprintf("link set mid mtu %d", p.MTU)
		if p.MTU >= minIPv6 {
			near, far, behind := "fd77:2::1", "fd77:2::2", "fd77:3::/64"
			if h == R2 {
				near, far, behind = far, near, "fd77:1::/64"
			}
			script += fmt.Sprintf("\naddr replace %s/64 dev mid nodad\nroute replace %s via %s", near, behind, far)
		}
		if err := l.ip(ctx, h, script); err != nil {
			return err
		}
	}
	for _, h := range hosts {
		if err := run(ctx, rules(h, p), "ip", "netns", "exec", l.namespace(h), "nft", "-f", "-"); err != nil {
			return fmt.Errorf("lab: %w\n%s", err, kernelNeeds)
		}
	}
	return nil
}

// Forget makes both ends forget what they have learned of the path: a path MTU
// outlives the process that learned it, by ten minutes.
func (l *Lab) Forget(ctx context.Context) error {
	for _, h := range []Host{Client, Server} {
		for _, family := range []string{"-4", "-6"} {
			if err := run(ctx, "", "ip", "-netns", l.namespace(h), family, "route", "flush", "cache"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Command is a program to run on a host. It ends with ctx, and at the latest
// with Down.
func (l *Lab) Command(ctx context.Context, h Host, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.namespace(h), program}, args...)...)
}

// Start starts a program on a host, as Command has it.
func (l *Lab) Start(ctx context.Context, h Host, program string, args ...string) (*role.Process, error) {
	return role.Start(l.Command(ctx, h, program, args...))
}

// Down takes the lab away, with all that still runs in it.
func (l *Lab) Down() error { return remove(l.prefix) }

func (l *Lab) namespace(h Host) string { return l.prefix + string(h) }

func (l *Lab) ip(ctx context.Context, h Host, script string) error {
	return run(ctx, script, "ip", "-netns", l.namespace(h), "-batch", "-")
}

// run runs a program to its end; what it says becomes the error.
func run(ctx context.Context, input, program string, args ...string) error {
	_, err := output(ctx, input, program, args...)
	return err
}

func output(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
