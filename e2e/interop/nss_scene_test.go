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

// scene is a run with NSS.
type scene struct {
	dialogue[*nssProcess]
	net      network
	us       Options
	listener *dtls.Listener // when we serve
}

// play starts both ends with these options. What they had to say is printed if
// the test fails.
func play(t *testing.T, weServe bool, us, them Options, peer NSS, n network) *scene {
	t.Helper()
	s := &scene{net: n, us: us}
	s.dialogue = dialogue[*nssProcess]{T: t, weServe: weServe, peer: "nss", trace: &trace{start: time.Now()}}
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

// epochs waits until NSS reads and writes in these.
func (s *scene) epochs(read, write int) {
	s.Helper()
	want := fmt.Sprintf("\nepochs %d %d\n", read, write)
	s.await(strings.TrimSpace(want)+" of nss", func() bool { return s.theirs.says(want) })
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
