package dtls

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// TestLadder walks pathMTU alone through transmissions that nobody answers.
func TestLadder(t *testing.T) {
	const second, short = time.Second, 400 * time.Millisecond
	for _, tt := range []struct {
		name  string
		path  pathMTU
		rtt   bool // the timer comes from a measured round trip
		size  int  // largest datagram of each transmission, 0: the limit
		timer time.Duration
		want  []int // limit after each silence
	}{
		{"a timer of a second allows two tries at full size, then two at the fallback", pathMTU{full: 1232, repeated: true}, false, 0, second, []int{1232, 548, 548, 228, 228, 228}},
		{"a measured timer allows three", pathMTU{full: 1232, repeated: true}, true, 0, second, []int{1232, 1232, 548, 548, 228, 228}},
		{"so does a short one", pathMTU{full: 1232, repeated: true}, false, 0, short, []int{1232, 1232, 548, 548, 228, 228}},
		{"401 ms is not short", pathMTU{full: 1232, repeated: true}, false, 0, short + 1e6, []int{1232, 548, 548, 228}},
		{"a peer that repeats nothing may compute: two more at each rung", pathMTU{full: 1232}, true, 0, second, []int{1232, 1232, 1232, 1232, 548, 548, 548, 548, 228}},
		{"1232 is a rung below Ethernet", pathMTU{full: 1472, repeated: true}, false, 0, second, []int{1472, 1232, 1232, 548, 548, 228}},
		{"below the fallback there is only the floor, after the tries of both", pathMTU{full: 500, repeated: true}, true, 0, second, []int{500, 500, 500, 500, 228, 228}},
		{"at the fallback there is only the floor", pathMTU{full: 548, repeated: true}, true, 0, second, []int{548, 548, 548, 548, 228, 228}},
		{"at the floor there is nothing", pathMTU{full: 228, repeated: true}, true, 0, second, []int{228, 228, 228}},
		{"a small ceiling acts like a small start", pathMTU{full: 1232, ceiling: 400, repeated: true}, true, 0, second, []int{400, 400, 400, 400, 228}},
		{"IPv6 never goes below 1232", pathMTU{full: 1232, v6: true, repeated: true}, false, 0, second, []int{1232, 1232, 1232, 1232}},
		{"but falls to it", pathMTU{full: 1452, v6: true, repeated: true}, false, 0, second, []int{1452, 1232, 1232, 1232}},
		{"a caller's 600 on IPv6 stays", pathMTU{full: 600, v6: true, repeated: true}, false, 0, second, []int{600, 600, 600}},
		{"what the fallback would let pass as well has four tries, then only the floor is left", pathMTU{full: 1232, repeated: true}, false, 548, second, []int{1232, 1232, 1232, 228, 228}},
		{"five tries with a measured timer", pathMTU{full: 1232, repeated: true}, true, 300, second, []int{1232, 1232, 1232, 1232, 228}},
		{"what the floor would let pass was lost, not too large", pathMTU{full: 1232, repeated: true}, false, 228, second, []int{1232, 1232, 1232, 1232, 1232}},
		{"a byte more may have been too large", pathMTU{full: 1232, repeated: true}, false, 549, second, []int{1232, 548}},
		{"a size that arrived before holds its rung", pathMTU{full: 1232, confirmed: 1232, repeated: true}, false, 0, second, []int{1232, 1232, 1232}},
		{"one that did not, does not", pathMTU{full: 1232, confirmed: 1231, repeated: true}, false, 0, second, []int{1232, 548, 548}},
		{"nor do small ones", pathMTU{full: 1232, confirmed: 228, repeated: true}, false, 0, second, []int{1232, 548, 548, 228}},
		{"only the kernel lowers in MTUKernel", pathMTU{full: 1232, mode: MTUKernel, repeated: true}, false, 0, second, []int{1232, 1232, 1232}},
		{"only the caller in MTUManual", pathMTU{full: 1232, mode: MTUManual, repeated: true}, false, 0, second, []int{1232, 1232, 1232}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, before := tt.path, tt.path.limit()
			for i, want := range tt.want {
				size := tt.size
				if size == 0 {
					size = m.limit()
				}
				lowered, _ := m.silence(size, false, tt.timer, tt.rtt, simStart)
				if got := m.limit(); got != want {
					t.Fatalf("%d after silence %d, want %d", got, i+1, want)
				}
				if lowered != (before != want) {
					t.Errorf("silence %d: reports %v for %d → %d", i+1, lowered, before, want)
				}
				if info := m.info(0); lowered && (info.Source != FromSilence || !info.At.Equal(simStart)) {
					t.Errorf("%+v", info)
				}
				before = want
			}
		})
	}
}

