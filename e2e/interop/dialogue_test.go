package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// dialogue is an association with a peer that is led step by step: both ends, and
// what is between them.
type dialogue[E Endpoint] struct {
	*testing.T
	weServe bool
	ours    *association
	theirs  E
	peer    string // its name
	relay   *dtlstest.Relay
	trace   *trace
	closed  bool // by us: our end is not a failure
}

// await is waitUntil that also ends the test when an end has given up.
func (s *dialogue[E]) await(what string, done func() bool) {
	s.Helper()
	waitUntil(s.T, what, func() bool {
		err := s.theirs.Failed()
		if !s.closed {
			err = errors.Join(err, s.ours.Failed())
		}
		if done() {
			return true
		}
		if err != nil {
			s.Fatalf("waiting for %s: %v", what, err)
		}
		return false
	})
}

// talk returns when a line of each end has arrived at the other. Lines may be
// lost like any datagram and are repeated, less and less often.
func (s *dialogue[E]) talk(word string) {
	s.Helper()
	up, down := word+" from us", word+" from "+s.peer
	next, pause := time.Now(), sayAgain
	s.await(fmt.Sprintf("%q at both ends", word), func() bool {
		heardUp, heardDown := s.theirs.Heard(up), s.ours.Heard(down)
		if !s.ours.Established() || !s.theirs.Established() || time.Now().Before(next) {
			return heardUp && heardDown
		}
		next, pause = time.Now().Add(pause), min(2*pause, sayLast)
		if !heardUp {
			s.must(s.ours.Say(up))
		}
		if !heardDown {
			s.must(s.theirs.Say(down))
		}
		return false
	})
}

func (s *dialogue[E]) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// update changes our keys. It returns when the peer has acknowledged it.
func (s *dialogue[E]) update(requestPeer bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), caseTimeout)
	defer cancel()
	if err := s.ours.connection().UpdateKeys(ctx, requestPeer); err != nil {
		s.Fatalf("UpdateKeys: %v", err)
	}
}

// retries is the number of HelloRetryRequests that were sent.
func (s *dialogue[E]) retries() int { return strings.Count(s.trace.String(), "HelloRetryRequest") }

// directions are those of our datagrams and of the peer's.
func (s *dialogue[E]) directions() (ours, theirs dtlstest.Direction) {
	if s.weServe {
		return dtlstest.ToClient, dtlstest.ToServer
	}
	return dtlstest.ToServer, dtlstest.ToClient
}

// loseNext has the next datagram of a side lost.
func (s *dialogue[E]) loseNext(d dtlstest.Direction) {
	s.calm(50 * time.Millisecond)
	s.relay.SetPath(d, dtlstest.Path{Drop: []int{s.relay.Stats(d).Seen}})
}

// calm returns when there was no datagram for some time.
func (s *dialogue[E]) calm(pause time.Duration) {
	s.Helper()
	seen, since := -1, time.Now()
	s.await("calm", func() bool {
		now := s.relay.Stats(dtlstest.ToServer).Seen + s.relay.Stats(dtlstest.ToClient).Seen
		if now != seen {
			seen, since = now, time.Now()
		}
		return time.Since(since) > pause
	})
}
