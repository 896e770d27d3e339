package dissect

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// session is a capture of one association after the other, between a client and
// a server that answers through a Door. Nothing is lost.
type session struct {
	testing.TB
	now  time.Time
	door *dtls.Door
	sent []packet
	keys bytes.Buffer // of both sides: the same lines twice

	clientConfig, serverConfig *dtls.Config
	client, server             *dtls.Engine // of the newest association
	from                       netip.AddrPort
}

// latency is that of a datagram, and so what tells the times in a capture apart.
const latency = 5 * time.Millisecond

var serverAddr = netip.MustParseAddrPort("192.0.2.1:4433")

func newSession(t testing.TB, client, server *dtls.Config) *session {
	t.Helper()
	s := &session{
		TB: t, now: time.Now().Truncate(time.Second), clientConfig: client, serverConfig: server,
		from: netip.MustParseAddrPort("192.0.2.2:50000"),
	}
	client.KeyLogWriter, server.KeyLogWriter = &s.keys, &s.keys
	var err error
	if s.door, err = dtls.NewDoor(server, s.now); err != nil {
		t.Fatal(err)
	}
	s.dial()
	return s
}

// dial begins an association from a port of its own.
func (s *session) dial() {
	s.Helper()
	s.from = netip.AddrPortFrom(s.from.Addr(), s.from.Port()+1)
	s.server = nil
	var err error
	s.client, err = dtls.NewClientEngine(s.clientConfig, s.now)
	s.must(err)
	for range 100 {
		s.exchange()
		if s.server != nil && s.client.Established() && s.server.Established() {
			return
		}
		s.wait()
	}
	s.Fatalf("no handshake: %v, %v", s.client, s.server)
}

func (s *session) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// exchange runs until nobody has anything to send.
func (s *session) exchange() {
	s.Helper()
	for busy := true; busy; {
		busy = false
		for tx, ok := s.client.PollTransmit(s.now, nil); ok; tx, ok = s.client.PollTransmit(s.now, nil) {
			busy = true
			s.carry(s.from, serverAddr, tx.Data, s.toServer)
		}
		for s.server != nil {
			tx, ok := s.server.PollTransmit(s.now, nil)
			if !ok {
				break
			}
			busy = true
			s.carry(serverAddr, s.from, tx.Data, s.toClient)
		}
	}
}

// carry captures a datagram and delivers a copy.
func (s *session) carry(from, to netip.AddrPort, datagram []byte, deliver func([]byte)) {
	s.sent = append(s.sent, packet{s.now, from, to, datagram})
	s.now = s.now.Add(latency)
	deliver(bytes.Clone(datagram))
}

func (s *session) toClient(datagram []byte) {
	s.Helper()
	s.must(s.client.HandleDatagram(s.now, datagram, serverAddr))
	drain(s.client)
}

func (s *session) toServer(datagram []byte) {
	s.Helper()
	if s.server == nil {
		reply, hello := s.door.Handle(s.now, datagram, s.from, serverAddr, nil)
		if len(reply) > 0 {
			s.carry(serverAddr, s.from, reply, s.toClient)
		}
		if hello == nil {
			return
		}
		var err error
		s.server, err = dtls.NewServerEngine(s.serverConfig, hello, s.now)
		s.must(err)
		datagram = hello.Datagram
	}
	s.must(s.server.HandleDatagram(s.now, datagram, s.from))
	drain(s.server)
}

func drain(e *dtls.Engine) {
	for _, ok := e.PollEvent(); ok; _, ok = e.PollEvent() {
	}
}

// wait lets time pass until a timer fires.
func (s *session) wait() {
	s.Helper()
	next := s.client.NextTimeout()
	if s.server != nil {
		if t := s.server.NextTimeout(); next.IsZero() || !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if next.IsZero() {
		s.Fatal("everybody waits")
	}
	if next.After(s.now) {
		s.now = next
	}
	s.must(s.client.HandleTimeout(s.now))
	if s.server != nil {
		s.must(s.server.HandleTimeout(s.now))
	}
}

// echo has each side send a record.
func (s *session) echo() {
	s.Helper()
	s.must(s.client.Write(s.now, []byte("ping")))
	s.exchange()
	s.must(s.server.Write(s.now, []byte("pong")))
	s.exchange()
}

// update changes the keys of a side.
func (s *session) update(e *dtls.Engine, requestPeer bool) {
	s.Helper()
	s.must(e.UpdateKeys(s.now, requestPeer))
	s.exchange()
}

// close ends the association, with a word from each side.
func (s *session) close() {
	s.Helper()
	for _, e := range []*dtls.Engine{s.client, s.server} {
		e.Close(s.now)
		for tx, ok := e.PollTransmit(s.now, nil); ok; tx, ok = e.PollTransmit(s.now, nil) {
			from, to := s.from, serverAddr
			if e == s.server {
				from, to = to, from
			}
			s.sent = append(s.sent, packet{s.now, from, to, tx.Data})
			s.now = s.now.Add(latency)
		}
	}
}

// again resumes the association in another one.
func (s *session) again() {
	s.Helper()
	session, err := s.client.Session()
	s.must(err)
	s.close()
	s.clientConfig.Session = session
	s.dial()
}

// trace lists the datagrams, for a failed test.
func (s *session) trace() string {
	var out strings.Builder
	for i, p := range s.sent {
		fmt.Fprintf(&out, "%3d %v from %v, %d bytes, % x…\n", i+1, p.at.Sub(s.sent[0].at), p.from, len(p.payload), p.payload[:min(len(p.payload), 5)])
	}
	return out.String()
}