// TestPathMTUInputs gives a path of 1232 one input after the other.
func TestPathMTUInputs(t *testing.T) {
	refused := func(size, hint int) func(*pathMTU) bool {
		return func(m *pathMTU) bool { return m.refused(size, hint, simStart) }
	}
	hint := func(n int, verified bool) func(*pathMTU) bool {
		return func(m *pathMTU) bool { return m.hint(n, verified, simStart) }
	}
	lost := func(n, times int) func(*pathMTU) bool {
		return func(m *pathMTU) (fell bool) {
			for range times {
				fell = m.reportedLost(n, simStart) || fell
			}
			return fell
		}
	}
	delivered := func(n int) func(*pathMTU) bool {
		return func(m *pathMTU) bool { m.deliveredSize(n); return false }
	}
	silence := func(m *pathMTU) (fell bool) {
		m.peerRepeated()
		for !fell {
			fell, _ = m.silence(m.limit(), false, time.Second, false, simStart)
		}
		return fell
	}
	// answer ends a flight: its answer began within one timer or later.
	answer := func(prompt bool, size int) func(*pathMTU) bool {
		return func(m *pathMTU) bool {
			m.answerBegins(prompt)
			return m.answered(size, simStart)
		}
	}
	settle := func(m *pathMTU) bool { m.newFlight(); m.settle(); return false }
	notRepeated := func(m *pathMTU) bool { m.repeated = false; return false }
	missing := func(proven bool) func(*pathMTU) bool {
		return func(m *pathMTU) bool { return m.fallBack(rungFallback, proven, simStart) }
	}
	set := func(n int) func(*pathMTU) bool {
		return func(m *pathMTU) bool { m.set(n, 1232, simStart); return false }
	}
	for _, tt := range []struct {
		name   string
		path   pathMTU
		inputs []func(*pathMTU) bool
		limit  int
		falls  bool // what the last input reported
		source MTUSource
	}{
		{"a refusal without reason: the next smaller rung", pathMTU{full: 1472}, []func(*pathMTU) bool{refused(1472, 0)}, 1232, true, FromKernel},
		{"and the next", pathMTU{full: 1472}, []func(*pathMTU) bool{refused(1472, 0), refused(1232, 0), refused(548, 0)}, 228, true, FromKernel},
		{"a small datagram that was refused says more than the limit", pathMTU{full: 1232}, []func(*pathMTU) bool{refused(400, 0)}, 228, true, FromKernel},
		{"with a reason: that", pathMTU{full: 1232}, []func(*pathMTU) bool{refused(1232, 999)}, 999, true, FromKernel},
		{"a reason that contradicts the refusal is none", pathMTU{full: 1232}, []func(*pathMTU) bool{refused(1232, 1232)}, 548, true, FromKernel},
		{"nothing is smaller than the floor", pathMTU{full: 228}, []func(*pathMTU) bool{refused(228, 0)}, 228, false, FromConfig},
		{"nor is a reason", pathMTU{full: 1232}, []func(*pathMTU) bool{refused(1232, 227)}, 1232, false, FromConfig},
		{"in MTUManual a refusal changes nothing", pathMTU{full: 1232, mode: MTUManual}, []func(*pathMTU) bool{refused(1232, 600)}, 1232, false, FromConfig},
		{"nor does a hint", pathMTU{full: 1232, mode: MTUManual}, []func(*pathMTU) bool{hint(600, true)}, 1232, false, FromConfig},
		{"a verified hint", pathMTU{full: 1232}, []func(*pathMTU) bool{hint(600, true)}, 600, true, FromICMP},
		{"one below what IPv4 must carry", pathMTU{full: 1232}, []func(*pathMTU) bool{hint(547, true)}, 1232, false, FromConfig},
		{"one that says nothing new", pathMTU{full: 1232}, []func(*pathMTU) bool{hint(600, true), hint(600, true)}, 600, false, FromICMP},
		{"it doubts even what arrived: paths change", pathMTU{full: 1232}, []func(*pathMTU) bool{delivered(1232), hint(600, true)}, 600, true, FromICMP},
		{"a rumour does not", pathMTU{full: 1232}, []func(*pathMTU) bool{delivered(1000), hint(600, false)}, 1000, true, FromKernel},
		{"a rung and a hint: the smaller holds", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, hint(900, true)}, 548, false, FromSilence},
		{"five losses are bad luck", pathMTU{full: 1472}, []func(*pathMTU) bool{lost(1472, 5)}, 1472, false, FromConfig},
		{"six are a black hole", pathMTU{full: 1472}, []func(*pathMTU) bool{lost(1472, 6)}, 1232, true, FromSilence},
		{"unless something large arrived in between", pathMTU{full: 1472}, []func(*pathMTU) bool{lost(1472, 5), delivered(1300), lost(1472, 5)}, 1472, false, FromConfig},
		{"small ones prove nothing", pathMTU{full: 1472}, []func(*pathMTU) bool{lost(1472, 5), delivered(500), lost(1472, 1)}, 1232, true, FromSilence},
		{"losses of the base size are losses", pathMTU{full: 1472}, []func(*pathMTU) bool{lost(1232, 20)}, 1472, false, FromConfig},
		{"they count at the base size as well", pathMTU{full: 1232}, []func(*pathMTU) bool{lost(1232, 5), lost(600, 1)}, 548, true, FromSilence},
		{"and down to the floor", pathMTU{full: 1232}, []func(*pathMTU) bool{lost(1232, 6), lost(548, 6)}, 228, true, FromSilence},
		{"not below it", pathMTU{full: 228}, []func(*pathMTU) bool{lost(228, 20)}, 228, false, FromConfig},
		{"nor below what IPv6 must carry", pathMTU{full: 1232, v6: true}, []func(*pathMTU) bool{lost(1232, 20)}, 1232, false, FromConfig},
		{"silence ends with the handshake", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, answer(false, 548), settle}, 1232, false, FromConfig},
		{"not if the peer missed the large ones, and has the small ones", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, answer(true, 548), settle}, 548, false, FromSilence},
		{"a peer that repeated nothing missed nothing", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, notRepeated, answer(true, 548), settle}, 1232, false, FromConfig},
		{"an answer to the second transmission at a rung proves nothing", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, func(m *pathMTU) bool { m.silent++; return false }, answer(true, 548), settle}, 1232, false, FromConfig},
		{"an ACK without the large ones does", pathMTU{full: 1232}, []func(*pathMTU) bool{missing(true), settle}, 548, false, FromSilence},
		{"what anybody can have sent does not", pathMTU{full: 1232}, []func(*pathMTU) bool{func(m *pathMTU) bool { m.peerRepeated(); return false }, missing(false), answer(true, 548), settle}, 1232, false, FromConfig},
		{"and is over with its flight", pathMTU{full: 1232}, []func(*pathMTU) bool{missing(false), func(m *pathMTU) bool { m.newFlight(); return false }}, 1232, false, FromConfig},
		{"only MTUAuto believes in silence", pathMTU{full: 1472, mode: MTUKernel}, []func(*pathMTU) bool{lost(1472, 20)}, 1472, false, FromConfig},
		{"SetMTU forgets the rung", pathMTU{full: 1232}, []func(*pathMTU) bool{silence, set(1400)}, 1400, false, FromConfig},
		{"and is a ceiling", pathMTU{full: 1232}, []func(*pathMTU) bool{set(700), hint(600, true), set(0)}, 1232, false, FromConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, falls := tt.path, false
			for _, input := range tt.inputs {
				falls = input(&m)
			}
			if got := m.info(0).Source; m.limit() != tt.limit || falls != tt.falls || got != tt.source {
				t.Errorf("%d said by %v, fell %v; want %d, %v, %v", m.limit(), got, falls, tt.limit, tt.source, tt.falls)
			}
		})
	}
}

