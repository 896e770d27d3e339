package dtls

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestTraceTellsTheStory: the hooks of one handshake, over a path that loses
// the server's first flight and refuses datagrams over 600 bytes.
func TestTraceTellsTheStory(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 3000)
	var flights, messages, repeats, refusals, keys int
	var alerts []string
	var ended error
	server.Trace = &Trace{
		Flight: func(f FlightInfo) {
			flights++
			if f.Largest > f.MTU || f.Datagrams == 0 || f.Messages == "" {
				t.Errorf("flight %+v", f)
			}
		},
		Message: func(m MessageInfo, err error) {
			messages++
			if err != nil || m.Name == "" || m.Awaited == "" {
				t.Errorf("message %+v: %v", m, err)
			}
		},
		Retransmission: func(RetransmissionInfo) { repeats++ },
		Refused:        func(int, int) { refusals++ },
		Keys:           func(uint16, uint16) { keys++ },
		Alert:          func(a AlertError) { alerts = append(alerts, a.Error()) },
		Ended:          func(err error) { ended = err },
	}
	var log bytes.Buffer
	client.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := newSim(t, client, server)
	s.refuse = func(from side, n int, d []byte) (bool, int) { return len(d) > 600, 600 }
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide && n > 0 && n < 8 {
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.handshake()
	s.eng[clientSide].Close(s.now)
	s.run(time.Second, func() bool { return false })
	if flights < 3 || messages != 3 || repeats == 0 || refusals == 0 || keys != 1 {
		t.Errorf("%d flights, %d messages, %d repeats, %d refusals, %d keys", flights, messages, repeats, refusals, keys)
	}
	if got := strings.Join(alerts, "; "); !strings.Contains(got, "close_notify") {
		t.Errorf("alerts: %s", got)
	}
	if ended != nil {
		t.Errorf("the server ended with %v, it was only closed by its peer", ended)
	}
	for _, want := range []string{"flight sent", "client_hello", "message received", "server_hello", "established", "closed"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not mention %q:\n%s", want, log.String())
		}
	}
}

func TestDropsAsText(t *testing.T) {
	d := Drops{BadMAC: 2, Repeated: 3}
	if got := d.String(); got != "bad mac 2, repeated 3" {
		t.Error(got)
	}
	if d.Total() != 2 {
		t.Error(d.Total())
	}
	d.add(Drops{BadMAC: 1, Refused: 1})
	if want := (Drops{BadMAC: 3, Repeated: 3, Refused: 1}); d != want || d.minus(want) != (Drops{}) {
		t.Error(d)
	}
}

// TestAddressesInHooks: hooks of a Trace are called with the lock of the Conn held,
// and may ask for its addresses all the same.
func TestAddressesInHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var client, server *Conn
		var a *memConn
		var addrs []string
		client, server, a, _ = rawPair(func(c, _ *Config) {
			c.Trace = &Trace{Established: func(ConnectionState) {
				addrs = append(addrs, client.LocalAddr().String(), client.RemoteAddr().String())
			}}
		})
		if err := shake(client, server); err != nil {
			t.Fatal(err)
		}
		if want := []string{a.LocalAddr().String(), a.RemoteAddr().String()}; !slices.Equal(addrs, want) {
			t.Errorf("addresses %v, want %v", addrs, want)
		}
		closeAll(client, server)
	})
}
