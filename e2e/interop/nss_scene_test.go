package interop

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// network is what lies between us and NSS.
type network struct {
	mtu  int   // of our datagrams, and of those of NSS unless it cannot cut them so small. 0: no limit
	both bool  // of those of NSS in any case
	loss bool  // 20 % of the datagrams are lost, 10 % overtaken; see rough
	drop []int // datagrams of NSS that are lost, counted from 0
}

// paths are what the relay does to our datagrams and to those of NSS.
func (n network) paths(weServe bool) (ours, theirs dtlstest.Path) {
	if n.loss {
		ours = dtlstest.Path{LossEvery: 5, Reorder: 0.1, Rough: rough, Drop: []int{1}}
		theirs = dtlstest.Path{LossEvery: 5, Reorder: 0.1, Rough: rough, Drop: []int{1}}
	}
	theirs.Drop = append(theirs.Drop, n.drop...)
	ours.MTU, theirs.MTU = n.mtu, n.mtu
	switch {
	case n.mtu == 0, n.both:
	case weServe:
		// Its hello is small. That three are lost is all it learns by.
		theirs.Drop = []int{0, 1, 2}
	default:
		theirs.MTU = max(n.mtu, NSS{}.Limits().Least)
	}
	return ours, theirs
}

// scene is a run with NSS: both ends, and what is between them.
type scene struct {
	*testing.T
	weServe bool
	net     network
	us      Options
	ours    *association
	theirs  *nssProcess
	relay   *dtlstest.Relay
	trace   *trace

	listener *dtls.Listener // when we serve
	closed   bool           // by us: our end is not a failure
}

// play starts both ends with these options. What they had to say is printed if
// the test fails.
func play(t *testing.T, weServe bool, us, them Options, peer NSS, n network) *scene {
	t.Helper()
	s := &scene{T: t, weServe: weServe, net: n, us: us, trace: &trace{start: time.Now()}}
	var addr string
	if weServe {
		s.ours = &association{options: us}
		s.listener = s.ours.listen(t)
		addr = s.listener.Addr().String()
	} else {
		var e Endpoint
		e, addr = peer.Serve(t, them)
		s.theirs = e.(*nssProcess)
	}
	seed := fnv.New64a()
	seed.Write([]byte(os.Getenv("FLIGHTPATH_SEED") + t.Name()))
	cfg := dtlstest.RelayConfig{Seed: seed.Sum64(), Tap: s.trace.tap}
	ourPath, theirPath := n.paths(weServe)
	cfg.ToServer, cfg.ToClient = ourPath, theirPath
	if weServe {
		cfg.ToServer, cfg.ToClient = theirPath, ourPath
	}
	var err error
	if s.relay, err = dtlstest.NewRelay(addr, cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.relay.Close()
		if t.Failed() {
			t.Logf("---- relay:\n%s", s.trace)
			t.Logf("---- %s\n---- nss:\n%s", s.ours.Log(), s.theirs.Log())
		}
	})
	if weServe {
		s.ours.start(t, s.listener.AcceptContext)
		s.theirs = peer.Dial(t, s.relay.Addr().String(), them).(*nssProcess)
	} else {
		s.dial(us)
	}
	return s
}

// dial opens an association of ours.
func (s *scene) dial(us Options) {
	s.ours = &association{options: us}
	s.ours.start(s.T, s.ours.dialing(s.relay.Addr().String()))
}

// await is waitUntil that also ends the test when an end has given up.
func (s *scene) await(what string, done func() bool) {
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
func (s *scene) talk(word string) {
	s.Helper()
	up, down := word+" from us", word+" from nss"
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

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// agree compares what the ends say about the newest association.
func (s *scene) agree() {
	s.Helper()
	for _, e := range []Endpoint{s.ours, s.theirs} {
		if err := e.Agrees(); err != nil {
			s.Error(err)
		}
	}
	state := s.ours.connection().ConnectionState()
	if group := fmt.Sprintf("%04x", uint16(state.CurveID)); s.theirs.value("group") != group {
		s.Errorf("the group of nss is %s, ours is %s", s.theirs.value("group"), group)
	}
	if suite := fmt.Sprintf("%04x", state.CipherSuite); !strings.HasSuffix(s.theirs.value("established"), suite) {
		s.Errorf("nss established %s, our suite is %s", s.theirs.value("established"), suite)
	}
	if state.DidResume != s.theirs.resumed {
		s.Errorf("we resumed: %v, want %v", state.DidResume, s.theirs.resumed)
	}
	secret, err := s.ours.connection().ExportKeyingMaterial("EXPORTER-flightpath-interop", nil, 32)
	s.must(err)
	if theirs := s.theirs.value("exporter"); theirs != hex.EncodeToString(secret) {
		s.Errorf("nss exports %s, we export %x", theirs, secret)
	}
}

// say has NSS send a line, or obey it.
func (s *scene) say(line string) {
	s.Helper()
	s.must(s.theirs.Say(line))
}

// retries is the number of HelloRetryRequests that were sent.
func (s *scene) retries() int { return strings.Count(s.trace.String(), "HelloRetryRequest") }

// epochs waits until NSS reads and writes in these.
func (s *scene) epochs(read, write int) {
	s.Helper()
	want := fmt.Sprintf("\nepochs %d %d\n", read, write)
	s.await(strings.TrimSpace(want)+" of nss", func() bool { return s.theirs.says(want) })
}

// update changes our keys.
func (s *scene) update(requestPeer bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), caseTimeout)
	defer cancel()
	if err := s.ours.connection().UpdateKeys(ctx, requestPeer); err != nil {
		s.Fatalf("UpdateKeys: %v", err)
	}
}

