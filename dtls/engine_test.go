package dtls

import (
	"bytes"
	"crypto/tls"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

func certs(chains ...*dtlstest.Chain) (list []tls.Certificate) {
	for _, c := range chains {
		list = append(list, c.Certificate)
	}
	return list
}

func TestFullHandshake(t *testing.T) {
	client, server := simConfigs(dtlstest.P256, 0)
	s := newSim(t, client, server)
	s.handshake()
	for at, e := range s.eng {
		st := e.ConnectionState()
		if st.Version != VersionDTLS12 || !st.HandshakeComplete || !st.ExtendedMasterSecret || st.CurveID != tls.X25519 {
			t.Errorf("%v: state %+v", side(at), st)
		}
		if d := e.Drops(); d != (Drops{}) {
			t.Errorf("%v: drops %+v over a perfect path", side(at), d)
		}
	}
	if s.timeouts != [2]int{} {
		t.Errorf("%v timers fired over a perfect path", s.timeouts)
	}
	a, errA := s.eng[0].ExportKeyingMaterial("EXPORTER-test", nil, 32)
	b, errB := s.eng[1].ExportKeyingMaterial("EXPORTER-test", nil, 32)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("exporters differ: %x %x (%v, %v)", a, b, errA, errB)
	}
}

// TestSuites goes through every suite, with the kind of credential it wants.
func TestSuites(t *testing.T) {
	for _, cs := range suite.All() {
		t.Run(cs.Name, func(t *testing.T) {
			key := dtlstest.P256
			if cs.Auth == suite.RSA {
				key = dtlstest.RSA2048
			}
			client, server := simConfigs(key, 0)
			client.CipherSuites, server.CipherSuites = []uint16{cs.ID}, []uint16{cs.ID}
			if cs.UsesPSK() {
				withPSK(client, server)
			}
			s := newSim(t, client, server)
			s.handshake()
			for _, e := range s.eng {
				if got := e.ConnectionState().CipherSuite; got != cs.ID {
					t.Errorf("negotiated %s", suite.Name(got))
				}
			}
		})
	}
}
