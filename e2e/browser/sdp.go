//go:build linux

package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// offer is what we need of a browser's SDP.
type offer struct {
	mid, ufrag, pwd string
	fingerprint     string // of its certificate, as in RFC 8122, Section 5
}

func parseOffer(sdp string) (offer, error) {
	attribute := func(name string) string {
		_, rest, _ := strings.Cut(sdp, "\r\na="+name+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	o := offer{
		mid:         attribute("mid"),
		ufrag:       attribute("ice-ufrag"),
		pwd:         attribute("ice-pwd"),
		fingerprint: attribute("fingerprint"),
	}
	if o.mid == "" || o.ufrag == "" || o.pwd == "" || o.fingerprint == "" {
		return o, fmt.Errorf("offer without mid, ice-ufrag, ice-pwd or fingerprint: %+v", o)
	}
	if s := attribute("setup"); s != "actpass" {
		return o, fmt.Errorf("offer with a=setup:%s, which leaves us no choice of role", s)
	}
	return o, nil
}

// answer is our side of a call.
type answer struct {
	mid, ufrag, pwd string
	candidates      []string
	fingerprint     string
	setup           string // "active": DTLS client, "passive": server (RFC 8842)
}

func (a answer) String() string {
	lines := []string{
		"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0",
		"a=group:BUNDLE " + a.mid,
		"a=ice-lite",
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
		"c=IN IP4 0.0.0.0",
		"a=mid:" + a.mid,
		"a=ice-ufrag:" + a.ufrag,
		"a=ice-pwd:" + a.pwd,
		"a=fingerprint:" + a.fingerprint,
		"a=setup:" + a.setup,
		"a=sctp-port:5000",
		"a=max-message-size:65536",
	}
	for _, c := range a.candidates {
		lines = append(lines, "a=candidate:"+c)
	}
	return strings.Join(append(lines, "a=end-of-candidates", ""), "\r\n")
}

// fingerprint of a certificate: RFC 8122, Section 5.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString(sum[i : i+1]))
	}
	return "sha-256 " + strings.Join(pairs, ":")
}
