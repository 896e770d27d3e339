package interop

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/dtls/v4"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// psk13 is a case of DTLS 1.3 with an external pre-shared key.
func psk13(r role, id Identity) Case13 {
	c := plain13(r)
	c.Identity = id
	return c
}

// decoy is a key that the other side does not have.
var decoy = []byte("another key than that of the case")[:32]

// TestPion13PSK: external keys by psk_dhe_ke are in the matrix, too.
func TestPion13PSK(t *testing.T) {
	t.Parallel()
	for _, id := range []Identity{TextIdentity, LongIdentity, OddIdentity, ZeroIdentity} {
		eachRole(t, "identity of "+id.String(), func(t *testing.T, r role) {
			s := meet(t, psk13(r, id), Pion13{}, nil)
			s.talk("words")
			s.check(false)
		})
	}
	eachRole(t, "the second of two keys", func(t *testing.T, r role) {
		peer := Pion13{Decoys: []pion.PSK{{Identity: []byte("nobody"), Key: decoy}}}
		s := meet(t, psk13(r, TextIdentity), peer, func(cfg *dtls.Config) {
			if ask := cfg.ClientPSK; ask != nil {
				cfg.ClientPSK = func(ctx context.Context, info dtls.ClientPSKInfo) ([]dtls.PSK, error) {
					keys, err := ask(ctx, info)
					return append([]dtls.PSK{{Identity: []byte("nobody"), Key: decoy}}, keys...), err
				}
			}
			if cfg.ServerPSK != nil {
				// Beside certificates, that is: without any an unknown identity is
				// treated as a wrong key.
				cfg.Certificates = []tls.Certificate{dtlstest.MustChain(dtlstest.P256, 0).Certificate}
			}
		})
		s.talk("words")
		s.check(false)
	})
	eachRole(t, "new keys", func(t *testing.T, r role) {
		updating(t, psk13(r, TextIdentity), everyEpoch)
	})

	// Our client offers psk_dhe_ke only; our server takes psk_ke on request.
	for _, proven := range []bool{false, true} {
		t.Run(fmt.Sprintf("psk_ke, cookie %v, we serve", !proven), func(t *testing.T) {
			t.Parallel()
			c := psk13(weServe, TextIdentity)
			c.Proven, c.Groups.Want = proven, 0
			s := meet(t, c, Pion13{Alone: true}, func(cfg *dtls.Config) { cfg.PSKWithoutDHE = true })
			s.talk("words")
			s.check(false)
			s.update(true)
			s.updateTheirs(true)
			s.talk("last words")
		})
		t.Run(fmt.Sprintf("psk_ke for want of a group, cookie %v, we serve", !proven), func(t *testing.T) {
			t.Parallel()
			c := psk13(weServe, TextIdentity)
			c.Proven, c.Groups.Server, c.Groups.Want = proven, p384, 0
			s := meet(t, c, Pion13{}, func(cfg *dtls.Config) { cfg.PSKWithoutDHE = true })
			s.talk("words")
			s.check(false)
		})
	}
}

