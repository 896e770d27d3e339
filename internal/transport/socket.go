// Package transport carries datagrams: over a net.Conn with one peer, or over a
// net.PacketConn with many. UDP sockets are used through package udpsock, without
// allocation and with the notices of their kernel; all others through their methods
// only.
//
// What it adds to a transport is that the error of a call belongs to the datagram of
// that call, and what errors mean: a datagram that is too large, a fault that passes, a
// transport that is closed.
package transport

import (
	"errors"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// Socket is a net.Conn with one peer, or a net.PacketConn with many. Own and Shared make
// it. Send may be called by any goroutine, Receive and PassForeign by one, the reader.
type Socket struct {
	conn    net.Conn // one peer; nil: shared
	pc      net.PacketConn
	udp     UDP // whichever it is, if it is one of UDP
	noticed func(udpsock.Notice)
	large   Large
	cut     bool // IP may fragment the datagrams; with one peer only
	foreign foreign
	logger  *slog.Logger
	traffic struct{ datagramsIn, bytesIn, datagramsOut, bytesOut atomic.Uint64 }
}

// Own is a socket with one peer. noticed is called with the notices of the network about
// earlier datagrams, without locks held, by any goroutine that reads or writes. large
// knows the errors for datagrams that are too large.
func Own(conn net.Conn, noticed func(udpsock.Notice), large Large) Socket {
	return Socket{conn: conn, udp: asUDP(conn), noticed: noticed, large: large}
}

// Shared is a socket with many peers; the rest is as with Own.
func Shared(pc net.PacketConn, noticed func(udpsock.Notice), large Large) Socket {
	return Socket{pc: pc, udp: asUDP(pc), noticed: noticed, large: large}
}

// Conn is the transport of a socket with one peer, nil if the socket is shared.
func (s *Socket) Conn() net.Conn { return s.conn }

// IsUDP reports whether peers are known by their UDP address alone.
func (s *Socket) IsUDP() bool { return s.udp != nil }

// Traffic is what a socket has received and sent.
type Traffic struct{ DatagramsIn, BytesIn, DatagramsOut, BytesOut uint64 }

// Traffic is what was received and sent so far.
func (s *Socket) Traffic() Traffic {
	t := &s.traffic
	return Traffic{t.datagramsIn.Load(), t.bytesIn.Load(), t.datagramsOut.Load(), t.bytesOut.Load()}
}

// MakeRoom asks the system for a receive buffer that holds what arrives while the
// reader waits for a processor: where a flood fills the buffer, the ClientHello of an
// honest client is lost, and repeated a second later. The system may grant less.
func MakeRoom(pc net.PacketConn) {
	const queue = 4 << 20 // bytes, with what the system needs for each datagram
	if b, ok := pc.(interface{ SetReadBuffer(bytes int) error }); ok {
		_ = b.SetReadBuffer(queue)
	}
}

// ReadBuffer is the size of a buffer that takes any UDP payload whole, in bytes.
const ReadBuffer = 64 << 10

// LocalAddr is the address of the socket.
func (s *Socket) LocalAddr() net.Addr {
	if s.conn != nil {
		return s.conn.LocalAddr()
	}
	return s.pc.LocalAddr()
}

// Close closes the transport.
func (s *Socket) Close() error {
	if s.udp != nil {
		s.udp.Close()
	}
	if s.conn != nil {
		return s.conn.Close()
	}
	return s.pc.Close()
}

// Receive reads one datagram. It skips errors of datagrams sent earlier whose notices
// were passed on.
func (s *Socket) Receive(p []byte) (n int, from Addr, err error) {
	for {
		n, from, err = s.read(p)
		if err == nil || !s.large.IsPending(err) || !s.drain(Addr{}).any {
			break
		}
	}
	if err == nil {
		s.traffic.datagramsIn.Add(1)
		s.traffic.bytesIn.Add(uint64(n))
	}
	return n, from, err
}

func (s *Socket) read(p []byte) (n int, from Addr, err error) {
	switch {
	case s.udp != nil:
		n, from.AP, from.Local, err = s.udp.ReadMsg(p)
	case s.pc != nil:
		n, from.Net, err = s.pc.ReadFrom(p)
		if err == nil {
			from.AP = AddrPort(from.Net)
		}
	default:
		n, err = s.conn.Read(p)
	}
	return n, from, err
}

// Send hands one datagram to the transport. An error may belong to an earlier
// datagram: Linux returns an ICMP error from whatever call comes next, be it a
// datagram of ten bytes, a Read, or one to another peer. So the notices are read
// first, and the call is repeated. The error of the repetition belongs to this
// datagram. It is not repeated if withdrawn, which may be nil, reports that the
// datagram is of no use any more, since a notice lowered the MTU of its path.
func (s *Socket) Send(p []byte, to Addr, withdrawn func() bool) error {
	err := s.write(p, to)
	if err != nil && s.large.IsPending(err) {
		err = s.sendAgain(p, to, err, withdrawn)
	}
	if err == nil {
		s.traffic.datagramsOut.Add(1)
		s.traffic.bytesOut.Add(uint64(len(p)))
	}
	return err
}

// maxRepeats bounds the calls for one datagram, since the network can cause errors as
// fast as they are read.
const maxRepeats = 8

var (
	// ErrWithdrawn is returned by Send for a datagram that was withdrawn.
	ErrWithdrawn = errors.New("dtls: the path became too small for a datagram that was not sent yet")

	errCrowded = errors.New("dtls: not sent, since errors of other datagrams keep coming")
)

// sendAgain follows a call that returned the pending error first.
func (s *Socket) sendAgain(p []byte, to Addr, first error, withdrawn func() bool) error {
	err, link, tooLarge := first, 0, false
	for try := range maxRepeats {
		found := s.drain(to)
		if found.link > 0 {
			link = found.link
		}
		if withdrawn != nil && withdrawn() {
			return ErrWithdrawn
		}
		large := s.large.IsTooLarge(err)
		switch {
		case try == 0:
		case large && link > 0:
			return &linkError{err, link}
		case !found.icmp && (!large || tooLarge):
			return err // of this datagram; EMSGSIZE may have waited behind another error, once
		}
		tooLarge = tooLarge || large
		if err = s.write(p, to); err == nil || !s.large.IsPending(err) {
			return err
		}
	}
	return errCrowded
}

func (s *Socket) write(p []byte, to Addr) (err error) {
	switch {
	case s.udp != nil:
		err = s.udp.WriteMsg(p, to.AP, to.Local)
	case s.pc != nil:
		_, err = s.pc.WriteTo(p, to.Net)
	default:
		_, err = s.conn.Write(p)
	}
	return err
}

// PathHint is the size that a transport which refused a datagram would take, in bytes
// of UDP payload: what the method PathMTU of the error or the transport returns, or what
// Large knows of the error; 0 if there is none.
func (s *Socket) PathHint(err error) int {
	var hint interface{ PathMTU() int }
	if errors.As(err, &hint) {
		return max(hint.PathMTU(), 0)
	}
	if mtu, _ := s.large(err); mtu > 0 {
		return mtu
	}
	var carrier any = s.pc
	if s.conn != nil {
		carrier = s.conn
	}
	if hint, ok := carrier.(interface{ PathMTU() int }); ok {
		return max(hint.PathMTU(), 0)
	}
	return 0
}
