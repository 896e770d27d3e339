package dtls

import (
	"errors"
	"maps"
	"net/netip"
	"testing"
	"time"
)

// blackHole loses what is larger than n without a word.
func (s *sim) blackHole(n int, sides [2]bool) {
	s.path = func(from side, _ int, datagram []byte) []time.Duration {
		if sides[from] && len(datagram) > n {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
}

// TestBlackHole: a path that loses what is too large, and says nothing. The
// ladder of the limit finds it. All timers are 200 ms here, the least that a
// round trip of 50 ms gives. From the first transmission of the flight:
//
//	0 s        1232
//	0.2 s      1232   for loss is more likely than a small path
//	0.4 s      1232   and again, with an eighth of the timer and a round trip behind it
//	0.475 s     548   the timer begins anew
//	0.675 s     548
//	1.075 s     228
//
// The peer, which waits as well, repeats its own flight at 0.2 s: that is why a small
// path is suspected, and takes the place of the timer (TestBlackHoleAlone is without).
func TestBlackHole(t *testing.T) {
	trips := 3 * simRTT // of a handshake without loss
	for _, tt := range []struct {
		name   string
		n      int
		narrow [2]bool
		limit  [2]int        // in the end
		late   time.Duration // over a handshake without loss
	}{
		// A repetition, backwards, happens to have datagrams of 1152 bytes at most.
		{"1231 to the client", 1231, [2]bool{serverSide: true}, [2]int{1232, 1232}, 250 * ms},
		{"600 to the client", 600, [2]bool{serverSide: true}, [2]int{1232, 548}, 475 * ms},
		{"548 to the client", 548, [2]bool{serverSide: true}, [2]int{1232, 548}, 475 * ms},
		{"300 to the client", 300, [2]bool{serverSide: true}, [2]int{1232, 228}, 882 * ms},
		{"228 to the client", 228, [2]bool{serverSide: true}, [2]int{1232, 228}, 1139 * ms},
		// A server that has part of the answer repeats its flight once.
		{"1231 to the server", 1231, [2]bool{clientSide: true}, [2]int{548, 1232}, 675 * ms},
		{"600 to the server", 600, [2]bool{clientSide: true}, [2]int{548, 1232}, 675 * ms},
		{"560 to the server", 560, [2]bool{clientSide: true}, [2]int{548, 1232}, 675 * ms},
		// Silence does not show which way is narrow: the server sends smaller datagrams too.
		{"300 to the server", 300, [2]bool{clientSide: true}, [2]int{228, 1232}, 1107 * ms},
		{"228 to the server", 228, [2]bool{clientSide: true}, [2]int{228, 1232}, 832 * ms},
		{"1231 both ways", 1231, [2]bool{true, true}, [2]int{548, 1232}, 775 * ms},
		{"600 both ways", 600, [2]bool{true, true}, [2]int{548, 548}, 1150 * ms},
		{"560 both ways", 560, [2]bool{true, true}, [2]int{548, 548}, 1150 * ms},
		{"300 both ways", 300, [2]bool{true, true}, [2]int{228, 1232}, 2189 * ms},
		{"228 both ways", 228, [2]bool{true, true}, [2]int{228, 228}, 2171 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMTUSim(t, simKinds[1].configs, MTUAuto)
			s.blackHole(tt.n, tt.narrow)
			if !s.run(2*time.Minute, s.established) {
				t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
			}
			for at, want := range tt.limit {
				if got := s.eng[at].MTU(); got != want {
					t.Errorf("the limit of the %v is %d, want %d", side(at), got, want)
				}
			}
			if late := s.now.Sub(s.start) - trips; late != tt.late {
				t.Errorf("%v late, want %v\n%s", late, tt.late, s.history())
			}
			s.echo("data")
		})
	}
}

// TestBlackHoleAlone: the same without a peer that repeats anything, which may compute:
// the timer goes on doubling.
func TestBlackHoleAlone(t *testing.T) {
	client, server := simKinds[0].configs()
	server.CookieMode = CookieAuto
	hello := provenHello(t, client, server, simRTT)
	e, err := NewServerEngine(server, hello, simStart)
	if err != nil {
		t.Fatal(err)
	}
	_ = e.HandleDatagram(simStart, hello.Datagram, hello.From)
	now, limits := simStart, map[time.Duration]int{}
	for now.Sub(simStart) < 26*time.Second {
		for _, ok := e.PollTransmit(now, nil); ok; _, ok = e.PollTransmit(now, nil) {
			if e.out.sent.number > len(limits) { // without the pauses
				limits[now.Sub(simStart).Round(100*ms)] = e.MTU()
			}
		}
		now = e.NextTimeout()
		_ = e.HandleTimeout(now)
	}
	want := map[time.Duration]int{0: 1232, 200 * ms: 1232, 600 * ms: 1232, 1400 * ms: 1232, 3000 * ms: 1232, 6300 * ms: 548, 12800 * ms: 548, 25800 * ms: 548}
	if !maps.Equal(limits, want) {
		t.Errorf("limits %v, want %v", limits, want)
	}
}

// TestBlackHoleIPv6: every IPv6 link carries 1280 bytes, so silence there is
// loss, never a reason to go below 1232.
func TestBlackHoleIPv6(t *testing.T) {
	s := newMTUSim(t, simKinds[1].configs, MTUAuto)
	s.addr = [2]netip.AddrPort{
		netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:4433"),
	}
	s.blackHole(1231, [2]bool{true, true})
	s.run(2*time.Minute, func() bool { return s.eng[0].Err() != nil })
	if !errors.Is(s.eng[0].Err(), ErrHandshakeTimeout) {
		t.Fatalf("%v\n%s", s.eng[0], s.history())
	}
	for at, kinds := range s.events {
		for _, kind := range kinds {
			if kind == EventMTU {
				t.Errorf("the limit of the %v changed: %d\n%s", side(at), s.eng[at].MTU(), s.history())
			}
		}
	}
}
