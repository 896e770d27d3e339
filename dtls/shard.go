package dtls

import (
	"cmp"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/roster"
	"github.com/flightpath-dtls/flightpath/internal/transport"
	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// shard is a socket that associations share, with the one goroutine that reads it
// and the door that this goroutine runs. It passes each datagram to the
// association of the address it came from, and a ClientHello of none of them to
// the door. It holds the lock of the members for the look-up only.
type shard struct {
	sock    *socket
	members *members
	door    *Door // of the Listener; set with members.mu held, used by the reader
	closed  atomic.Bool

	// Buffers of the reader.
	reply []byte // for the door
	spare []byte // for a datagram that may be for several associations
}

// newShard makes a shard with members of its own.
func newShard(pc net.PacketConn, nonDTLS func([]byte, net.Addr), logger *slog.Logger) *shard {
	s := &shard{}
	s.members = &members{shard: s}
	s.sock = sharedSocket(pc, s.members, s.noticed)
	s.sock.SetForeign(nonDTLS)
	s.sock.SetLogger(logger)
	return s
}

// attach gives the shard the door of a new Listener, with members.mu held.
func (s *shard) attach(d *Door) { s.door = d }

// read is the reader. It ends when the socket is closed.
func (s *shard) read() {
	s.sock.Serve(transport.Reader{
		Take: func(datagram []byte, from peerAddr) bool {
			s.route(time.Now(), datagram, from)
			return true
		},
		Fault: func(err error) bool {
			if s.closed.Load() {
				return false // whatever a closed transport calls it
			}
			if transport.IsClosed(err) {
				s.members.fail(err)
				return false
			}
			return true
		},
	})
}

// close closes the socket.
func (s *shard) close() {
	if s.closed.Swap(true) {
		return
	}
	s.sock.alarms.Stop()
	_ = s.sock.Close()
}

// noticed passes a notice of the network on to the associations it may be about.
// It is called without locks held.
func (s *shard) noticed(n udpsock.Notice) {
	at := s.members.at(peerAddr{AP: n.Peer})
	for _, c := range [...]*Conn{at.Accepted, at.Newcomer, at.Dialed} {
		if c != nil {
			c.noticed(n)
		}
	}
}

// ---- which association a datagram is for ---------------------------------------------

// route passes one datagram on: a ClientHello to the association that it began,
// else to the door; other plaintext to the associations that such messages are
// sent to; a protected record to the association whose keys open it.
func (s *shard) route(now time.Time, datagram []byte, from peerAddr) {
	m := s.members
	m.mu.Lock()
	at, l, d := m.conns.At(from.Key()), m.listening(), s.door
	if l != nil {
		d.SetLoad(l.books.stats.HandshakesOpen)
	}
	m.mu.Unlock()

	if l != nil && (at.Accepted != nil || at.Dialed != nil) && door.IsTail(datagram) {
		s.routeTail(now, datagram, from, at, l, d)
		if at.Newest() == nil {
			return
		}
	}
	if mark := door.Mark(datagram); mark != 0 {
		s.routeHello(now, datagram, from, mark, at, l, d)
		return
	}
	var list [3]*Conn
	to := list[:0]
	for _, c := range [...]*Conn{at.Newcomer, at.Accepted, at.Dialed} {
		if c != nil {
			to = append(to, c)
		}
	}
	switch {
	case len(to) == 1:
		to[0].deliver(now, datagram)
	case len(to) > 1 && door.IsPlaintext(datagram):
		// Beside a newcomer the accepted one is established, and no plaintext is
		// sent to it.
		s.sharePlaintext(now, datagram, cmp.Or(at.Newcomer, at.Accepted), at.Dialed)
	case len(to) > 1:
		s.shareProtected(now, datagram, to)
	case l != nil:
		s.admit(now, datagram, from, l, d)
	}
}

// routeHello passes on the first fragment of a ClientHello with that helloMark.
func (s *shard) routeHello(now time.Time, datagram []byte, from peerAddr, mark uint64, at roster.At[Conn], l *Listener, d *Door) {
	switch {
	case at.Newcomer != nil && mark == at.Newcomer.hello.Mark:
		at.Newcomer.deliver(now, datagram)
	case at.Accepted != nil && mark == at.Accepted.hello.Mark:
		if at.Newcomer == nil { // else it is a late duplicate of the former hello
			at.Accepted.deliver(now, datagram)
		}
	case l != nil:
		s.admit(now, datagram, from, l, d)
	}
}

// routeTail passes a later fragment of a ClientHello to the door if it may belong
// to one that the door has not admitted. The fragment itself does not show that: where
// the accepted association has all of its hello, the fragment may belong to the
// hello of a client that has restarted. But the rest of a hello that was admitted
// must not wait at the door, which would join it with the next hello of that size.
func (s *shard) routeTail(now time.Time, datagram []byte, from peerAddr, at roster.At[Conn], l *Listener, d *Door) {
	size := door.Size(datagram)
	known := at.Newcomer != nil && at.Newcomer.hello.Size == size || at.Accepted != nil && at.Accepted.hello.Size == size
	if !known || d.d.HasBegun(now, datagram, from.Key()) {
		s.admit(now, datagram, from, l, d)
	}
}

// shareProtected passes a protected datagram to the one of several associations
// whose keys open it. If there is none each gets a copy: an association in its
// handshake may have those keys soon.
func (s *shard) shareProtected(now time.Time, datagram []byte, to []*Conn) {
	for _, c := range to {
		s.spare = append(s.spare[:0], datagram...)
		if c.recognizes(s.spare) {
			c.deliver(now, datagram)
			return
		}
	}
	for _, c := range to {
		s.spare = append(s.spare[:0], datagram...)
		c.deliver(now, s.spare)
	}
}

// sharePlaintext passes a datagram in plaintext to the associations whose role
// receives such messages; dialed may be nil.
func (s *shard) sharePlaintext(now time.Time, datagram []byte, accepted, dialed *Conn) {
	fromClient, fromServer := door.Directions(datagram)
	if fromClient || dialed == nil {
		s.spare = append(s.spare[:0], datagram...)
		accepted.deliver(now, s.spare)
	}
	if fromServer && dialed != nil {
		dialed.deliver(now, datagram)
	}
}

// admit passes a datagram to the door, sends what that answers, and begins the
// handshake of a client that it lets in.
func (s *shard) admit(now time.Time, datagram []byte, from peerAddr, l *Listener, d *Door) {
	if from.Net == nil && !from.AP.IsValid() {
		return // no address to answer
	}
	out, hello, q := d.handle(now, datagram, from.Key(), l.calledAs(from), s.reply[:0])
	if q != nil {
		out = l.chooseConfig(q, from, d, s.reply[:0])
	}
	if out != nil {
		_ = s.sock.Send(out, from, nil) // if it is lost, the client repeats its hello
		s.reply = out
	}
	if hello != nil {
		hello.From = from.AP
		l.begin(now, hello, from)
	}
	l.countDoor(d.Stats())
}
