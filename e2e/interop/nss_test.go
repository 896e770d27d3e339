package interop

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestNSS has the library of Firefox for a peer, which speaks DTLS 1.3.
func TestNSS(t *testing.T) {
	t.Run("DTLS 1.2", func(t *testing.T) { testPeer(t, NSS{}) })
	for _, c := range slices.Concat(nssHandshakes, nssUpdates, nssResumptions) {
		for _, r := range []role{weDial, weServe} {
			if c.only != either && c.only != r {
				continue
			}
			t.Run(c.name+", "+r.String(), func(t *testing.T) {
				t.Parallel()
				c.run(t, r == weServe)
			})
		}
	}
}

// role is ours in a case.
type role uint8

const (
	either role = iota
	weDial
	weServe
)

func (r role) String() string { return [...]string{"either", "we dial", "we serve"}[r] }

// nssCase is an association with NSS, perhaps followed by another one that
// resumes it. Both ends offer DTLS 1.2 and 1.3 unless it says otherwise.
type nssCase struct {
	name   string
	only   role
	suite  uint16       // 0: what comes first
	key    dtlstest.Key // of the certificates
	long   bool         // Certificate messages have 6 KB
	mutual bool         // the server demands a certificate
	alpn   string

	clientGroups, serverGroups []tls.CurveID // nil: X25519
	shares                     int           // key shares in the client's hello. 0: one
	group                      tls.CurveID   // that is agreed upon. 0: X25519
	retried                    bool          // the server has to ask for a share
	proven                     bool          // our server asks no client for a cookie

	our12, their12 bool // that side has DTLS 1.2 alone
	retransmit     dtls.RetransmitPolicy
	net            network
	then           func(*scene) // after the first words
}

func (c nssCase) run(t *testing.T, serve bool) {
	size := 0
	if c.long {
		size = longChain
	}
	serverChain, clientChain := dtlstest.MustChain(c.key, size), dtlstest.MustChain(c.key, size+1)
	server := Options{Chain: serverChain}
	client := Options{Roots: serverChain, ServerName: "localhost"}
	if c.mutual {
		server.Roots, client.Chain = clientChain, clientChain
	}
	groups := [2][]tls.CurveID{c.clientGroups, c.serverGroups}
	for i, o := range []*Options{&client, &server} {
		o.Version, o.Suite, o.ALPN, o.MTU = dtls.VersionDTLS13, c.suite, c.alpn, c.net.mtu
		if c.our12 || c.their12 {
			o.Version = dtls.VersionDTLS12
		}
		if groups[i] == nil {
			groups[i] = []tls.CurveID{tls.X25519}
		}
	}
	us, them, ourGroups, theirGroups := client, server, groups[0], groups[1]
	if serve {
		us, them, ourGroups, theirGroups = server, client, groups[1], groups[0]
	}
	us.Ours = func(cfg *dtls.Config) {
		cfg.CurvePreferences = ourGroups
		if c.shares > 1 {
			cfg.Hello = dtls.HelloFull
		}
		if c.our12 {
			cfg.MaxVersion = dtls.VersionDTLS12
		}
		if c.proven {
			cfg.CookieMode = dtls.AddressProven
		}
		cfg.Retransmit = c.retransmit
	}
	peer := NSS{Args: []string{"min=303", "max=304", "groups=" + hexList(theirGroups), fmt.Sprintf("shares=%d", max(c.shares, 1))}}
	if c.their12 {
		peer.Args[1] = "max=303"
	}

	s := play(t, serve, us, them, peer, c.net)
	s.talk("first words")
	s.agree()
	c.check(s)
	if c.then != nil {
		c.then(s)
	}
	s.talk("last words")
	if !s.net.loss {
		s.close()
	}
	s.checkPath()
}

// check looks at the first handshake.
func (c nssCase) check(s *scene) {
	s.Helper()
	group := c.group
	if group == 0 {
		group = tls.X25519
	}
	if got := s.ours.connection().ConnectionState().CurveID; got != group {
		s.Errorf("the group is %v, want %v", got, group)
	}
	if c.our12 || c.their12 {
		return
	}
	if want := c.retried || s.weServe && !c.proven; (s.retries() > 0) != want {
		s.Errorf("%d HelloRetryRequests were sent, want some: %v", s.retries(), want)
	}
}

