package dtls

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// What somebody on the path can put there: records and fragments made by hand,
// honest messages rewritten, and the moments to do it.

// forgedSeq is a record number that no honest record of these tests reaches.
const forgedSeq = 1 << 40

// forgeRecord is a record without protection.
func forgeRecord(typ record.ContentType, payload ...byte) []byte {
	return forgeRecordAt(typ, VersionDTLS12, record.Number{Seq: forgedSeq}, payload...)
}

func forgeRecordAt(typ record.ContentType, version uint16, n record.Number, payload ...byte) []byte {
	h := record.Header{Type: typ, Version: version, Number: n, Length: len(payload)}
	return append(record.AppendHeader(nil, h), payload...)
}

// forgeFragment is a plaintext record with one fragment; its header may lie.
func forgeFragment(h message.Header, body ...byte) []byte {
	return forgeRecord(record.TypeHandshake, append(h.Append(nil), body...)...)
}

// forgeMessage is a plaintext record with a whole message.
func forgeMessage(typ message.Type, seq uint16, body ...byte) []byte {
	n := uint32(len(body))
	return forgeFragment(message.Header{Type: typ, Length: n, Seq: seq, FragmentLength: n}, body...)
}

func forgeAlert(level alert.Level, a alert.Alert) []byte {
	return forgeRecord(record.TypeAlert, byte(level), byte(a))
}

// records cuts a datagram.
func records(t testing.TB, datagram []byte) (list [][]byte) {
	for len(datagram) > 0 {
		whole := datagram
		var rest []byte
		var err error
		if record.IsUnified(datagram[0]) {
			_, rest, err = record.NextUnified(datagram, 0)
		} else {
			_, _, rest, err = record.Next(datagram)
		}
		if err != nil {
			t.Fatalf("honest datagram: %v", err)
		}
		list = append(list, whole[:len(whole)-len(rest)])
		datagram = rest
	}
	return list
}

// inject hands a datagram to an engine as if it came from the other side.
func (s *sim) inject(to side, datagram []byte) {
	s.logf("forged, to the %s: %s", to, describeDatagram(datagram))
	s.deliver(to, datagram)
}

// deliver handles a datagram at once; the caller's bytes stay as they are.
func (s *sim) deliver(to side, datagram []byte) {
	d := bytes.Clone(datagram)
	_ = s.eng[to].HandleDatagram(s.now, d, s.addr[to.other()])
	s.drain(to)
	for i := range d { // events must not be kept
		d[i] = 0xdb
	}
}

// perRecord delivers every honest record in a datagram of its own. around is
// called before and after record number n (from 0) to a side.
func (s *sim) perRecord(around func(to side, n int, after bool)) {
	var count [2]int
	s.onDeliver = func(to side, datagram []byte) []byte {
		for _, rec := range records(s.t, datagram) {
			n := count[to]
			count[to]++
			around(to, n, false)
			s.deliver(to, rec)
			around(to, n, true)
		}
		return nil
	}
}

// moment is a place between the records of a handshake.
type moment struct {
	to    side
	n     int
	after bool
}

// moments are all of them, in a handshake without loss.
func moments(t testing.TB, configs func() (*Config, *Config)) (list []moment) {
	client, server := configs()
	s := newSim(t, client, server)
	s.perRecord(func(to side, n int, after bool) { list = append(list, moment{to, n, after}) })
	if !s.run(time.Minute, s.established) {
		t.Fatalf("no handshake\n%s", s.history())
	}
	return list
}

// at runs a handshake and calls do at that moment.
func at(t testing.TB, configs func() (*Config, *Config), m moment, do func(s *sim)) *sim {
	client, server := configs()
	s := newSim(t, client, server)
	done := false
	s.perRecord(func(to side, n int, after bool) {
		if (moment{to, n, after}) == m && !done {
			done = true
			do(s)
		}
	})
	if !s.run(2*time.Minute, s.established) {
		return s
	}
	if !done {
		t.Fatalf("the moment %+v never came\n%s", m, s.history())
	}
	return s
}

// rewrite changes the plaintext messages of one type on their way; nil keeps
// what it got. The datagrams of both sides must be large enough that nothing is
// cut.
func (s *sim) rewrite(typ message.Type, change func(body []byte) []byte) {
	before := s.onDeliver
	s.onDeliver = func(to side, datagram []byte) []byte {
		if before != nil {
			datagram = before(to, datagram)
		}
		var out []byte
		for _, rec := range records(s.t, datagram) {
			h, payload, _, err := record.Next(rec)
			if err == nil && h.Epoch == 0 && h.Type == record.TypeHandshake {
				m, body, rest, err := message.NextFragment(payload)
				if err == nil && m.Type == typ {
					if len(rest) > 0 || m.FragmentLength != m.Length {
						s.t.Fatalf("%v is not alone or not whole", typ)
					}
					body = change(bytes.Clone(body))
					m.Length, m.FragmentLength = uint32(len(body)), uint32(len(body))
					h.Length = message.HeaderLen + len(body)
					rec = append(m.Append(record.AppendHeader(nil, h)), body...)
				}
			}
			out = append(out, rec...)
		}
		return out
	}
}

// rewriteAs is rewrite for a parsed message.
func rewriteAs[M message.Message](s *sim, typ message.Type, kx message.KeyExchange, change func(M)) {
	s.rewrite(typ, func(body []byte) []byte {
		m, err := message.Parse(typ, kx, body)
		if err != nil {
			s.t.Fatal(err)
		}
		change(m.(M))
		out, err := m.AppendBody(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		return out
	})
}

// pskConfigs are a quick handshake with an ephemeral group and a cookie.
func pskConfigs() (client, server *Config) {
	client, server = simConfigs(dtlstest.P256, 0)
	withPSK(client, server)
	client.CipherSuites = []uint16{0xd001}
	server.CipherSuites = client.CipherSuites
	return client, server
}

// certConfigs have no cookie, believe faults at once and cut nothing.
func certConfigs(key dtlstest.Key) (client, server *Config) {
	client, server = simConfigs(key, 0)
	for _, c := range []*Config{client, server} {
		c.CookieMode, c.PlaintextAlerts, c.MTU = CookieAuto, AlertsImmediate, 8000
	}
	return client, server
}

// alertOf is the alert that an engine ended with, and whether the peer sent it.
func alertOf(t testing.TB, e *Engine) (a Alert, remote bool) {
	t.Helper()
	ae, ok := errors.AsType[*AlertError](e.Err())
	if !ok {
		t.Fatalf("%v: ended with %v, want an *AlertError", e, e.Err())
	}
	return ae.Alert, ae.Remote
}

// over reports whether some engine has ended.
func (s *sim) over() bool { return s.eng[0].Err() != nil || s.eng[1].Err() != nil }

// refuses runs until both sides are over: the one that found the fault with the
// alert, the other because it was told.
func (s *sim) refuses(finder side, want Alert) {
	s.t.Helper()
	s.run(2*time.Minute, func() bool { return s.eng[0].Err() != nil && s.eng[1].Err() != nil || s.established() })
	if s.established() {
		s.t.Fatalf("the handshake succeeds, want %v\n%s", want, s.history())
	}
	for _, at := range []side{finder, finder.other()} {
		a, remote := alertOf(s.t, s.eng[at])
		if a != want || remote == (at == finder) {
			s.t.Errorf("%s: %v, want %v found by the %s\n%s", at, s.eng[at].Err(), want, finder, s.history())
		}
	}
}

// testAddr is where strangers come from.
var testAddr = netip.MustParseAddrPort("192.0.2.77:7777")
