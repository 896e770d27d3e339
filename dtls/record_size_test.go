package dtls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestRecordSizeLimit: each side keeps to the other's limit, and takes no record over
// its own (RFC 8449, Section 4), in both versions and whatever GetConfigForClient
// returns: its limits have no effect.
func TestRecordSizeLimit(t *testing.T) {
	for version, make2 := range map[uint16]func(dtlstest.Key, int) (*Config, *Config){VersionDTLS12: simConfigs, VersionDTLS13: simConfigs13} {
		most := 200
		if version == VersionDTLS13 {
			most-- // the content type counts
		}
		for at := range side(2) {
			for _, other := range []int{0, 1000} {
				t.Run(fmt.Sprintf("%s, %v, %d", message.VersionName(version), at, other), func(t *testing.T) {
					configs := [2]*Config{}
					configs[clientSide], configs[serverSide] = make2(dtlstest.P256, 0)
					configs[clientSide].RecordSizeLimit = record.MaxPlaintext + 1 // asks for the server's
					configs[at].RecordSizeLimit = 200
					if at == serverSide {
						another := configs[serverSide].Clone()
						another.RecordSizeLimit = other
						configs[serverSide].GetConfigForClient = func(*tls.ClientHelloInfo) (*Config, error) { return another, nil }
					} else {
						configs[serverSide].RecordSizeLimit = other
					}
					s := newSim(t, configs[clientSide], configs[serverSide])
					s.handshake()
					s.settle()
					s.echo("within it")
					if got := s.eng[at.other()].MaxData(); got != most {
						t.Errorf("a Write may have %d bytes", got)
					}
					if got := s.eng[at].MaxData(); other == 0 && got <= most {
						t.Errorf("its own Write may have %d bytes", got)
					}
					s.inject(at, s.authentic(at.other(), record.TypeApplicationData, make([]byte, most)...))
					if err := s.eng[at].Err(); err != nil {
						t.Fatalf("at the limit: %v", err)
					}
					s.inject(at, s.authentic(at.other(), record.TypeApplicationData, make([]byte, most+1)...))
					if a, remote := alertOf(t, s.eng[at]); a != alert.RecordOverflow || remote {
						t.Errorf("behind a record over the limit: %v", s.eng[at].Err())
					}
				})
			}
		}
	}
}

// limited is a pair of one version in which each side takes 64 bytes.
func limited(t testing.TB, configs func(dtlstest.Key, int) (*Config, *Config), chain int) *sim {
	client, server := configs(dtlstest.P256, chain)
	client.RecordSizeLimit, server.RecordSizeLimit = 64, 64
	return newSim(t, client, server)
}

// TestRecordSizeOfAllTypes: the limit is one for all protected records, padding
// included (RFC 8449, Section 4).
func TestRecordSizeOfAllTypes(t *testing.T) {
	for _, test := range []struct {
		name    string
		typ     record.ContentType
		payload []byte
		padding int
	}{
		{"padded data", record.TypeApplicationData, []byte("7 bytes"), 57},
		{"only padding", record.TypeApplicationData, nil, 64},
		{"a padded alert", record.TypeAlert, []byte{1, 90}, 62},
		{"an ACK", record.TypeACK, message.AppendACK(nil, make([]record.Number, 4)), 0},
		{"a padded ACK", record.TypeACK, message.AppendACK(nil, nil), 62},
		{"a message", record.TypeHandshake, make([]byte, 64), 0},
	} {
		for to := range side(2) {
			for _, less := range []int{0, 1} {
				s := limited(t, simConfigs13, 0)
				s.handshake()
				s.settle()
				if less > test.padding {
					continue
				}
				out, _, err := sealer13(t, s.eng[to.other()]).Seal(nil, test.typ, test.payload, test.padding-less)
				if err != nil {
					t.Fatal(err)
				}
				s.inject(to, out)
				var ae *AlertError
				if err := s.eng[to].Err(); (less == 0) != (errors.As(err, &ae) && ae.Alert == alert.RecordOverflow) {
					t.Errorf("%s, %d bytes less, to the %v: %v", test.name, less, to, err)
				}
			}
		}
	}
	for to := range side(2) { // DTLS 1.2: the encrypted content alone
		s := limited(t, simConfigs, 0)
		s.handshake()
		s.inject(to, s.authentic(to.other(), record.TypeHandshake, make([]byte, 65)...))
		if a, remote := alertOf(t, s.eng[to]); a != alert.RecordOverflow || remote {
			t.Errorf("DTLS 1.2, a message to the %v: %v", to, s.eng[to].Err())
		}
	}
}

// TestACKsKeepToTheLimit: ACKs name as many records as the limit of the peer allows,
// and as few as any limit does while it is not known yet: a record with the
// EncryptedExtensions that is lost is missing in them.
func TestACKsKeepToTheLimit(t *testing.T) {
	for n := -1; n < 5; n++ {
		s := limited(t, simConfigs13, 3000)
		s.onDeliver = func(to side, d []byte) []byte {
			if h, _, rest, err := record.Next(d); n < 0 && to == clientSide && err == nil && h.Type == record.TypeHandshake {
				return d[:len(d)-len(rest)] // the ServerHello alone
			}
			return d
		}
		for _, e := range s.eng {
			if err := e.SetMTU(300); err != nil {
				t.Fatal(err)
			}
		}
		s.path = func(from side, i int, _ []byte) []time.Duration {
			if from == serverSide && i == n {
				return nil
			}
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		s.settle()
		s.echo("all is well")
	}
	s := limited(t, simConfigs13, 0)
	s.handshake()
	s.settle()
	for from := range side(2) {
		e := s.eng[from]
		for i := range uint64(20) {
			e.acks.Received(recordNumber{Epoch: epochData, Seq: i}, true, false, s.now, simRTT)
		}
		e.acks.SendNow()
		tx, ok := e.PollTransmit(s.now, nil)
		if want := 5 + 2 + 3*16 + 1 + 16; !ok || len(tx.Data) != want {
			t.Errorf("an ACK of the %v has %d bytes in its datagram, want %d", from, len(tx.Data), want)
		}
	}
}
