package interop

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestPion13Versions: the newest version that both sides speak, or
// protocol_version.
func TestPion13Versions(t *testing.T) {
	t.Parallel()
	type offer struct {
		name     string
		min, max uint16
	}
	both, only12, only13 := offer{"both", 0, 0}, offer{"1.2", 0, dtls.VersionDTLS12}, offer{"1.3", dtls.VersionDTLS13, 0}
	for _, v := range []struct {
		we, pion offer
		want     uint16 // 0: none
	}{
		{both, both, dtls.VersionDTLS13},
		{both, only13, dtls.VersionDTLS13},
		{only13, both, dtls.VersionDTLS13},
		{only13, only13, dtls.VersionDTLS13},
		{both, only12, dtls.VersionDTLS12},
		{only12, both, dtls.VersionDTLS12},
		{only12, only12, dtls.VersionDTLS12},
		{only12, only13, 0},
		{only13, only12, 0},
	} {
		eachRole(t, "we offer "+v.we.name+" and pion "+v.pion.name, func(t *testing.T, r role) {
			c := plain13(r)
			c.ClientCert = true
			c.Groups = Groups{Client: classic, Server: classic, Want: classic[0]}
			serving, dialing := c.options()
			serving.Version, dialing.Version, serving.Suite, dialing.Suite = v.want, v.want, 0, 0
			s := meetAs(t, c, Pion13{Min: v.pion.min, Max: v.pion.max}, serving, dialing, func(cfg *dtls.Config) {
				cfg.MinVersion, cfg.MaxVersion = v.we.min, v.we.max
			})
			if v.want == 0 {
				s.refused(70) // protocol_version
				return
			}
			s.talk("words")
			s.agree(false)
			if (s.retries() > 0) != (v.want == dtls.VersionDTLS13) {
				s.Errorf("%d HelloRetryRequests", s.retries())
			}
			s.close()
		})
	}
}

// TestPion13Refusals: a side that cannot go on says why, and the other side hears
// it.
func TestPion13Refusals(t *testing.T) {
	t.Parallel()
	chain, other := dtlstest.MustChain(dtlstest.P256, 0), dtlstest.MustChain(dtlstest.P256, 1)
	for _, c := range []struct {
		name   string
		change func(serving, dialing *Options, peer *Pion13)
		alert  [2]dtls.Alert // where we dial and where we serve
	}{
		{
			name:   "the client does not know the server's root",
			change: func(_, dialing *Options, _ *Pion13) { dialing.Roots = other },
			alert:  [2]dtls.Alert{48, 42}, // unknown_ca; pion has bad_certificate for whatever is wrong with one
		},
		{
			name:   "the client expects another name",
			change: func(_, dialing *Options, _ *Pion13) { dialing.ServerName = "other.example" },
			alert:  [2]dtls.Alert{42, 42}, // bad_certificate
		},
		{
			name:   "the server does not know the client's root",
			change: func(serving, dialing *Options, _ *Pion13) { serving.Roots, dialing.Chain = other, chain },
			alert:  [2]dtls.Alert{42, 48},
		},
		{
			name:   "the client has no certificate",
			change: func(serving, _ *Options, _ *Pion13) { serving.Roots = other },
			alert:  [2]dtls.Alert{116, 116}, // certificate_required
		},
		{
			name:   "no common protocol",
			change: func(serving, dialing *Options, _ *Pion13) { serving.ALPN, dialing.ALPN = "h3", "coap" },
			alert:  [2]dtls.Alert{120, 120}, // no_application_protocol
		},
		{
			name:   "no common suite",
			change: func(serving, dialing *Options, _ *Pion13) { serving.Suite, dialing.Suite = 0x1301, 0x1302 },
			alert:  [2]dtls.Alert{71, 40}, // pion: insufficient_security
		},
		{
			name:   "no common group",
			change: func(_, _ *Options, peer *Pion13) { peer.Groups = p384 },
			alert:  [2]dtls.Alert{71, 40},
		},
		{
			// What it offers it does not take: see Pion13.
			name: "a chain signed with Ed25519 is shown to pion",
			change: func(serving, dialing *Options, _ *Pion13) {
				edwards := dtlstest.MustChain(dtlstest.Ed25519, 0)
				serving.Chain, dialing.Roots = edwards, edwards
				serving.Roots, dialing.Chain = edwards, edwards
			},
			alert: [2]dtls.Alert{42, 42},
		},
	} {
		for i, r := range []role{weDial, weServe} {
			t.Run(c.name+", "+r.String(), func(t *testing.T) {
				t.Parallel()
				k := plain13(r)
				k.Only13 = true
				serving, dialing := k.options()
				serving.Chain, dialing.Roots = chain, chain
				peer := Pion13{}
				c.change(&serving, &dialing, &peer)
				s := meetAs(t, k, peer, serving, dialing, nil)
				s.refused(c.alert[i])
			})
		}
	}
}
