package dtls

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Numbers that a test must not take from the code it tests: they are those of the
// documentation and of the RFCs.

// TestReplayWindowIsThatOfTheConfig: Config.ReplayWindow decides how late a record may
// be (RFC 9147, Section 4.5.1), in both versions, before and after new keys; 256 by
// default.
func TestReplayWindowIsThatOfTheConfig(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for config, window := range map[int]int{0: 256, 64: 64, 1024: 1024} {
			for updates := range 2 {
				if version == VersionDTLS12 && updates > 0 {
					continue
				}
				client, server := pskConfigs()
				if version == VersionDTLS13 {
					client, server = &Config{MinVersion: version}, &Config{MinVersion: version}
					withPSK(client, server)
				}
				client.ReplayWindow, server.ReplayWindow = config, config
				s := newSim(t, client, server)
				s.handshake()
				for range updates {
					s.update(clientSide, true)
					s.settle()
				}
				for to := range side(2) {
					var sent [][]byte // the newest, window records later, is the last
					for range window + 1 {
						sent = append(sent, s.authentic(to.other(), record.TypeApplicationData, 1))
					}
					s.data = [2][][]byte{}
					s.deliver(to, sent[window])
					s.deliver(to, sent[1])
					if len(s.data[to]) != 2 {
						t.Errorf("%s, window %d, %d updates, to the %v: a record %d back was dropped", VersionName(version), config, updates, to, window-1)
					}
					before := s.eng[to].Drops().Replayed
					s.deliver(to, sent[0])
					if len(s.data[to]) != 2 || s.eng[to].Drops().Replayed != before+1 {
						t.Errorf("%s, window %d, %d updates, to the %v: a record %d back was delivered", VersionName(version), config, updates, to, window)
					}
				}
			}
		}
	}
}

// TestOldKeysAreKept: RFC 9147, Section 8: keys from before a KeyUpdate open what the
// network has delayed, for ten seconds from the first record under new ones, and no
// longer.
func TestOldKeysAreKept(t *testing.T) {
	for from := range side(2) {
		s := established13(t)
		to := from.other()
		var old [][]byte
		for range 3 {
			old = append(old, s.authentic(from, record.TypeApplicationData, 'o'))
		}
		s.update(from, false)
		s.settle()
		s.data = [2][][]byte{}
		s.deliver(to, s.authentic(from, record.TypeApplicationData, 'n'))
		first := s.now
		for i, after := range []time.Duration{0, 9 * time.Second, 11 * time.Second} {
			s.now = first.Add(after)
			_ = s.eng[to].HandleTimeout(s.now)
			if i == 1 { // puts nothing off
				s.deliver(to, s.authentic(from, record.TypeApplicationData, 'n'))
			}
			s.deliver(to, old[i])
			want := min(2+2*i, 4)
			if got := len(s.data[to]); got != want {
				t.Errorf("to the %v: %d records after %v, want %d, drops %v", to, got, after, want, s.eng[to].Drops())
			}
		}
		if s.eng[to].Drops().UnknownEpoch == 0 {
			t.Errorf("to the %v: %v", to, s.eng[to].Drops())
		}
	}
}

// TestHandshakeKeysAreKept: RFC 9147, Section 5.8.1 has a server acknowledge a repeated
// Finished "at least twice the default MSL" later, four minutes (RFC 9293, Section
// 3.4.1).
func TestHandshakeKeysAreKept(t *testing.T) {
	for after, kept := range map[time.Duration]bool{3*time.Minute + 59*time.Second: true, 4*time.Minute + time.Second: false} {
		s := established13(t)
		e := s.eng[serverSide]
		_ = e.HandleTimeout(s.now.Add(after))
		if got := e.keys.OpenerByBits(2) != nil; got != kept {
			t.Errorf("after %v the keys of the handshake are kept: %v, want %v", after, got, kept)
		}
	}
}

// TestRecordsOfDTLS10: once the version is agreed on, records of DTLS 1.2 say so; an
// authentic one that has the version of DTLS 1.0 in its header is dropped.
func TestRecordsOfDTLS10(t *testing.T) {
	for to := range side(2) {
		s := established(t)
		for _, version := range []uint16{message.Version10, VersionDTLS13, 0x0303} {
			raw, _, err := s.eng[to.other()].keys.Sealer().Seal(nil, record.TypeApplicationData, version, []byte("data"))
			if err != nil {
				t.Fatal(err)
			}
			before := s.eng[to].Drops().Version
			if s.deliver(to, raw); len(s.data[to]) > 0 || s.eng[to].Drops().Version != before+1 {
				t.Errorf("%v takes a record of version %04x: %q, %v", to, version, s.data[to], s.eng[to].Drops())
			}
		}
		s.echo("and those of DTLS 1.2")
	}
}

// TestSessionsAreBounded: a server that sends tickets without end costs the client four
// sessions; the newest are kept.
func TestSessionsAreBounded(t *testing.T) {
	s := established13(t)
	e := s.eng[clientSide]
	for range 2 { // of the handshake
		if _, err := e.Session(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		m := &message.NewSessionTicket13{Lifetime: 3600, Ticket: []byte{byte(i)}, Nonce: []byte{byte(i)}}
		body, err := m.AppendBody(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.deliver(clientSide, s.authenticMessage(serverSide, message.TypeNewSessionTicket, e.post.in.Awaited(), body...))
	}
	n := 0
	for {
		blob, err := e.Session()
		if err != nil {
			break
		}
		if n++; blob[len(blob)-1] != byte(20-n) {
			t.Errorf("session %d is that of ticket %d", n, blob[len(blob)-1])
		}
	}
	if n != 4 {
		t.Errorf("%d sessions are kept", n)
	}
}

// TestThreeTimes: RFC 9147, Section 5.1: an address that has proven nothing gets "three
// times the amount of data received", and a flight that is larger waits there.
func TestThreeTimes(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := simConfigs(dtlstest.P256, 6000)
		client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = version, version, version, version
		server.CookieMode, client.Hello = CookieNever, HelloSmall
		s := newSim(t, client, server)
		in, out := 0, 0
		s.path = func(from side, n int, d []byte) []time.Duration {
			if from == serverSide {
				out += len(d)
				return nil
			}
			if n > 0 {
				return nil // whoever sent the first datagram is not there any more
			}
			in += len(d)
			return []time.Duration{simRTT / 2}
		}
		s.run(2*time.Minute, func() bool { return false })
		if out > 3*in || out < 2*in {
			t.Errorf("%s: %d bytes for %d", VersionName(version), out, in)
		}
	}
}
