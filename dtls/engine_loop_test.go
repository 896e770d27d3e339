package dtls

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// The loop of an Engine's owner, as its documentation shows it.

// ownerLoop polls an engine after an input: datagrams first, then events.
func ownerLoop(now time.Time, e *Engine, send func([]byte) (limit int), onEvent func(Event)) {
	for tx, ok := e.PollTransmit(now, nil); ok; tx, ok = e.PollTransmit(now, nil) {
		if limit := send(tx.Data); len(tx.Data) > limit {
			e.TransmitRefused(now, tx.ID, 0)
		}
	}
	for ev, ok := e.PollEvent(); ok; ev, ok = e.PollEvent() {
		onEvent(ev)
	}
}

// TestDataOutlivesWrite: the bytes of an event are valid until the next
// HandleDatagram, HandleTimeout or Close. Write and UpdateKeys are none of these: an
// owner that answers each record in its loop loses none.
func TestDataOutlivesWrite(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = version, version, version, version
		s := newSim(t, client, server)
		s.handshake()
		c, e := s.eng[clientSide], s.eng[serverSide]
		var datagram []byte
		for _, text := range []string{"one", "two", "three"} {
			if err := c.Write(s.now, []byte(text)); err != nil {
				t.Fatal(err)
			}
			tx, ok := c.PollTransmit(s.now, nil)
			if !ok {
				t.Fatal("nothing to send")
			}
			datagram = append(datagram, tx.Data...)
		}
		if err := e.HandleDatagram(s.now, datagram, s.addr[clientSide]); err != nil {
			t.Fatal(err)
		}
		var got []string
		for ev, ok := e.PollEvent(); ok; ev, ok = e.PollEvent() {
			if ev.Kind == EventData {
				got = append(got, string(ev.Data))
				if err := e.Write(s.now, ev.Data); err != nil {
					t.Fatal(err)
				}
				if err := e.UpdateKeys(s.now, false); err != nil && !errors.Is(err, errNoKeyUpdate) {
					t.Fatal(err)
				}
			}
		}
		if strings.Join(got, " ") != "one two three" {
			t.Errorf("%s: the events have %q", VersionName(version), got)
		}
	}
}

// TestSetMTUInTheLoop: after EventLargePacket and SetMTU the flight may go at once, and
// NextTimeout says so: an owner that polls after each input, and then waits for the
// next one, goes on.
func TestSetMTUInTheLoop(t *testing.T) {
	client, _ := simConfigs13(dtlstest.P256, 0)
	client.MTUMode, client.Hello = MTUManual, HelloFull
	e, err := NewClientEngine(client, simStart)
	if err != nil {
		t.Fatal(err)
	}
	now, sent, told := simStart, 0, 0
	send := func(p []byte) int {
		if len(p) <= 600 {
			sent++
		}
		return 600
	}
	onEvent := func(ev Event) {
		if ev.Kind == EventLargePacket {
			told++
			if err := e.SetMTU(600); err != nil {
				t.Error(err)
			}
		}
	}
	ownerLoop(now, e, send, onEvent)
	if next := e.NextTimeout(); told != 1 || next.After(now) {
		t.Fatalf("told %d times, then the next time-out is %v away", told, next.Sub(now))
	}
	if err := e.HandleTimeout(now); err != nil {
		t.Fatal(err)
	}
	ownerLoop(now, e, send, onEvent)
	if next := e.NextTimeout(); sent == 0 || !next.After(now) {
		t.Errorf("%d datagrams sent, then the next time-out is %v away", sent, next.Sub(now))
	}
}

// TestExporterOfALingeringEngine: the secret is wiped by then, and bytes that are
// derived from none would be known to everybody.
func TestExporterOfALingeringEngine(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := simConfigs13(dtlstest.P256, 0)
		client.MinVersion, client.MaxVersion, server.MinVersion, server.MaxVersion = version, version, version, version
		s := newSim(t, client, server)
		if !s.run(time.Minute, s.established) {
			t.Fatal("no handshake")
		}
		e := s.eng[serverSide]
		if _, err := e.ExportKeyingMaterial("EXPERIMENTAL label", nil, 32); err != nil {
			t.Fatal(err)
		}
		if !e.Linger(s.now) {
			t.Fatalf("%s: the server does not linger", VersionName(version))
		}
		if b, err := e.ExportKeyingMaterial("EXPERIMENTAL label", nil, 32); err == nil {
			t.Errorf("%s: %x", VersionName(version), b)
		}
	}
}
