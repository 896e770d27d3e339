package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// plain13 is a case of DTLS 1.3 with nothing unusual about it.
func plain13(r role) Case13 {
	return Case13{Case: Case{WeServe: r == weServe, Suite: 0x1301, MTU: 1232}, Groups: groups13[0]}
}

// eachRole runs a test in both roles.
func eachRole(t *testing.T, name string, run func(*testing.T, role)) {
	for _, r := range []role{weDial, weServe} {
		t.Run(name+", "+r.String(), func(t *testing.T) {
			t.Parallel()
			run(t, r)
		})
	}
}

// pionScene is one association with pion.
type pionScene struct {
	dialogue[*pion13Endpoint]
	c Case13
}

// meet starts both ends of a case. change, if not nil, changes our configuration
// once more.
func meet(t *testing.T, c Case13, peer Pion13, change func(*dtls.Config)) *pionScene {
	t.Helper()
	serving, dialing := c.options()
	return meetAs(t, c, peer, serving, dialing, change)
}

// meetAs is meet with options of its own.
func meetAs(t *testing.T, c Case13, peer Pion13, serving, dialing Options, change func(*dtls.Config)) *pionScene {
	t.Helper()
	us, groups := &dialing, c.Groups.Server
	if c.WeServe {
		us, groups = &serving, c.Groups.Client
	}
	if peer.Groups == nil {
		peer.Groups = groups
	}
	if c.Only13 {
		peer.Min = dtls.VersionDTLS13
	}
	peer.Proven = c.Proven
	us.Ours = func(cfg *dtls.Config) {
		c.ours(cfg)
		if change != nil {
			change(cfg)
		}
	}
	s := &pionScene{c: c}
	s.dialogue = dialogue[*pion13Endpoint]{T: t, weServe: c.WeServe, peer: "pion"}
	var run ends
	if c.WeServe {
		run = connect(t, Flightpath{}, peer, serving, dialing, c.Case)
		s.ours, s.theirs = run.server.(*association), run.client.(*pion13Endpoint)
	} else {
		run = connect(t, peer, Flightpath{}, serving, dialing, c.Case)
		s.ours, s.theirs = run.client.(*association), run.server.(*pion13Endpoint)
	}
	s.relay, s.trace = run.relay, run.trace
	return s
}

// agree compares what the ends say about the association, resumed or not.
func (s *pionScene) agree(resumed bool) {
	s.Helper()
	for _, e := range []Endpoint{s.ours, s.theirs} {
		if err := e.Agrees(); err != nil {
			s.Error(err)
		}
	}
	state := s.ours.connection().ConnectionState()
	theirs, err := s.theirs.state()
	s.must(err)
	if state.CipherSuite != uint16(theirs.CipherSuiteID) {
		s.Errorf("our suite is %#04x, that of pion %v", state.CipherSuite, theirs.CipherSuiteID)
	}
	if state.DidResume != resumed {
		s.Errorf("we resumed: %v, want %v", state.DidResume, resumed)
	}
	contexts := [][]byte{nil, []byte("a context")}
	if state.Version == dtls.VersionDTLS12 {
		contexts = contexts[:1] // pion has none there
	}
	for _, context := range contexts {
		const label, length = "EXPORTER-flightpath-interop", 48
		mine, err := s.ours.connection().ExportKeyingMaterial(label, context, length)
		s.must(err)
		yours, err := theirs.ExportKeyingMaterial(label, context, length)
		s.must(err)
		if !bytes.Equal(mine, yours) {
			s.Errorf("with the context %q we export %x, pion %x", context, mine, yours)
		}
	}
}

// check looks at a handshake of DTLS 1.3.
func (s *pionScene) check(resumed bool) {
	s.Helper()
	s.agree(resumed)
	if got := s.ours.connection().ConnectionState().CurveID; got != s.c.Groups.Want {
		s.Errorf("the group is %v, want %v", got, s.c.Groups.Want)
	}
	if err := s.c.checkRetry(s.retries()); err != nil {
		s.Error(err)
	}
}

// checkPath looks at the datagrams of both sides.
func (s *pionScene) checkPath() {
	s.Helper()
	ours, theirs := s.directions()
	serverLong := s.c.LongChain
	clientLong := s.c.LongChain && s.c.ClientCert
	ourLong, theirLong := clientLong, serverLong
	if s.c.WeServe {
		ourLong, theirLong = serverLong, clientLong
	}
	s.c.checkPath(s.T, Flightpath{}, s.relay.Stats(ours), ourLong)
	s.c.checkPath(s.T, Pion13{}, s.relay.Stats(theirs), theirLong)
}

// fromUs and fromPion are the directions of their datagrams.
func (s *pionScene) fromUs() dtlstest.Direction   { d, _ := s.directions(); return d }
func (s *pionScene) fromPion() dtlstest.Direction { _, d := s.directions(); return d }

// updateTheirs changes the keys of pion. It returns when we have acknowledged it.
func (s *pionScene) updateTheirs(requestPeer bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), caseTimeout)
	defer cancel()
	if err := s.theirs.update(ctx, requestPeer); err != nil {
		s.Fatalf("pion: UpdateKeys: %v", err)
	}
}

// epochs waits until pion reads and writes in these.
func (s *pionScene) epochs(read, write uint64) {
	s.Helper()
	s.await(fmt.Sprintf("reading in epoch %d and writing in %d at pion", read, write), func() bool {
		r, w := s.theirs.epochs()
		return r == read && w == write
	})
}

// close ends the association from one end and has the other hear of it.
func (s *pionScene) close() {
	s.Helper()
	if s.c.TheyEnd {
		conn, _ := s.theirs.connection()
		s.must(conn.Close())
		waitUntil(s.T, "close_notify of pion", func() bool { return errors.Is(s.ours.Failed(), io.EOF) })
		return
	}
	s.must(s.ours.connection().Close())
	waitUntil(s.T, "word of our close_notify", func() bool { return errors.Is(s.theirs.Failed(), io.EOF) })
}
