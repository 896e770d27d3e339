package dtls

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// TestRecordVersions: the version of a plaintext record decides nothing in DTLS 1.3
// (RFC 9147, Section 4), nor does that of a ClientHello in DTLS 1.2 (RFC 5246,
// Appendix E.1). Other records of DTLS 1.2 must have its version.
func TestRecordVersions(t *testing.T) {
	for _, version := range []uint16{VersionDTLS13, 0xfe00, 0x0303, 0} {
		for _, test := range []struct {
			name     string
			min, max uint16 // of the side that does not write these records
			to       side
			hello    bool // only the ClientHellos have that version
			want     bool
		}{
			{"client of 1.3", VersionDTLS13, VersionDTLS13, serverSide, false, true},
			{"server of 1.3", VersionDTLS13, VersionDTLS13, clientSide, false, true},
			{"client of 1.3, server of both", 0, 0, serverSide, false, true},
			{"server of 1.3, client of both", 0, 0, clientSide, false, true},
			{"hello of a client of 1.2", 0, VersionDTLS12, serverSide, true, true},
			{"server of 1.2", 0, VersionDTLS12, clientSide, false, false},
		} {
			t.Run(fmt.Sprintf("%s, %04x", test.name, version), func(t *testing.T) {
				configs := [2]*Config{}
				configs[clientSide], configs[serverSide] = simConfigs13(dtlstest.P256, 0)
				configs[test.to].MinVersion, configs[test.to].MaxVersion = test.min, test.max
				if test.max == VersionDTLS12 {
					other := configs[test.to.other()]
					other.MinVersion, other.MaxVersion = 0, VersionDTLS12
				}
				s := newSim(t, configs[clientSide], configs[serverSide])
				s.onDeliver = func(to side, d []byte) []byte {
					for rest := d; to == test.to && len(rest) > 0 && !record.IsUnified(rest[0]); {
						h, fragment, next, err := record.Next(rest)
						if err != nil {
							break
						}
						if h.Epoch == 0 && (!test.hello || h.Type == record.TypeHandshake && fragment[0] == 1) {
							binary.BigEndian.PutUint16(rest[1:], version)
						}
						rest = next
					}
					return d
				}
				if got := s.run(3*simRTT, s.established); got != test.want {
					t.Errorf("established: %v; %v\n%s", got, s.eng, s.history())
				}
			})
		}
	}
}
