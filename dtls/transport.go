package dtls

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alarms"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// socket is what carries datagrams: a net.Conn with one peer, or a
// net.PacketConn with many. UDP sockets are used without allocation.
type socket struct {
	conn    net.Conn // one peer; nil: shared
	members *members // of a shared one
	pc      net.PacketConn
	udp     udpSocket // whichever it is, if it is one of UDP
	noticed func(udpsock.Notice)
	cut     bool                // IP may cut our datagrams; a Conn's own socket only
	alarms  alarms.Group[*Conn] // call timeout

	foreign foreign // the reader's

	traffic struct{ datagramsIn, bytesIn, datagramsOut, bytesOut atomic.Uint64 }
}

// ownSocket is the socket of one association. noticed is called with notices
// of the network about earlier datagrams, without locks held, by any goroutine that
// reads or writes.
func ownSocket(conn net.Conn, noticed func(udpsock.Notice)) *socket {
	s := &socket{conn: conn, udp: asUDP(conn), noticed: noticed}
	s.alarms.Init((*Conn).timeout)
	return s
}

// sharedSocket is the socket of many; the rest is as with ownSocket.
func sharedSocket(pc net.PacketConn, noticed func(udpsock.Notice)) *socket {
	s := &socket{pc: pc, udp: asUDP(pc), noticed: noticed}
	s.alarms.Init((*Conn).timeout)
	return s
}

// makeRoom asks the system for a receive buffer that holds what arrives while the
// reader waits for a processor: where a flood fills the buffer, the ClientHello of an
// honest client is lost, and repeated a second later. The system may grant less.
func makeRoom(pc net.PacketConn) {
	const queue = 4 << 20 // bytes, with what the system needs for each datagram
	if b, ok := pc.(interface{ SetReadBuffer(bytes int) error }); ok {
		_ = b.SetReadBuffer(queue)
	}
}

// readBuffer takes any UDP payload whole.
const readBuffer = 64 << 10

func (s *socket) localAddr() net.Addr {
	if s.conn != nil {
		return s.conn.LocalAddr()
	}
	return s.pc.LocalAddr()
}

func (s *socket) close() error {
	if s.udp != nil {
		s.udp.Close()
	}
	if s.conn != nil {
		return s.conn.Close()
	}
	return s.pc.Close()
}

// receive reads one datagram. It skips errors of datagrams sent earlier whose notices
// were passed to their associations.
func (s *socket) receive(p []byte) (n int, from peerAddr, err error) {
	for {
		n, from, err = s.read(p)
		if err == nil || !isPending(err) || !s.drain(peerAddr{}).any {
			break
		}
	}
	if err == nil {
		s.traffic.datagramsIn.Add(1)
		s.traffic.bytesIn.Add(uint64(n))
	}
	return n, from, err
}

func (s *socket) read(p []byte) (n int, from peerAddr, err error) {
	switch {
	case s.udp != nil:
		n, from.ap, from.local, err = s.udp.ReadMsg(p)
	case s.pc != nil:
		n, from.addr, err = s.pc.ReadFrom(p)
		if err == nil {
			from.ap = addrOf(from.addr)
		}
	default:
		n, err = s.conn.Read(p)
	}
	return n, from, err
}

// send hands one datagram to the transport. An error may belong to an earlier
// datagram: Linux returns an ICMP error from whatever call comes next, be it a
// datagram of ten bytes, a Read, or one to another peer. So the notices are read
// first, and the call is repeated. The error of the repetition belongs to this
// datagram. It is not repeated if withdrawn, which may be nil, reports that the
// datagram is of no use any more, since a notice lowered the MTU of its path.
func (s *socket) send(p []byte, to peerAddr, withdrawn func() bool) error {
	err := s.write(p, to)
	if err != nil && isPending(err) {
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
	errWithdrawn = errors.New("dtls: the path became too small for a datagram that was not sent yet")
	errCrowded   = errors.New("dtls: not sent, since errors of other datagrams keep coming")
)

// sendAgain follows a call that returned the pending error first.
func (s *socket) sendAgain(p []byte, to peerAddr, first error, withdrawn func() bool) error {
	err, link, tooLarge := first, 0, false
	for try := range maxRepeats {
		found := s.drain(to)
		if found.link > 0 {
			link = found.link
		}
		if withdrawn != nil && withdrawn() {
			return errWithdrawn
		}
		large := isTooLarge(err)
		switch {
		case try == 0:
		case large && link > 0:
			return &linkError{err, link}
		case !found.icmp && (!large || tooLarge):
			return err // of this datagram; EMSGSIZE may have waited behind another error, once
		}
		tooLarge = tooLarge || large
		if err = s.write(p, to); err == nil || !isPending(err) {
			return err
		}
	}
	return errCrowded
}

func (s *socket) write(p []byte, to peerAddr) (err error) {
	switch {
	case s.udp != nil:
		err = s.udp.WriteMsg(p, to.ap, to.local)
	case s.pc != nil:
		_, err = s.pc.WriteTo(p, to.addr)
	default:
		_, err = s.conn.Write(p)
	}
	return err
}

// pathHint is the size that a transport which refused a datagram would take, in bytes
// of UDP payload: what the method PathMTU of the error or the transport returns, 0 if
// there is none.
func (s *socket) pathHint(err error) int {
	var hint interface{ PathMTU() int }
	if errors.As(err, &hint) {
		return max(hint.PathMTU(), 0)
	}
	var large *LargePacketError
	if errors.As(err, &large) && large.PathMTU > 0 {
		return large.PathMTU
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

// ---- what errors mean ---------------------------------------------------------------

// isTooLarge reports whether a transport refused a datagram for its size.
func isTooLarge(err error) bool {
	return errors.Is(err, ErrLargePacket) || udpsock.IsTooLarge(err)
}

// isPending reports whether an error may belong to an earlier datagram.
func isPending(err error) bool { return errors.Is(err, ErrLargePacket) || udpsock.IsPending(err) }

// isTransient reports whether an error of the transport passes, so that the
// association it happened to lives on.
func isTransient(err error) bool {
	var t *transportError
	if errors.As(err, &t) {
		return !t.closed
	}
	return isPending(err) || udpsock.IsBusy(err)
}

// isClosed reports whether an error means that the transport is closed.
func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

// transportError is an error of the transport: for one datagram, which is not fatal,
// or because it is closed, which is.
type transportError struct {
	err    error
	closed bool
}

func (e *transportError) Error() string {
	if e.closed {
		return "dtls: transport closed: " + e.err.Error()
	}
	return "dtls: transport: " + e.err.Error()
}

func (e *transportError) Unwrap() error { return e.err }

// Is makes the error of a closed transport match net.ErrClosed, whatever it was.
func (e *transportError) Is(target error) bool { return e.closed && target == net.ErrClosed }

// Timeout reports whether the transport timed out.
func (e *transportError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}

func (e *transportError) Temporary() bool { return !e.closed }

// backOff slows a reader down whose socket only has errors. Its value is how
// many there were, with nothing received in between.
type backOff int

const (
	freeErrors = 16                     // pending errors of that many peers cost no time
	maxPause   = 100 * time.Millisecond // also how long Close may go unnoticed
)

func (b *backOff) pause() {
	if *b++; *b <= freeErrors {
		return
	}
	time.Sleep(min(maxPause, time.Millisecond<<min(*b-freeErrors-1, 10)))
}