// TestPion13PSKRefusals: what both sides hear when a key is of no use.
func TestPion13PSKRefusals(t *testing.T) {
	t.Parallel()
	const (
		handshakeFailure     = 40
		decryptError         = 51
		insufficientSecurity = 71
	)
	for _, c := range []struct {
		name   string
		only   role
		change func(serving, dialing *Options, peer *Pion13)
		alert  [2]dtls.Alert // where we dial and where we serve
	}{
		{
			name:   "a wrong key",
			change: func(_, dialing *Options, _ *Pion13) { dialing.PSK.Key = decoy },
			alert:  [2]dtls.Alert{decryptError, decryptError},
		},
		{
			// Our server does not tell it from a wrong key.
			name:   "an unknown identity",
			change: func(_, dialing *Options, _ *Pion13) { dialing.PSK.Identity = []byte("nobody") },
			alert:  [2]dtls.Alert{handshakeFailure, decryptError},
		},
		{
			// Keys of ours are for SHA-256 (RFC 8446, Section 4.2.11). Where we serve
			// and choose a suite with it, pion ends without a word.
			name:   "a key for SHA-384 at pion",
			only:   weDial,
			change: func(_, _ *Options, peer *Pion13) { peer.Hash = crypto.SHA384 },
			alert:  [2]dtls.Alert{handshakeFailure, 0},
		},
		{
			name: "a key for SHA-384 at pion, and no suite with another hash",
			only: weServe,
			change: func(serving, dialing *Options, peer *Pion13) {
				peer.Hash, serving.Suite, dialing.Suite = crypto.SHA384, 0, 0x1302 // 0: ours has all, else the Config is refused
			},
			alert: [2]dtls.Alert{1: handshakeFailure},
		},
		{
			name:   "psk_ke, which we were not told to take",
			only:   weServe,
			change: func(_, _ *Options, peer *Pion13) { peer.Alone = true },
			alert:  [2]dtls.Alert{1: handshakeFailure},
		},
		{
			name:   "no group in common, and psk_ke, which we do not offer",
			only:   weDial,
			change: func(_, _ *Options, peer *Pion13) { peer.Groups = p384 },
			alert:  [2]dtls.Alert{insufficientSecurity, 0},
		},
	} {
		for i, r := range []role{weDial, weServe} {
			if c.only != either && c.only != r {
				continue
			}
			t.Run(c.name+", "+r.String(), func(t *testing.T) {
				t.Parallel()
				k := psk13(r, TextIdentity)
				k.Only13 = true
				serving, dialing := k.options()
				peer := Pion13{}
				c.change(&serving, &dialing, &peer)
				s := meetAs(t, k, peer, serving, dialing, nil)
				s.refused(c.alert[i])
			})
		}
	}
}

// refused waits until an alert has crossed, and both clients and servers that
// report handshakes know of it.
func (s *pionScene) refused(alert dtls.Alert) {
	s.Helper()
	waitUntil(s.T, "refusal", func() bool {
		told := strings.Contains(s.ours.Log(), alert.String()) ||
			strings.Contains(s.trace.String(), fmt.Sprintf("alert %d]", alert))
		over := s.theirs.Failed() != nil && (s.c.WeServe || s.ours.Failed() != nil)
		if s.theirs.Established() && s.ours.Established() {
			s.Fatal("the handshake succeeds")
		}
		return told && over
	})
	if s.c.WeServe {
		return
	}
	if a, ok := errors.AsType[*dtls.AlertError](s.ours.Failed()); !ok || a.Alert != alert {
		s.Errorf("ended with %v, want %v", s.ours.Failed(), alert)
	}
}

// TestPion13UnknownIdentity: as TestUnknownIdentity, a client with the wrong key
// and one with an unknown identity are sent the same.
func TestPion13UnknownIdentity(t *testing.T) {
	t.Parallel()
	sent := func(spoil func(*PSK)) (sizes []int) {
		c := psk13(weServe, TextIdentity)
		serving, dialing := c.options()
		spoil(dialing.PSK)
		s := meetAs(t, c, Pion13{}, serving, dialing, nil)
		waitUntil(t, "end of pion", func() bool { return s.theirs.Failed() != nil })
		time.Sleep(10 * time.Millisecond)
		for _, d := range s.trace.seen(s.fromUs()) {
			sizes = append(sizes, len(d))
		}
		return sizes
	}
	wrongKey := sent(func(psk *PSK) { psk.Key[0] ^= 1 })
	unknown := sent(func(psk *PSK) { psk.Identity[0] ^= 1 })
	if !slices.Equal(wrongKey, unknown) {
		t.Errorf("a wrong key is sent %v bytes, an unknown identity %v", wrongKey, unknown)
	}
}
