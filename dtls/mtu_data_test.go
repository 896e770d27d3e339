package dtls

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// sendData writes n bytes and returns the datagram they went out in.
func sendData(t *testing.T, e *Engine, n int) []byte {
	t.Helper()
	if err := e.Write(simStart, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	tx, ok := e.PollTransmit(simStart, nil)
	if !ok {
		t.Fatal("nothing to send")
	}
	return tx.Data
}

// smallPair is an association that has sent nothing large so far: nothing is
// known of the path.
func smallPair(t *testing.T, mode MTUMode, v6 bool) *sim {
	t.Helper()
	client, server := simKinds[2].configs()
	client.MTUMode, server.MTUMode = mode, mode
	s := newSim(t, client, server)
	if v6 {
		s.addr[serverSide] = netip.MustParseAddrPort("[2001:db8::2]:4433")
	}
	s.handshake()
	if got := s.eng[clientSide].path.confirmed; got > fallbackMTU4 {
		t.Fatalf("%d bytes are known to arrive", got)
	}
	return s
}

// TestForgedHintsAboutData: a notice lowers the limit only if it quotes what
// nobody can know who has not seen the datagram.
func TestForgedHintsAboutData(t *testing.T) {
	for _, tt := range []struct {
		name  string
		quote func(q []byte) []byte
		v6    bool
		mtu   int
		want  int
	}{
		{"a true one", func(q []byte) []byte { return q }, false, 900, 900},
		{"all of it but the ciphertext, which can be guessed", func(q []byte) []byte { return append(q[:21:21], make([]byte, 500)...) }, false, 900, 1232},
		{"no more than that", func(q []byte) []byte { return q[:21] }, false, 900, 1232},
		{"a record number of later", func(q []byte) []byte { q[10]++; return q }, false, 900, 1232},
		{"zeros", func(q []byte) []byte { return make([]byte, 500) }, false, 900, 1232},
		{"nothing, as from an old router", func(q []byte) []byte { return nil }, false, 900, 1232},
		{"eight bytes", func(q []byte) []byte { return q[:8] }, false, 900, 1232},
		{"68", func(q []byte) []byte { return q }, false, 68, 1232},
		{"0", func(q []byte) []byte { return q }, false, 0, 1232},
		{"the size of the datagram", func(q []byte) []byte { return q }, false, 1232, 1232},
		{"1279 on IPv6", func(q []byte) []byte { return q }, true, 1279 - overheadIPv6, 1232},
		{"900 on IPv6", func(q []byte) []byte { return q }, true, 900, 1232},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := smallPair(t, MTUAuto, tt.v6)
			e := s.eng[clientSide]
			datagram := sendData(t, e, e.MaxData())
			e.PathHint(s.now, tt.mtu, tt.quote(bytes.Clone(datagram[:200])))
			if e.MTU() != tt.want {
				t.Errorf("the limit is %d, want %d", e.MTU(), tt.want)
			}
			if _, ok := e.PollTransmit(s.now, nil); ok {
				t.Error("it sent something")
			}
			ev, ok := e.PollEvent()
			if told := ok && ev.Kind == EventMTU && ev.Path.MTU == tt.want; told != (tt.want != defaultMTU) {
				t.Errorf("event %+v", ev)
			}
		})
	}
}

// TestHintAboutAnotherPeer: one association's datagrams mean nothing to the
// next.
func TestHintAboutAnotherPeer(t *testing.T) {
	a, b := smallPair(t, MTUAuto, false).eng[clientSide], smallPair(t, MTUAuto, false).eng[clientSide]
	of := sendData(t, a, 1000)
	sendData(t, b, 1000)
	b.PathHint(simStart, 900, of)
	if b.MTU() != defaultMTU {
		t.Errorf("the limit is %d", b.MTU())
	}
}

// TestHintComesLate: 31 large datagrams may follow the one that is quoted, and
// any number of small ones.
func TestHintComesLate(t *testing.T) {
	for _, tt := range []struct{ large, want int }{{31, 900}, {32, defaultMTU}} {
		e := smallPair(t, MTUAuto, false).eng[clientSide]
		quote := sendData(t, e, 1000)
		for range tt.large {
			sendData(t, e, 1000)
		}
		for range 100 {
			sendData(t, e, 10)
		}
		e.PathHint(simStart, 900, quote)
		if e.MTU() != tt.want {
			t.Errorf("after %d others the limit is %d, want %d", tt.large, e.MTU(), tt.want)
		}
	}
}

