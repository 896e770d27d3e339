package transport

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/udpsock"
)

// scriptedKernel says what a script tells: to each call the error, and behind
// it the notices.
type scriptedKernel struct {
	UDP
	script  []kernelSays
	notices []udpsock.Notice
	calls   int
}

type kernelSays struct {
	err     error
	notices []udpsock.Notice
}

func (s *scriptedKernel) WriteMsg([]byte, netip.AddrPort, netip.Addr) error {
	s.calls++
	if len(s.script) == 0 {
		return nil
	}
	say := s.script[0]
	s.script = s.script[1:]
	s.notices = say.notices
	return say.err
}

func (s *scriptedKernel) Drain(f func(udpsock.Notice)) int {
	n := len(s.notices)
	for _, notice := range s.notices {
		f(notice)
	}
	s.notices = nil
	return n
}

// TestSendTellsWhomAnErrorIsAbout by the notices that come with it.
func TestSendTellsWhomAnErrorIsAbout(t *testing.T) {
	ours, other := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2")
	icmp := func(peer netip.AddrPort) udpsock.Notice {
		return udpsock.Notice{Peer: peer, Origin: udpsock.ICMP, MTU: 600}
	}
	local := func(peer netip.AddrPort, mtu int) udpsock.Notice {
		return udpsock.Notice{Peer: netip.AddrPortFrom(peer.Addr(), 0), Origin: udpsock.Local, MTU: mtu}
	}
	tooLarge, refused := opError(syscall.EMSGSIZE), opError(syscall.ECONNREFUSED)
	says := func(err error, notices ...udpsock.Notice) kernelSays { return kernelSays{err, notices} }
	for _, tt := range []struct {
		name   string
		script []kernelSays
		calls  int
		want   error // nil: sent
		hint   int
		heard  int // notices passed on
	}{
		{"another peer's notice", []kernelSays{says(tooLarge, icmp(other))}, 2, nil, 0, 1},
		{"twice, as when one comes between hearing and sending", []kernelSays{says(tooLarge, icmp(other)), says(tooLarge, icmp(other))}, 3, nil, 0, 2},
		{"one that another goroutine has heard", []kernelSays{says(tooLarge)}, 2, nil, 0, 0},
		{"too large for the first link", []kernelSays{says(tooLarge, local(ours, 1000)), says(tooLarge, local(ours, 1000))}, 2, syscall.EMSGSIZE, 1000, 0},
		{"also while others' notices come", []kernelSays{says(tooLarge, icmp(other), local(ours, 1000)), says(tooLarge, local(ours, 1000), icmp(other))}, 2, syscall.EMSGSIZE, 1000, 2},
		{"too large, and nothing is said", []kernelSays{says(tooLarge), says(tooLarge)}, 2, syscall.EMSGSIZE, 0, 0},
		{"too large for another's link", []kernelSays{says(tooLarge, local(other, 1000)), says(tooLarge)}, 2, syscall.EMSGSIZE, 0, 0},
		{"a closed port of another peer's, before the refusal", []kernelSays{
			says(refused, icmp(other)), says(tooLarge, local(ours, 1000)),
		}, 2, syscall.EMSGSIZE, 1000, 1},
		{"no route", []kernelSays{says(opError(syscall.ENETUNREACH)), says(opError(syscall.ENETUNREACH))}, 2, syscall.ENETUNREACH, 0, 0},
		{"a flood is not taken for a refusal", slices.Repeat([]kernelSays{says(tooLarge, icmp(other))}, 100), 1 + maxRepeats, errCrowded, 0, maxRepeats},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kernel, heard := &scriptedKernel{script: tt.script}, 0
			s := &Socket{udp: kernel, large: large, noticed: func(n udpsock.Notice) {
				if heard++; n.Origin != udpsock.ICMP {
					t.Errorf("passed on: %+v", n)
				}
			}}
			err := s.Send([]byte("datagram"), Addr{AP: ours}, func() bool { return false })
			if kernel.calls != tt.calls || heard != tt.heard {
				t.Errorf("%d calls, %d notices passed on; want %d, %d", kernel.calls, heard, tt.calls, tt.heard)
			}
			if (tt.want == nil) != (err == nil) || !errors.Is(err, tt.want) || s.large.IsTooLarge(err) != errors.Is(tt.want, syscall.EMSGSIZE) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if hint := s.PathHint(err); hint != tt.hint {
				t.Errorf("hint %d, want %d", hint, tt.hint)
			}
		})
	}
}

// TestSendAsksOnceMore whether the datagram is still wanted, after each notice.
func TestSendAsksOnceMore(t *testing.T) {
	refused := opError(syscall.EMSGSIZE)
	for at := range 3 {
		kernel := &scriptedKernel{script: slices.Repeat([]kernelSays{{refused, []udpsock.Notice{{Origin: udpsock.ICMP}}}}, 10)}
		asked := 0
		s := &Socket{udp: kernel, large: large, noticed: func(udpsock.Notice) {}}
		err := s.Send(nil, Addr{}, func() bool { asked++; return asked > at })
		if !errors.Is(err, ErrWithdrawn) || kernel.calls != 1+at || s.large.IsTooLarge(err) {
			t.Errorf("%v after %d calls", err, kernel.calls)
		}
	}
}
