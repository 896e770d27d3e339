package dtls

import (
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/door"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// GetConfigForClient of a Listener. It may block, and the addresses of first
// hellos are not proven, so it runs on few goroutines, never on the one that reads
// the socket, for few hellos at a time, and for fewer of one prefix. A hello for
// which there is no room is answered at once, from the Listener's own Config. The
// handshake calls it again when the cookie has proven the address.

// chooseConfig has GetConfigForClient called for a hello, or answers it at once.
// The reader of the socket calls it; dst is its buffer.
func (l *Listener) chooseConfig(q *door.Question, from peerAddr, d *Door, dst []byte) (reply []byte) {
	start, now := l.hellos.Submit(&door.Job[peerAddr]{Question: q, Peer: from, Prefix: from.Prefix()})
	switch {
	case start && l.members.enter(l):
		go l.runHellos(d.d.Clone(), nil)
	case start:
		l.hellos.Advance(nil, false, true)
	}
	if now {
		reply = d.answer(dst, q.At, q, &l.p.Config, nil)
	}
	return reply
}

// runHellos calls GetConfigForClient and answers, until no hello waits. before is a
// hello whose call has panicked, or ended its goroutine: it is not answered.
func (l *Listener) runHellos(w *door.ReplyWriter, before *door.Job[peerAddr]) {
	job := l.hellos.Advance(before, false, l.isClosed())
	defer func() {
		if job != nil {
			go l.runHellos(w, job)
			return
		}
		l.members.leave(l)
	}()
	sock := l.members.shard.sock
	defer sock.Recovered()
	var reply []byte
	for job != nil {
		conn := transport.Addrs{Local: sock.LocalAddr(), Remote: job.Peer.NetAddr()}
		if job.To.IsValid() {
			conn.Local = net.UDPAddrFromAddrPort(job.To)
		}
		p, err := job.Call(&l.p.Config, handshake.HelloSource{Conn: conn})
		var refused bool
		reply, refused = w.AppendChosen(reply[:0], time.Now(), job.Question, p, err)
		closed := l.isClosed()
		if !closed {
			_ = sock.Send(reply, job.Peer, nil) // if it is lost, the client repeats its hello
		}
		job = l.hellos.Advance(job, !refused && !closed, closed)
	}
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}
