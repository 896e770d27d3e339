package dtls

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// GetConfigForClient of a Listener. It may block, and the addresses of first
// hellos are not proven, so it runs on few goroutines, never on the one that reads
// the socket, for few hellos at a time, and for fewer of one prefix. A hello for
// which there is no room is answered at once, from the Listener's own Config. The
// handshake calls it again when the cookie has proven the address.

const (
	helloWorkers = 8   // goroutines that call it
	maxHelloJobs = 256 // hellos that wait for it or are in it

	// A prefix has at most one in helloShare of both.
	helloShare = 4

	// helloPatience is how long a hello waits for its turn before its repetition is
	// answered at once.
	helloPatience = 500 * time.Millisecond
)

// helloJobs are first hellos that wait for GetConfigForClient, or are in it.
type helloJobs struct {
	mu       sync.Mutex
	waiting  []*helloJob // oldest first
	all      map[netip.AddrPort]*helloJob
	prefixes map[netip.Prefix]prefixJobs
	running  int    // goroutines
	asked    uint64 // cookies that they have sent
	inline   uint64 // hellos that were answered at once
}

type helloJob struct {
	*question
	peer    peerAddr
	prefix  netip.Prefix
	running bool
}

// prefixJobs are those of one prefix.
type prefixJobs struct{ all, running int }

// count adds to the jobs of a prefix.
func (j *helloJobs) count(prefix netip.Prefix, all, running int) {
	n := j.prefixes[prefix]
	n.all += all
	n.running += running
	if n.all == 0 {
		delete(j.prefixes, prefix)
		return
	}
	j.prefixes[prefix] = n
}

// add takes a hello. now says that it has to be answered at once, instead. Neither
// is so for a repetition of a hello that is here.
func (j *helloJobs) add(job *helloJob) (added, now bool) {
	if old := j.all[job.from]; old != nil {
		same := string(old.body) == string(job.body)
		if same && (old.running || job.at.Sub(old.at) < helloPatience) {
			return false, false
		}
		if same {
			j.remove(old)
		}
		return false, true
	}
	if len(j.all) >= maxHelloJobs || j.prefixes[job.prefix].all >= maxHelloJobs/helloShare {
		return false, true
	}
	if j.all == nil {
		j.all, j.prefixes = map[netip.AddrPort]*helloJob{}, map[netip.Prefix]prefixJobs{}
	}
	j.all[job.from] = job
	j.waiting = append(j.waiting, job)
	j.count(job.prefix, 1, 0)
	return true, false
}

// next gives the hello that has waited longest of those whose prefix has a
// goroutine left, nil if there is none.
func (j *helloJobs) next() *helloJob {
	for i, job := range j.waiting {
		if j.prefixes[job.prefix].running < helloWorkers/helloShare {
			j.waiting = append(j.waiting[:i], j.waiting[i+1:]...)
			job.running = true
			j.count(job.prefix, 0, 1)
			return job
		}
	}
	return nil
}

// remove takes a hello out.
func (j *helloJobs) remove(job *helloJob) {
	delete(j.all, job.from)
	if job.running {
		j.count(job.prefix, -1, -1)
		return
	}
	j.count(job.prefix, -1, 0)
	for i := range j.waiting {
		if j.waiting[i] == job {
			j.waiting = append(j.waiting[:i], j.waiting[i+1:]...)
			return
		}
	}
}

// submit adds a hello. start says that another goroutine has to run.
func (j *helloJobs) submit(job *helloJob) (start, now bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	added, now := j.add(job)
	if now {
		j.inline++
	}
	if start = added && j.running < helloWorkers; start {
		j.running++
	}
	return start, now
}

// advance ends a job, if there was one, and gives the next, nil if there is none;
// asked says that a cookie is sent for the one before. After closed no job begins.
func (j *helloJobs) advance(before *helloJob, asked, closed bool) *helloJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	if before != nil {
		j.remove(before)
	}
	if asked {
		j.asked++
	}
	if closed {
		j.waiting = nil
	}
	job := j.next()
	if job == nil {
		j.running--
	}
	return job
}

// counted adds what was counted here.
func (j *helloJobs) counted(s *ListenerStats) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s.CookiesSent += j.asked
	s.HellosInline = j.inline
}

// chooseConfig has GetConfigForClient called for a hello, or answers it at once.
// The reader of the socket calls it; dst is its buffer.
func (l *Listener) chooseConfig(q *question, from peerAddr, door *Door, dst []byte) (reply []byte) {
	start, now := l.hellos.submit(&helloJob{question: q, peer: from, prefix: from.Prefix()})
	if start {
		go l.runHellos(door.clone())
	}
	if !now {
		return nil
	}
	reply, refused := door.appendChosen(dst, q.at, q, &l.p.Config, nil)
	door.answered(refused)
	return reply
}

// runHellos calls GetConfigForClient and answers, until no hello waits.
func (l *Listener) runHellos(w *replyWriter) {
	sock := l.members.shard.sock
	var reply []byte
	for job := l.hellos.advance(nil, false, l.isClosed()); job != nil; {
		conn := helloConn{sock.LocalAddr(), job.peer.NetAddr()}
		if job.to.IsValid() {
			conn.local = net.UDPAddrFromAddrPort(job.to)
		}
		p, err := job.call(&l.p.Config, handshake.HelloSource{Conn: conn})
		var refused bool
		reply, refused = w.appendChosen(reply[:0], time.Now(), job.question, p, err)
		closed := l.isClosed()
		next := l.hellos.advance(job, !refused && !closed, closed)
		if !closed {
			_ = sock.Send(reply, job.peer, nil) // if it is lost, the client repeats its hello
		}
		job = next
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
