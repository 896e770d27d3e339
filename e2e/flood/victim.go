package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// victim is a server process, seen from here.
type victim struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
	log     bytes.Buffer
	roots   *x509.CertPool
	addr    netip.AddrPort
}

func startVictim(ctx context.Context, role string, args ...string) (*victim, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v := &victim{cmd: exec.CommandContext(ctx, program, append([]string{role}, args...)...)}
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	v.answers, v.cmd.Stderr = json.NewDecoder(out), &v.log
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	var s setup
	if err := v.answer(&s); err != nil {
		return nil, err
	}
	if s.Root != nil {
		root, err := x509.ParseCertificate(s.Root)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, v.stop())
		}
		v.roots = x509.NewCertPool()
		v.roots.AddCert(root)
	}
	v.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(s.Port))
	return v, nil
}

// stop ends the process and returns its complaints.
func (v *victim) stop() string {
	_ = v.in.Close()
	_ = v.cmd.Wait() // the answers have told what there is to tell
	return v.log.String()
}

func (v *victim) ask(question string) (s stats, err error) {
	if _, err := io.WriteString(v.in, question+"\n"); err != nil {
		return s, fmt.Errorf("%w\n%s", err, v.stop())
	}
	return s, v.answer(&s)
}

func (v *victim) answer(into any) error {
	if err := v.answers.Decode(into); err != nil {
		return fmt.Errorf("the server does not answer: %w\n%s", err, v.stop())
	}
	return nil
}

// config is an honest client's.
func (v *victim) config() *dtls.Config {
	return &dtls.Config{RootCAs: v.roots, ServerName: "localhost"}
}

// cheapConfig is that of a client with a pre-shared key and no certificates.
func (v *victim) cheapConfig() *dtls.Config {
	return &dtls.Config{
		ClientPSK: func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) {
			return []dtls.PSK{{Identity: pskIdentity, Key: pskKey}}, nil
		},
		CipherSuites: []uint16{0x00a8}, // TLS_PSK_WITH_AES_128_GCM_SHA256
	}
}

// dial opens a socket of its own on the loopback interface, from any address.
func (v *victim) dial() (*net.UDPConn, error) {
	return net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(v.addr))
}
