package dtls

import (
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

func TestHandshake13(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 1000)
	server.CookieMode = CookieAuto
	s := newSim(t, client, server)
	s.handshake()
	t.Log(s.now.Sub(s.start))
	for i, e := range s.eng {
		if v := e.ConnectionState().Version; v != VersionDTLS13 {
			t.Errorf("%v: version %s", side(i), VersionName(v))
		}
		if n := e.Drops(); n.Total() != 0 {
			t.Errorf("%v dropped %v", side(i), n)
		}
	}
	s.run(10*time.Second, func() bool { return false })
	for i, e := range s.eng {
		t.Log(side(i), e.NextTimeout().Sub(s.now), e.out.flight.msgs, e.acks, e.events)
	}
	t.Log(s.history())
}
