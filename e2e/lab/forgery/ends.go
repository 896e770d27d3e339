//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Ports that the forger knows.
const (
	serverPort = 4433
	clientPort = 40000
)

// patience is what a handshake gets.
const patience = 10 * time.Second

// report is what an end says when it listens, is established, and then for each
// line of its standard input.
type report struct {
	Took    time.Duration `json:",omitzero"` // of the client's handshake
	MTU     int           `json:",omitempty"`
	MaxData int           `json:",omitempty"`
	Heard   int           `json:",omitempty"` // bytes of data until now
	Error   string        `json:",omitempty"`
}

func (r report) print() error { return json.NewEncoder(os.Stdout).Encode(r) }

// serve and dial are the two ends: with the default Config but for what they
// cannot do without.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	chain, key := flags.String("chain", "", ""), flags.String("key", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(*chain, *key)
	if err != nil {
		return err
	}
	l, err := dtls.Listen("udp", ":"+strconv.Itoa(serverPort), &dtls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := (report{}).print(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := l.AcceptContext(ctx)
	if err != nil {
		return report{Error: err.Error()}.print()
	}
	return talk(conn, 0)
}

func dial(args []string) error {
	flags := flag.NewFlagSet("dial", flag.ContinueOnError)
	root, address := flags.String("root", "", ""), flags.String("address", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pem, err := os.ReadFile(*root)
	if err != nil {
		return err
	}
	config := &dtls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	config.RootCAs.AppendCertsFromPEM(pem)
	d := dtls.Dialer{Config: config, NetDialer: &net.Dialer{LocalAddr: &net.UDPAddr{Port: clientPort}}}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := d.DialContext(ctx, "udp", *address)
	if err != nil {
		return report{Error: err.Error()}.print()
	}
	return talk(conn.(*dtls.Conn), time.Since(began))
}

// talk writes as many bytes as each line of the standard input says, and
// reports.
func talk(conn *dtls.Conn, took time.Duration) error {
	defer conn.Close()
	var heard atomic.Int64
	go func() {
		for buf := make([]byte, 2048); ; {
			n, err := conn.Read(buf)
			if err != nil && dtls.IsFatal(err) {
				return
			}
			heard.Add(int64(n))
		}
	}()
	if err := (report{Took: took, MTU: conn.MTU(), MaxData: conn.MaxData()}).print(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		r := report{}
		if _, err := conn.Write(make([]byte, n)); err != nil {
			r.Error = err.Error()
		}
		r.MTU, r.MaxData, r.Heard = conn.MTU(), conn.MaxData(), int(heard.Load())
		if err := r.print(); err != nil {
			return err
		}
	}
	return nil
}
