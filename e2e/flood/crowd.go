package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Strangers of a crowd have addresses from all over 127.0.0.0/8, and ports below
// those that systems hand out by themselves.
const (
	crowdAddrs = 1000
	crowdPorts = 65
	firstPort  = 10000
	portSpan   = 20000 // ports go around in this range; those in use are passed over
)

// crowd hands out sockets, each with an address and port of its own.
type crowd struct{ next int }

// socket is the next stranger. n counts pairs handed out: after crowdAddrs ×
// crowdPorts of them the first ones come again.
func (c *crowd) socket() (*net.UDPConn, error) {
	for range portSpan {
		n := c.next
		c.next++
		addr := n % crowdAddrs
		from := netip.AddrFrom4([4]byte{127, byte(10 + addr/250), byte(1 + addr%250), byte(1 + n%250)})
		port := uint16(firstPort + (n/crowdAddrs%crowdPorts)*(portSpan/crowdPorts))
		s, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, port)))
		if err == nil {
			// Nobody reads the replies; they need not take memory.
			return s, s.SetReadBuffer(2048)
		}
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // a system with that one only
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, errors.New("no free port on 127.0.0.0/8")
}

// sockets are the next n strangers.
func (c *crowd) sockets(n int) (list []*net.UDPConn, err error) {
	for range n {
		s, err := c.socket()
		if err != nil {
			closeAll(list)
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func closeAll(list []*net.UDPConn) {
	for _, s := range list {
		_ = s.Close()
	}
}

// helloTemplate is a ClientHello as the library sends it by default. Each use
// has another random.
type helloTemplate struct{ datagram []byte }

// Offsets in the datagram of a ClientHello, RFC 6347, Sections 4.1 and 4.2.2:
// record header, fragment header, client_version, random.
const (
	randomAt  = 13 + 12 + 2
	randomLen = 32
)

func newHelloTemplate() (*helloTemplate, error) {
	engine, err := dtls.NewClientEngine(&dtls.Config{ServerName: "localhost"}, time.Now())
	if err != nil {
		return nil, err
	}
	tx, ok := engine.PollTransmit(time.Now(), nil)
	if !ok || len(tx.Data) < randomAt+randomLen {
		return nil, fmt.Errorf("no hello: %x", tx.Data)
	}
	h := &helloTemplate{tx.Data}
	_, err = io.ReadFull(rand.Reader, h.datagram[randomAt:][:randomLen])
	return h, err
}

// another is a hello with a random that was not there before. It is valid until
// the next call.
func (h *helloTemplate) another() []byte {
	for i := randomAt; i < randomAt+randomLen; i++ {
		if h.datagram[i]++; h.datagram[i] != 0 {
			break
		}
	}
	return h.datagram
}
