package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/e2e/role"
)

// victim is a server process, seen from here.
type victim struct {
	*role.Process
	roots *x509.CertPool
	addr  netip.AddrPort
}

func startVictim(ctx context.Context, name string, args ...string) (*victim, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	v := &victim{}
	if v.Process, err = role.Start(exec.CommandContext(ctx, program, append([]string{name}, args...)...)); err != nil {
		return nil, err
	}
	var s setup
	if err := v.Report(&s); err != nil {
		return nil, err
	}
	if s.Root != nil {
		root, err := x509.ParseCertificate(s.Root)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, v.Stop())
		}
		v.roots = x509.NewCertPool()
		v.roots.AddCert(root)
	}
	v.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(s.Port))
	return v, nil
}

func (v *victim) ask(question string) (s stats, err error) {
	err = v.Ask(question, &s)
	return s, err
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
