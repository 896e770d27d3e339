package interop

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// Case13 is one run of DTLS 1.3.
type Case13 struct {
	Case
	Key     dtlstest.Key // of the peer's certificates
	OurKey  dtlstest.Key // of ours
	Groups  Groups
	Only13  bool // neither side offers DTLS 1.2
	Proven  bool // the server asks for no cookie
	TheyEnd bool // the peer sends the first close_notify
}

// Groups are those of both sides of a key exchange.
type Groups struct {
	Name           string
	Client, Server []tls.CurveID
	Want           tls.CurveID
	Full           bool // a client of ours has shares for a hybrid group and a classic one
	Retried        bool // the server has to ask for a share
}

var (
	hybrid     = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}
	hybridLast = []tls.CurveID{tls.X25519, tls.X25519MLKEM768}
	hybridOnly = []tls.CurveID{tls.X25519MLKEM768}
	x25519     = []tls.CurveID{tls.X25519}
	p256       = []tls.CurveID{tls.CurveP256}
	p384       = []tls.CurveID{tls.CurveP384}
	classic    = []tls.CurveID{tls.X25519, tls.CurveP256}
)

// groups13 are the key exchanges of a matrix.
var groups13 = []Groups{
	{Name: "X25519", Client: x25519, Server: x25519, Want: tls.X25519},
	{Name: "P-256", Client: p256, Server: p256, Want: tls.CurveP256},
	{Name: "P-384", Client: p384, Server: p384, Want: tls.CurveP384},
	{Name: "MLKEM", Client: hybrid, Server: hybrid, Want: tls.X25519MLKEM768, Full: true},
	{Name: "P-256-asked-for", Client: classic, Server: p256, Want: tls.CurveP256, Retried: true},
	{Name: "MLKEM-asked-for", Client: hybridLast, Server: hybridOnly, Want: tls.X25519MLKEM768, Retried: true},
}

// ours changes a configuration of one of the two sides.
func (g Groups) ours(cfg *dtls.Config, weServe bool) {
	cfg.CurvePreferences = g.Client
	if weServe {
		cfg.CurvePreferences = g.Server
	}
	cfg.Hello = dtls.HelloSmall
	if g.Full {
		cfg.Hello = dtls.HelloFull
	}
}

var (
	keys13 = []dtlstest.Key{dtlstest.P256, dtlstest.P384, dtlstest.P521, dtlstest.Ed25519, dtlstest.RSA2048}
	mtus13 = []int{1232, 548}
)

// authentications are the ways in which the sides of a case know each other.
const (
	oneCertificate = iota
	bothCertificates
	onePSK
	authentications
)

// Cases13 returns what to run with a peer that has these suites: a pairwise cover
// of all dimensions. If Full, every one of the first six meets every other.
func Cases13(suites []uint16) []Case13 {
	core := []int{len(groups13), 2, len(suites), authentications, len(mtus13), 2}
	rest := []int{len(keys13), 2, 2, 2, 2, 2}
	rows := Pairwise(slices.Concat(core, rest))
	if Full() {
		rows = product(core)
		mix := rand.New(rand.NewPCG(1, 1))
		for i := range rows {
			for _, n := range rest {
				rows[i] = append(rows[i], mix.IntN(n))
			}
		}
	}
	var cases []Case13
	seen := make(map[string]bool)
	for _, r := range rows {
		c := Case13{
			Case: Case{
				WeServe:    r[1] == 1,
				Suite:      suites[r[2]],
				ClientCert: r[3] == bothCertificates,
				MTU:        mtus13[r[4]],
				Loss:       r[5] == 1,
				LongChain:  r[7] == 1,
				ALPN:       r[8] == 1,
			},
			Key:     keys13[r[6]],
			Groups:  groups13[r[0]],
			Only13:  r[9] == 1,
			Proven:  r[10] == 1,
			TheyEnd: r[11] == 1,
		}
		if c.OurKey = c.Key; c.Key == dtlstest.Ed25519 {
			c.OurKey = dtlstest.P256 // see Pion13
		}
		if r[3] == onePSK {
			c.Identity, c.LongChain = TextIdentity, false
			if c.Suite == 0x1302 {
				c.Suite = 0x1301 // our keys are for SHA-256
			}
		}
		c.More = c.more()
		if !seen[c.Name()] {
			seen[c.Name()] = true
			cases = append(cases, c)
		}
	}
	return cases
}

// more is what the name says besides that of a Case.
func (c Case13) more() string {
	parts := []string{c.Groups.Name}
	if c.Identity == NoIdentity {
		parts = append(parts, c.Key.String())
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{c.Only13, "1.3-alone"},
		{c.Proven, "no-cookie"},
		{c.TheyEnd, "they-end"},
	} {
		if f.on {
			parts = append(parts, f.name)
		}
	}
	return strings.Join(parts, "_")
}

// options are those of both sides.
func (c Case13) options() (serving, dialing Options) {
	serving = Options{Version: dtls.VersionDTLS13, Suite: c.Suite, MTU: c.MTU}
	dialing = serving
	dialing.ServerName = "localhost"
	if c.ALPN {
		serving.ALPN, dialing.ALPN = protocol, protocol
	}
	if c.Identity != NoIdentity {
		serving.PSK, dialing.PSK = c.credentials(), c.credentials()
		return serving, dialing
	}
	size := 0
	if c.LongChain {
		size = longChain
	}
	server, client := c.Key, c.OurKey
	if c.WeServe {
		server, client = client, server
	}
	serving.Chain = dtlstest.MustChain(server, size)
	dialing.Roots = serving.Chain
	if c.ClientCert {
		dialing.Chain = dtlstest.MustChain(client, size+1)
		serving.Roots = dialing.Chain
	}
	return serving, dialing
}

// ours is what our side has besides its options.
func (c Case13) ours(cfg *dtls.Config) {
	c.Groups.ours(cfg, c.WeServe)
	cfg.Retransmit = dtls.RetransmitRealtime // losses must not take the time of a case
	if c.Only13 {
		cfg.MinVersion = dtls.VersionDTLS13
	}
	if c.Proven && c.WeServe {
		cfg.CookieMode = dtls.AddressProven
	}
}

// checkRetry compares the HelloRetryRequests of a handshake with what is wanted.
func (c Case13) checkRetry(seen int) error {
	if want := c.Groups.Retried || !c.Proven; (seen > 0) != want {
		return fmt.Errorf("%d HelloRetryRequests were sent, want some: %v", seen, want)
	}
	return nil
}
