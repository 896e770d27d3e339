package dtls

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestStrangersCostNothing: hellos, hellos with a wrong cookie and garbage leave
// no goroutine and no association behind, and the whole way through the socket
// and back allocates nothing. The full form is e2e/flood.
func TestStrangersCostNothing(t *testing.T) {
	_, server := pskConfigs()
	l, err := Listen("udp", ":0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.Addr().(*net.UDPAddr).Port))
	_, hello := firstFlight(t)
	wrong := changedHello(t, hello, func(m *message.ClientHello) { m.Cookie = make([]byte, 20) })
	garbage := bytes.Repeat([]byte{7}, 200)
	buf := make([]byte, 2048)
	one := func() {
		for _, d := range [][]byte{garbage, wrong, hello} {
			if _, err := stranger.WriteToUDPAddrPort(d, to); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // garbage is not answered
			if _, _, err := stranger.ReadFromUDPAddrPort(buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	one()
	before := runtime.NumGoroutine()
	const rounds = 500
	allocated := testing.AllocsPerRun(rounds, one)
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, then %d", before, after)
	}
	s := l.Stats()
	for deadline := time.Now().Add(time.Minute); s.CookiesSent < 2*(rounds+2) && time.Now().Before(deadline); s = l.Stats() {
		time.Sleep(time.Millisecond) // the last answer is out before it is counted
	}
	if s.HandshakesOpen+s.Associations > 0 || s.CookiesSent != 2*(rounds+2) || s.StrangersDropped != rounds+2 {
		t.Errorf("%+v", s)
	}
	if !raceEnabled && allocated > 0 {
		t.Errorf("%v allocations for three datagrams", allocated)
	}
}
