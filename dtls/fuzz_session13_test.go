package dtls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// What resumption takes from outside: a client its session, from whoever kept it,
// and a server the ticket, from anybody; what is in a ticket was sealed by a
// server with the same keys, which may have been one of another version.

// edit changes bytes, takes some out and puts others in.
func (s *script) edit(b []byte) []byte {
	b = bytes.Clone(b)
	for len(*s) > 0 && len(b) > 0 {
		op, at := s.next(), s.number()%len(b)
		switch op % 4 {
		case 0:
			b[at] ^= byte(s.next())
		case 1:
			b = b[:at]
		case 2:
			b = slices.Delete(b, at, min(len(b), at+s.next()))
		case 3:
			b = slices.Insert(b, at, s.take(s.next())...)
		}
	}
	return b
}

// Where a script puts its bytes.
const (
	sessionBytes    = iota // the client's session
	sessionEdited          // an honest one, changed
	ticketBytes            // the ticket
	ticketEdited           // an honest one, changed
	sealedBytes            // what was sealed in the ticket
	sealedEdited           // what an honest server has sealed, changed
	sealedUnchanged        // nowhere
	sessionPlaces
)

// FuzzSession13: a session that is none, or one with a ticket that means nothing to
// the server, is good for a full handshake, and any other
// ends well or with an alert. What is parsed is written as it was.
func FuzzSession13(f *testing.F) {
	honestClient, honestServer := simConfigs13(dtlstest.P256, 0)
	honestServer.CookieMode = CookieAuto
	giveSession(honestClient, honestServer)
	tickets := &honestServer.shared().Tickets
	honest := func() *handshake.Session {
		s, err := handshake.ParseSession(honestClient.Session)
		if err != nil {
			f.Fatal(err)
		}
		return s
	}
	sealed, now := tickets.Open(honest().Ticket), honestServer.Time()
	f.Add([]byte{sealedUnchanged})
	for place := range byte(sealedUnchanged) {
		f.Add([]byte{place})
		f.Add([]byte{place, 0, 0, 0, 1})
		f.Add([]byte{place, 0, 0, 5, 3, 1, 0, 90})
		f.Add([]byte{place, 2, 0, 60, 9, 3, 0, 61, 2, 0, 7})
		f.Add([]byte{place, 0, 0, 73, 1, 2, 0, 74, 255})
	}
	for at := range byte(48) { // all fields before the names and the chain
		f.Add([]byte{sessionEdited, 0, 0, 2 * at, 1})
		f.Add([]byte{sealedEdited, 0, 0, 2 * at, 1})
	}
	f.Add(append([]byte{sessionBytes}, honestClient.Session...))
	f.Add(append(append([]byte{sessionBytes}, honestClient.Session...), 0))
	f.Add(append([]byte{ticketBytes}, honest().Ticket...))
	f.Add(append([]byte{sealedBytes}, sealed...))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := script(input)
		place, old := s.next()%sessionPlaces, honest()
		switch place {
		case ticketBytes:
			old.Ticket = s
		case ticketEdited:
			old.Ticket = s.edit(old.Ticket)
		case sealedBytes:
			old.Ticket = tickets.Seal(s, now)
		case sealedEdited:
			old.Ticket = tickets.Seal(s.edit(sealed), now)
		}
		blob, err := old.Marshal()
		switch {
		case place == sessionBytes:
			blob = s
		case place == sessionEdited:
			blob = s.edit(blob)
		case err != nil:
			return // a ticket that no server could send
		}
		fuzzSession(t, blob, honestClient, honestServer)
	})
}

// fuzzSession resumes a session.
func fuzzSession(t *testing.T, blob []byte, honestClient, server *Config) {
	client := func() *Config { // no copy of one that knows which sessions were offered
		return &Config{
			RootCAs: honestClient.RootCAs, ServerName: honestClient.ServerName, Time: honestClient.Time,
			MinVersion: VersionDTLS13, Session: blob,
		}
	}
	var inside *handshake.Session
	if offered := reparsed(t, blob); offered != nil {
		if sealed := server.shared().Tickets.Open(offered.Ticket); sealed != nil {
			inside = reparsed(t, sealed)
		}
	}
	p := newSim(t, client(), server)
	both := func() bool { return p.eng[0].Err() != nil && p.eng[1].Err() != nil }
	p.run(2*time.Minute, func() bool { return p.established() || both() })
	resumed := p.eng[clientSide].ConnectionState().DidResume
	switch {
	case p.established() && resumed == p.eng[serverSide].ConnectionState().DidResume && (!resumed || inside != nil):
		p.echo("whichever")
	case both() && inside != nil:
		for _, e := range p.eng {
			if _, ok := errors.AsType[*AlertError](e.Err()); !ok {
				t.Fatalf("%v\n%s", e, p.history())
			}
		}
	default:
		t.Fatalf("%v; %v; resumed %v with %x\n%s", p.eng[0], p.eng[1], resumed, blob, p.history())
	}
	if bytes.Equal(blob, honestClient.Session) && !resumed {
		t.Fatalf("the honest session is not resumed\n%s", p.history())
	}
}

// reparsed is what is in a session, nil if it is none.
func reparsed(t *testing.T, blob []byte) *handshake.Session {
	t.Helper()
	s, err := handshake.ParseSession(blob)
	if err != nil {
		return nil
	}
	if again, err := s.Marshal(); err != nil || !bytes.Equal(again, blob) {
		t.Fatalf("%x is written as %x, %v", blob, again, err)
	}
	return s
}
