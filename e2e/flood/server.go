package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// The victim of a flood is this program again. It is asked on its standard
// input, a line for each question, and answers with JSON.
const (
	serveRole = "serve" // a Listener
	bareRole  = "bare"  // a socket that answers

	askStats = "stats"
	askHeap  = "heap"  // stats after a garbage collection
	askClose = "close" // closes the Listener, then stats
)

var roles = map[string]func(args []string) error{serveRole: serve, bareRole: answer}

// setup is the first answer, without being asked: what clients need to know.
type setup struct {
	Port int
	Root []byte // certificate, DER
}

// stats is what a server has cost until now.
type stats struct {
	Goroutines int
	Files      int           // open descriptors
	Heap       int64         // live bytes
	Mallocs    int64         // objects ever allocated
	User       time.Duration // of the processor, in the program
	System     time.Duration // in the kernel
	Listener   dtls.ListenerStats
}

// pskIdentity and pskKey let clients in without certificates, where handshakes
// should be cheap.
var pskIdentity, pskKey = []byte("crowd"), []byte("0123456789abcdef")

// A server's idle clients are left after this time: they may have vanished.
const idle = 5 * time.Second

// serve runs a Listener with its default Config on the wildcard address, on a
// port that is free. An argument is another HandshakeTimeout.
func serve(args []string) error {
	var timeout time.Duration
	if len(args) > 0 {
		var err error
		if timeout, err = time.ParseDuration(args[0]); err != nil {
			return err
		}
	}
	chain, err := dtlstest.NewChain(dtlstest.P256, 0)
	if err != nil {
		return err
	}
	l, err := dtls.Listen("udp", ":0", &dtls.Config{
		HandshakeTimeout: timeout,

		Certificates: []tls.Certificate{chain.Certificate},
		ServerPSK: func(_ context.Context, info dtls.ServerPSKInfo) (*dtls.PSK, error) {
			if string(info.Identity) != string(pskIdentity) {
				return nil, nil
			}
			return &dtls.PSK{Identity: pskIdentity, Key: pskKey}, nil
		},
	})
	if err != nil {
		return err
	}
	defer l.Close()
	go accept(l)
	return talk(setup{l.Addr().(*net.UDPAddr).Port, chain.Root.Raw}, l.Close, l.Stats)
}

// answer runs a socket that answers every datagram with as many bytes as a
// cookie takes.
func answer([]string) error {
	s, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		return err
	}
	defer s.Close()
	var answered atomic.Uint64
	go func() {
		var buf [2048]byte
		for {
			_, from, err := s.ReadFromUDPAddrPort(buf[:])
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if _, err := s.WriteToUDPAddrPort(buf[:verifyRequestLen], from); err == nil {
				answered.Add(1)
			}
		}
	}()
	return talk(setup{Port: s.LocalAddr().(*net.UDPAddr).Port}, s.Close, func() dtls.ListenerStats {
		return dtls.ListenerStats{CookiesSent: answered.Load()}
	})
}

// verifyRequestLen is the size of a HelloVerifyRequest, or nearly.
const verifyRequestLen = 48

// talk answers questions until they end.
func talk(first setup, shut func() error, listener func() dtls.ListenerStats) error {
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(first); err != nil {
		return err
	}
	for questions := bufio.NewScanner(os.Stdin); questions.Scan(); {
		switch q := questions.Text(); q {
		case askStats:
		case askHeap:
			runtime.GC()
			runtime.GC() // what pools keep goes with the second one
		case askClose:
			if err := shut(); err != nil {
				return err
			}
		default:
			return fmt.Errorf("no answer to %q", q)
		}
		s, err := measure()
		if err != nil {
			return err
		}
		s.Listener = listener()
		if err := answers.Encode(s); err != nil {
			return err
		}
	}
	return nil
}

func accept(l *dtls.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go converse(conn)
	}
}

// What a server says, and what it may be told.
const (
	greeting = "welcome"  // behind Accept
	sayBye   = "goodbye"  // close now
	sayStay  = "stay"     // close when nothing comes for a while
	sayEcho  = "say that" // send it back
)

// converse greets a client and does what it is told.
func converse(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 64)
	for _, err := conn.Write([]byte(greeting)); err == nil; {
		if err = conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		var n int
		if n, err = conn.Read(buf); err != nil {
			return
		}
		switch string(buf[:n]) {
		case sayBye:
			return
		case sayEcho:
			_, err = conn.Write(buf[:n])
		}
	}
}

// measure looks at this process.
func measure() (s stats, err error) {
	if s.User, s.System, err = cpuTime(); err != nil {
		return s, err
	}
	s.Goroutines = runtime.NumGoroutine()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Heap, s.Mallocs = int64(m.HeapAlloc), int64(m.Mallocs)
	s.Files, err = openFiles()
	return s, err
}

// openFiles counts the descriptors of this process; where the system does not
// list them there is nothing to compare.
func openFiles() (int, error) {
	list, err := os.ReadDir("/dev/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return len(list), err
}
