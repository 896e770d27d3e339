package dtls

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestUnacknowledgedTickets: a client that falls silent before it has
// acknowledged its tickets, or never acknowledges them, loses nothing. What the
// server sends later brings them along.
func TestUnacknowledgedTickets(t *testing.T) {
	client, server := simConfigs13(0, 0)
	var named, told []string
	client.Trace = &Trace{Message: func(m MessageInfo, _ error) { named = append(named, m.Name) }}
	server.Trace = &Trace{Suspended: func(messages string) { told = append(told, messages) }}
	s := newSim(t, client, server)
	awake := s.now.Add(24 * time.Hour)
	s.path = func(from side, _ int, _ []byte) []time.Duration {
		if from == clientSide && s.eng[serverSide].post != nil && s.now.Before(awake) {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Hour, func() bool { return false })
	if err := s.eng[serverSide].Err(); err != nil {
		t.Fatalf("%v\n%s", err, s.history())
	}
	if at := s.eng[serverSide].NextTimeout(); !at.IsZero() {
		t.Errorf("the server wants to go on in %v", at.Sub(s.now))
	}
	if s.outstanding() == "" {
		t.Fatal("the tickets were acknowledged")
	}
	if !slices.Equal(told, []string{"new_session_ticket, new_session_ticket"}) {
		t.Errorf("the hook was called for %q", told)
	}
	if len(named) < 2 || named[0] != "hello_retry_request" || named[1] != "server_hello" {
		t.Errorf("messages %q", named)
	}
	s.now = awake
	s.echo("awake")
	s.update(serverSide, true)
	s.settle()
	s.echo("with new keys")
	if n := s.eng[serverSide].keys.Write(); n != epochData+1 {
		t.Errorf("the server writes in epoch %d", n)
	}
}

// TestTicketsOfAnyLength: however long a ticket is, the next handshake succeeds: it
// is offered if there is room for it in a hello.
func TestTicketsOfAnyLength(t *testing.T) {
	for _, n := range []int{1, 10_000, handshake.MaxTicket, handshake.MaxTicket + 1, 65_000} {
		client, server := simConfigs13(dtlstest.P256, 0)
		server.CookieMode = CookieAuto // a server that gives long tickets takes long hellos
		s := newSim(t, client, server)
		s.handshake()
		s.settle()
		m := &message.NewSessionTicket13{Lifetime: 3600, Ticket: bytes.Repeat([]byte{7}, n)}
		body, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		e := s.eng[serverSide]
		e.out.extend([]outMessage{e.newMessage(m.Type(), e.keys.Write(), body)})
		s.settle()
		if client.Session, err = s.eng[clientSide].Session(); err != nil {
			t.Fatal(err)
		}
		old, err := handshake.ParseSession(client.Session)
		if kept := err == nil && len(old.Ticket) == n; kept != (n <= handshake.MaxTicket) {
			t.Errorf("a ticket of %d bytes is kept: %v, %v", n, kept, err)
		}
		newSim(t, client, server).handshake()
	}
}

// TestSessionWithoutTicket: what nobody can show a server is not offered.
func TestSessionWithoutTicket(t *testing.T) {
	for _, n := range []int{0, handshake.MaxTicket + 1, 65_000} {
		client, server := resumable13()
		old, err := handshake.ParseSession(client.Session)
		if err != nil {
			t.Fatal(err)
		}
		old.Ticket = make([]byte, n)
		if client.Session, err = old.Marshal(); err != nil {
			t.Fatal(err)
		}
		s := newSim(t, client, server)
		s.handshake()
		if s.eng[clientSide].ConnectionState().DidResume {
			t.Errorf("resumed with a ticket of %d bytes", n)
		}
	}
}