func hexList(groups []tls.CurveID) string {
	var list []string
	for _, g := range groups {
		list = append(list, fmt.Sprintf("%x", uint16(g)))
	}
	return strings.Join(list, ",")
}

var nssHandshakes = []nssCase{
	{name: "AES-128-GCM", suite: 0x1301},
	{name: "AES-256-GCM", suite: 0x1302},
	{name: "ChaCha20-Poly1305", suite: 0x1303},
	{name: "an application protocol", alpn: protocol},
	{name: "both sides show and verify certificates", mutual: true},
	{name: "certificates of P-384", key: dtlstest.P384, mutual: true},
	{name: "certificates of P-521", key: dtlstest.P521, mutual: true},
	{name: "certificates of RSA", key: dtlstest.RSA2048, mutual: true},
	{name: "certificates of 6 KB", long: true, mutual: true},

	{name: "a server of P-256 alone asks for a share", clientGroups: classic, serverGroups: p256, group: tls.CurveP256, retried: true},
	{
		name: "but not if the hello has shares of X25519 and P-256", only: weServe, proven: true,
		clientGroups: classic, serverGroups: p256, shares: 2, group: tls.CurveP256,
	},
	{name: "no cookie for an address that is proven", only: weServe, proven: true},
	{name: "X25519MLKEM768", clientGroups: hybrid, serverGroups: hybrid, shares: 2, group: tls.X25519MLKEM768},
	{name: "X25519MLKEM768 alone", clientGroups: hybridOnly, serverGroups: hybridOnly, shares: 2, group: tls.X25519MLKEM768},
	{name: "X25519MLKEM768 is asked for", clientGroups: hybridLast, serverGroups: hybridOnly, group: tls.X25519MLKEM768, retried: true},

	{name: "we have DTLS 1.2 alone", our12: true, mutual: true, clientGroups: classic, serverGroups: classic},
	{name: "NSS has DTLS 1.2 alone", their12: true, mutual: true, clientGroups: classic, serverGroups: classic},

	{name: "20 % loss", net: network{loss: true}},
	{name: "20 % loss and certificates of 6 KB", long: true, mutual: true, net: network{loss: true}},
	{
		name: "20 % loss and X25519MLKEM768 is asked for", net: network{loss: true},
		clientGroups: hybridLast, serverGroups: hybridOnly, group: tls.X25519MLKEM768, retried: true,
	},
	{name: "an MTU of 548", net: network{mtu: 548}},
	{name: "an MTU of 548 and certificates of 6 KB", long: true, mutual: true, net: network{mtu: 548}},
	{
		name: "an MTU of 548 and X25519MLKEM768", only: weDial, net: network{mtu: 548},
		clientGroups: hybrid, serverGroups: hybrid, shares: 2, group: tls.X25519MLKEM768,
	},
	{name: "an MTU of 548 and 20 % loss", mutual: true, net: network{mtu: 548, loss: true}},

	// Hello, hello with a cookie, Finished, ACK: the last is lost. NSS does not
	// acknowledge again what is repeated once the handshake is complete.
	{
		name: "tickets of ours that it does not acknowledge", only: weServe, net: network{drop: []int{3}},
		retransmit: dtls.RetransmitPolicy{Initial: 100 * time.Millisecond, Max: 100 * time.Millisecond, MaxTries: 3},
		then:       func(s *scene) { s.calm(500 * time.Millisecond) },
	},
}

