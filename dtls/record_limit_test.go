package dtls

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestCloseNotifyAtTheLimit: the last record that keys may protect (RFC 9147, Section
// 4.5.3) is the close_notify, whatever else was to be sent.
func TestCloseNotifyAtTheLimit(t *testing.T) {
	write := func(s *sim, e *Engine) { _ = e.Write(s.now, []byte("one too many")) }
	for _, test := range []struct {
		name    string
		configs func(dtlstest.Key, int) (*Config, *Config)
		send    func(*sim, *Engine)
	}{
		{"data of DTLS 1.2", simConfigs, write},
		{"data of DTLS 1.3", simConfigs13, write},
		{"a message", simConfigs13, func(_ *sim, e *Engine) { e.sendAgain(flightRepeated, PeerRepeated) }},
		{"an ACK", simConfigs13, func(s *sim, e *Engine) {
			e.acks.Received(recordNumber{Epoch: epochData}, true, false, s.now, time.Second)
			e.acks.SendNow()
		}},
		{"a HelloRequest of DTLS 1.2", simConfigs, func(_ *sim, e *Engine) {
			e.out.extend([]outMessage{e.newMessage(message.TypeHelloRequest, e.keys.Write(), nil)})
		}},
	} {
		for from := range side(2) {
			t.Run(fmt.Sprintf("%s, %v", test.name, from), func(t *testing.T) {
				client, server := test.configs(dtlstest.P256, 0)
				s := newSim(t, client, server)
				s.handshake()
				s.settle()
				e := s.eng[from]
				if e.speaks13() {
					k := sealer13(t, e)
					k.SetLimit(k.Next() + 3) // a KeyUpdate goes with the data
				} else {
					k := e.keys.Sealer().(*record.Sealer12)
					k.SetLimit(k.Next() + 2)
				}
				if err := e.Write(s.now, []byte("the last")); err != nil {
					t.Fatal(err)
				}
				s.flush(from)
				if e.Err() != nil {
					t.Fatalf("one record before the limit: %v", e.Err())
				}
				test.send(s, e)
				s.flush(from)
				s.run(simRTT, func() bool { return false })
				if !errors.Is(e.Err(), errKeysExhausted) {
					t.Errorf("ends with %v", e.Err())
				}
				if got := s.data[from.other()]; len(got) == 0 || string(got[len(got)-1]) != "the last" {
					t.Errorf("received %q", got)
				}
				if s.count(from.other(), EventClosed) != 1 {
					t.Errorf("the peer has no close_notify\n%s", s.history())
				}
			})
		}
	}
}
