package dtls

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// TestSecondHandshake: in an association of DTLS 1.2 a second handshake makes the keys
// of epoch 2, out of its own messages from message_seq 0 on (RFC 6347, Section 4.2.2).
// Data goes on under those of epoch 1 until it is complete.
func TestSecondHandshake(t *testing.T) {
	for name, configs := range map[string]func() (client, server *Config){
		"PSK":         pskConfigs,
		"certificate": func() (client, server *Config) { return certConfigs(dtlstest.P256) },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := configs()
			client.MaxVersion = VersionDTLS12
			s := newSim(t, client, server)
			s.handshake()
			for at, e := range s.eng {
				s.wire[at].ccs = 1
				e.begin(newHandshake(e, nil, s.now))
				e.setMessageSeq(0)
				if side(at) == serverSide {
					e.hs.m.StartServer(nil, nil, nil)
				} else if err := handshake.StartClient(e.hs.m); err != nil {
					t.Fatal(err)
				}
			}
			s.flush(clientSide)
			s.echo("under epoch 1")
			again := func() bool { return !s.eng[clientSide].handshaking() && !s.eng[serverSide].handshaking() }
			if !s.run(time.Minute, again) {
				t.Fatalf("no second handshake\n%s", s.history())
			}
			for at, e := range s.eng {
				if !e.established() || e.keys.Write() != 2 {
					t.Errorf("%v: %v, epoch %d, %v", side(at), e, e.keys.Write(), e.Err())
				}
			}
			s.echo("under epoch 2")
		})
	}
}
