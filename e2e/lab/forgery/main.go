//go:build linux

// Command forgery sends forged "packet too big" messages to both ends of an
// association, and to handshakes, and checks that they change nothing that a
// forger must not change. It needs root; see package lab.
//
//	go run ./e2e/lab/forgery
//
// The forger sits on the client's router. It knows all addresses and ports, but
// only in the shots called seen has it read the datagram that it quotes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
	"github.com/flightpath-dtls/flightpath/e2e/role"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

func main() {
	role.Play(roles)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := shootAll(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "forgery:", err)
		os.Exit(1)
	}
}

var roles = map[string]func(args []string) error{"serve": serve, "dial": dial, "forge": forge}

// shootAll runs the scenarios for IPv4 and IPv6, in labs of their own.
func shootAll(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "flightpath-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	chain, err := dtlstest.NewChain(dtlstest.P256, 6000)
	if err != nil {
		return err
	}
	files, err := chain.Write(dir)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range []family{ipv4, ipv6} {
		r := &shooting{family: f, program: program, files: files}
		for _, s := range []struct {
			what string
			run  func(context.Context) (string, error)
		}{{"established", r.established}, {"in handshakes", r.handshakes}} {
			summary, err := r.inLab(ctx, s.run)
			if err != nil {
				errs = append(errs, fmt.Errorf("%v, %s: %w", f, s.what, err))
				summary = "failed"
			}
			fmt.Printf("%v, %s: %s\n", f, s.what, summary)
		}
	}
	return errors.Join(errs...)
}

// family is what differs between IPv4 and IPv6.
type family struct {
	name           string
	client, server string
	smallest       int // link that is believed, bytes of IP packet
	headers        int // bytes of IP and UDP
}

var (
	ipv4 = family{"IPv4", lab.Client4, lab.Server4, 576, 28}
	ipv6 = family{"IPv6", lab.Client6, lab.Server6, 1280, 48}
)

func (f family) String() string { return f.name }

// shooting is a lab with two ends and a forger in it.
type shooting struct {
	family
	program string
	files   dtlstest.Files
	lab     *lab.Lab
}

func (r *shooting) inLab(ctx context.Context, run func(context.Context) (string, error)) (summary string, err error) {
	if r.lab, err = lab.Up(ctx, lab.Path{}); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.lab.Down()) }()
	return run(ctx)
}