func TestPayloadMTU(t *testing.T) {
	for _, tt := range []struct {
		link int
		addr string
		want int
	}{
		{1500, "192.0.2.1", 1472},
		{1500, "2001:db8::1", 1452},
		{1500, "::ffff:192.0.2.1", 1472},
		{1280, "2001:db8::1", 1232},
		{576, "192.0.2.1", 548},
		{1420, "fe80::1%eth0", 1372},
	} {
		if got := PayloadMTU(tt.link, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("PayloadMTU(%d, %s) = %d, want %d", tt.link, tt.addr, got, tt.want)
		}
	}
}

// TestLinkMTU: PathInfo has both units.
func TestLinkMTU(t *testing.T) {
	client, server := simKinds[2].configs()
	s := newSim(t, client, server)
	if info := s.eng[clientSide].PathMTU(); info.LinkMTU != 0 {
		t.Errorf("link MTU %d of an unknown peer", info.LinkMTU)
	}
	s.handshake()
	if info := s.eng[clientSide].PathMTU(); info.MTU != 1232 || info.LinkMTU != 1260 {
		t.Errorf("%+v", info)
	}
}

func TestSuggest(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  LargePacketError
		want int
	}{
		{"what the path is known to carry", LargePacketError{Size: 1232, PathMTU: 900}, 900},
		{"down to the floor", LargePacketError{Size: 1232, PathMTU: 228}, 228},
		{"below it nothing can work", LargePacketError{Size: 1232, PathMTU: 227}, 0},
		{"half, if nothing is known", LargePacketError{Size: 1232}, 616},
		{"but not less than the floor", LargePacketError{Size: 300}, 228},
		{"one byte over the floor", LargePacketError{Size: 229}, 228},
		{"the floor itself was refused", LargePacketError{Size: 228}, 0},
		{"something smaller was refused", LargePacketError{Size: 60}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Suggest(); got != tt.want {
				t.Errorf("Suggest() = %d, want %d", got, tt.want)
			}
			tt.err.Err = syscall.EMSGSIZE
			if !errors.Is(&tt.err, ErrLargePacket) || !errors.Is(&tt.err, syscall.EMSGSIZE) {
				t.Error("errors.Is does not see through it")
			}
		})
	}
}