// updateInVain tries to change our keys while NSS, which is there, does not
// acknowledge it.
func (s *scene) updateInVain() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), caseTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.ours.connection().UpdateKeys(ctx, false) }()
	for {
		select {
		case err := <-done:
			if err == nil || dtls.IsFatal(err) || ctx.Err() != nil {
				s.Fatalf("UpdateKeys: %v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
			s.say("nss is there")
		}
	}
}

// again ends the association and begins another one, which resumes it.
func (s *scene) again() {
	s.Helper()
	us := s.us
	if s.weServe {
		// NSS has the ticket: what we said in talk came later on the same path.
		s.ours = &association{options: us}
		s.ours.start(s.T, s.listener.AcceptContext)
		s.theirs.begin()
		s.must(s.theirs.Say("/again"))
		return
	}
	var session []byte
	s.await("session", func() bool {
		var err error
		session, err = s.ours.connection().Session()
		if err != nil && !errors.Is(err, dtls.ErrNoSession) {
			s.Fatal(err)
		}
		return err == nil
	})
	s.closed = true
	s.must(s.ours.connection().Close()) // which NSS need not hear
	s.theirs.begin()
	s.must(s.theirs.Say("/again"))
	s.await("further server", func() bool { return s.theirs.says("\nwaiting ") })
	us.Ours = func(cfg *dtls.Config) {
		s.us.Ours(cfg)
		cfg.Session = session
	}
	s.closed = false
	s.dial(us)
}

// close ends the association from one end and has the other hear of it.
func (s *scene) close() {
	s.Helper()
	if s.weServe {
		s.must(s.theirs.Say("/close"))
		s.await("end of file", func() bool { return errors.Is(s.ours.Failed(), io.EOF) })
		return
	}
	s.closed = true
	s.must(s.ours.connection().Close())
	s.await("word of our close_notify", func() bool { return s.theirs.says("\nclosed\n") })
}

// directions are those of our datagrams and of the datagrams of NSS.
func (s *scene) directions() (ours, theirs dtlstest.Direction) {
	if s.weServe {
		return dtlstest.ToClient, dtlstest.ToServer
	}
	return dtlstest.ToServer, dtlstest.ToClient
}

// change makes the path another one.
func (s *scene) change(n network) {
	s.net = n
	ours, theirs := s.directions()
	ourPath, theirPath := n.paths(s.weServe)
	for d, p := range map[dtlstest.Direction]dtlstest.Path{ours: ourPath, theirs: theirPath} {
		seen := s.relay.Stats(d).Seen
		if p.Rough > 0 {
			p.Rough += seen
		}
		var drop []int
		for _, n := range p.Drop {
			drop = append(drop, seen+n)
		}
		p.Drop = drop
		s.relay.SetPath(d, p)
	}
}

// loseOurNext has our next datagram lost, loseTheirNext that of NSS.
func (s *scene) loseOurNext() {
	ours, _ := s.directions()
	s.loseNext(ours)
}

func (s *scene) loseTheirNext() {
	_, theirs := s.directions()
	s.loseNext(theirs)
}

func (s *scene) loseNext(d dtlstest.Direction) {
	s.calm(50 * time.Millisecond)
	s.relay.SetPath(d, dtlstest.Path{Drop: []int{s.relay.Stats(d).Seen}})
}

// calm returns when there was no datagram for some time.
func (s *scene) calm(pause time.Duration) {
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

// checkPath looks at what crossed the relay.
func (s *scene) checkPath() {
	s.Helper()
	d, e := s.directions()
	ours, theirs := s.relay.Stats(d), s.relay.Stats(e)
	if s.net.loss && (ours.Lost == 0 || theirs.Lost == 0) {
		s.Errorf("no datagram was lost: %+v, %+v", ours, theirs)
	}
	if len(s.net.drop) > 0 && theirs.Lost == 0 {
		s.Errorf("no datagram of NSS was lost: %+v", theirs)
	}
	if ours.TooLarge > 0 {
		s.Errorf("%d datagrams of ours were too large for an MTU of %d", ours.TooLarge, s.net.mtu)
	}
}