var nssUpdates = []nssCase{
	{name: "our keys change", then: func(s *scene) {
		s.update(false)
		s.epochs(4, 3)
		s.talk("words between")
		s.update(false)
		s.epochs(5, 3)
	}},
	{name: "we ask for new keys of both", then: func(s *scene) {
		s.update(true)
		s.epochs(4, 4)
		s.talk("words between")
		s.update(true)
		s.epochs(5, 5)
	}},
	{name: "keys of NSS change", then: func(s *scene) {
		s.say("/update")
		s.epochs(3, 4)
		s.talk("words between")
		s.say("/update")
		s.epochs(3, 5)
	}},
	{name: "NSS asks for new keys of both", then: func(s *scene) {
		s.say("/update-both")
		s.epochs(4, 4)
		s.talk("words between")
		s.say("/update-both")
		s.epochs(5, 5)
	}},
	{name: "both ask for new keys of both at once", then: func(s *scene) {
		s.say("/update-both")
		s.update(true)
		s.talk("words between")
	}},
	{name: "keys change with AES-256-GCM", suite: 0x1302, then: everyKey},
	{name: "keys change with ChaCha20-Poly1305", suite: 0x1303, then: everyKey},

	// Loss is chosen by hand here: NSS does not acknowledge a KeyUpdate again, so
	// that of its ACKs none may be lost.
	{name: "our KeyUpdate is lost", then: func(s *scene) {
		s.loseOurNext()
		s.update(true)
		s.epochs(4, 4)
	}},
	{name: "a KeyUpdate of NSS is lost", then: func(s *scene) {
		s.loseTheirNext()
		s.say("/update")
		s.epochs(3, 4)
	}},
	{name: "our ACK of a KeyUpdate is lost", then: func(s *scene) {
		s.loseOurNext()
		s.say("/update")
		s.epochs(3, 4)
	}},
	{
		// So the association goes on with the keys before, which NSS keeps.
		name: "an ACK of NSS for our KeyUpdate is lost", then: func(s *scene) {
			s.loseTheirNext()
			s.updateInVain()
			s.epochs(4, 3)
			s.talk("words with the keys before")
			s.updateInVain()
			s.talk("words after another try")
		},
		retransmit: dtls.RetransmitPolicy{Initial: 200 * time.Millisecond, Max: 200 * time.Millisecond, MaxTries: 4},
	},
}

// everyKey has both sides change their keys until the two bits of the epoch in a
// record have come round.
func everyKey(s *scene) {
	for epoch := 4; epoch < 9; epoch++ {
		s.update(true)
		s.epochs(epoch, epoch)
		s.talk(fmt.Sprintf("epoch %d", epoch))
	}
}

var nssResumptions = []nssCase{
	{name: "resumed", then: resume},
	{name: "resumed with AES-256-GCM", suite: 0x1302, then: resume},
	{name: "resumed with ChaCha20-Poly1305", suite: 0x1303, alpn: protocol, then: resume},
	{name: "resumed with certificates on both sides", mutual: true, then: resume},
	{name: "again with certificates of 6 KB on both sides", long: true, mutual: true, then: func(s *scene) {
		s.again()
		// A ticket of ours with such a chain would make a hello that our door does not take.
		s.theirs.resumed = !s.weServe
		s.talk("words again")
		s.agree()
	}},
	{name: "resumed twice", then: func(s *scene) {
		resume(s)
		resume(s)
	}},
	{name: "resumed after new keys", then: func(s *scene) {
		s.update(true)
		s.epochs(4, 4)
		resume(s)
	}},
	{name: "new keys after it was resumed", then: func(s *scene) {
		resume(s)
		s.update(true)
		s.epochs(4, 4)
	}},
	{
		name: "resumed, and a share is asked for", then: resume,
		clientGroups: classic, serverGroups: p256, group: tls.CurveP256, retried: true,
	},
	{
		name: "resumed with X25519MLKEM768", then: resume,
		clientGroups: hybrid, serverGroups: hybrid, shares: 2, group: tls.X25519MLKEM768,
	},
	{name: "resumed with 20 % loss", then: func(s *scene) {
		s.change(network{loss: true})
		resume(s)
	}},
	{name: "resumed over an MTU of 548", then: func(s *scene) {
		s.change(network{mtu: 548, both: true})
		resume(s)
	}},
}

func resume(s *scene) {
	s.again()
	s.talk("words again")
	s.agree()
	// The chain of then is known, and was verified again.
	if state := s.ours.connection().ConnectionState(); s.us.Roots != nil && (len(state.PeerCertificates) == 0 || len(state.VerifiedChains) == 0) {
		s.Errorf("the peer has %d certificates, %d verified chains", len(state.PeerCertificates), len(state.VerifiedChains))
	}
}