// TestHintManualData: with MTUManual a notice about data changes nothing but
// what OnMTU and the next Write that is too large say, once.
func TestHintManualData(t *testing.T) {
	s := smallPair(t, MTUManual, false)
	e := s.eng[clientSide]
	most := e.MaxData()
	quote := sendData(t, e, most)
	e.PathHint(s.now, 900, quote)
	ev, _ := e.PollEvent()
	if ev.Kind != EventMTU || ev.Path.MTU != 900 || ev.Path.LinkMTU != 928 || ev.Path.Source != FromICMP {
		t.Errorf("event %+v", ev)
	}
	if e.MTU() != defaultMTU || e.MaxData() != most {
		t.Errorf("the limit is %d, MaxData %d", e.MTU(), e.MaxData())
	}
	fits := 900 - e.keys.Sealer().Overhead()
	sendData(t, e, fits)
	next := e.keys.Sealer().Next()
	var lp *LargePacketError
	if err := e.Write(s.now, make([]byte, fits+1)); !errors.As(err, &lp) || IsFatal(err) || *lp != (LargePacketError{
		Op: "write", Size: 901, MTU: defaultMTU, PathMTU: 900, MaxData: fits, Source: FromICMP,
	}) {
		t.Errorf("the next Write: %v, %+v", err, lp)
	}
	if e.keys.Sealer().Next() != next {
		t.Error("it used a record number")
	}
	sendData(t, e, most) // whoever insists, means it

	// A datagram that was sealed before the notice was heard.
	e.PathHint(s.now, 900, sendData(t, e, most))
	if !e.tooLarge(901) || e.tooLarge(900) {
		t.Error("of 901 and 900 bytes one is too large by now, the other not")
	}
	if lp := e.tooLargeError(defaultMTU, nil); lp.PathMTU != 900 || lp.MaxData != fits || e.tooLarge(defaultMTU) {
		t.Errorf("%+v", lp)
	}
	e.PathHint(s.now, 700, sendData(t, e, most))
	if err := e.SetMTU(1000); err != nil || e.tooLarge(1000) {
		t.Error("SetMTU is the answer to all that was told before", err)
	}
}

// TestHintKeepsData: a notice takes nothing from an owner who has yet to poll.
func TestHintKeepsData(t *testing.T) {
	s := smallPair(t, MTUAuto, false)
	datagram := sendData(t, s.eng[clientSide], 10)
	server := s.eng[serverSide]
	if err := server.HandleDatagram(s.now, datagram, s.addr[clientSide]); err != nil {
		t.Fatal(err)
	}
	server.PathHint(s.now, 900, nil)
	server.TransmitRefused(s.now, 12345, 0)
	for {
		ev, ok := server.PollEvent()
		if !ok {
			t.Fatal("the data is gone")
		}
		if ev.Kind == EventData {
			return
		}
	}
}

// TestRumoursAreAnsweredOnce: each rumour may be a little smaller than the one
// before. Only the first of a transmission has part of the flight sent again.
func TestRumoursAreAnsweredOnce(t *testing.T) {
	s, _ := stuckSim(t, false, MTUAuto)
	server := s.eng[serverSide]
	before := s.sent[serverSide]
	server.PathHint(s.now, 1200, nil)
	s.flush(serverSide)
	once := s.sent[serverSide] - before
	if once == 0 {
		t.Fatal("the first rumour changed nothing")
	}
	for mtu := 1199; mtu > 0; mtu-- {
		server.PathHint(s.now, mtu, nil)
		s.flush(serverSide)
	}
	if got := s.sent[serverSide] - before; got != once || server.MTU() != 1200 {
		t.Errorf("%d datagrams for 1200 rumours, %d for the first; the limit is %d", got, once, server.MTU())
	}
	if !s.run(time.Minute, s.established) {
		t.Errorf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
	}
}

// TestQuotesAreFreed: an association that sends nothing large remembers nothing.
func TestQuotesAreFreed(t *testing.T) {
	client, server := simKinds[0].configs()
	s := newSim(t, client, server)
	s.handshake()
	s.echo("settled")
	for at, e := range s.eng {
		if e.path.quotes != nil {
			t.Errorf("the %s remembers its handshake", side(at))
		}
	}
}
