package keys

import (
	"bytes"
	"crypto"
	"fmt"
	"strings"
	"testing"
)

func TestExporter13Refusals(t *testing.T) {
	master := make([]byte, 32)
	for _, test := range []struct {
		name  string
		label string
		n     int
	}{
		{"label of a Finished message", "client finished", 20},
		{"label of the other Finished message", "server finished", 20},
		{"label of the master secret", "master secret", 20},
		{"label of the key block", "key expansion", 20},
		{"no label", "", 20},
		{"label that its length field cannot hold", strings.Repeat("a", 250), 20},
		{"negative length", "EXTRACTOR-dtls_srtp", -1},
		{"more than HKDF has", "EXTRACTOR-dtls_srtp", 255*32 + 1},
	} {
		if out, err := Exporter13(crypto.SHA256, master, test.label, nil, test.n); err == nil {
			t.Errorf("%s: exported %x", test.name, out)
		}
	}
	for _, n := range []int{0, 1, 255 * 32} {
		if out, err := Exporter13(crypto.SHA256, master, strings.Repeat("a", 249), make([]byte, 1<<17), n); err != nil || len(out) != n {
			t.Errorf("%d bytes: got %d, %v", n, len(out), err)
		}
	}
}

// RFC 8446, Section 7.5: "providing no context computes the same value as
// providing an empty context". Everything else makes a difference.
func TestExporter13Inputs(t *testing.T) {
	export := func(label string, context []byte, n int) []byte {
		t.Helper()
		out, err := Exporter13(crypto.SHA384, make([]byte, 48), label, context, n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := export("EXPERIMENTAL test", nil, 32)
	if got := export("EXPERIMENTAL test", []byte{}, 32); !bytes.Equal(got, base) {
		t.Errorf("empty context %x, no context %x", got, base)
	}
	for name, other := range map[string][]byte{
		"context": export("EXPERIMENTAL test", []byte{0}, 32),
		"label":   export("EXPERIMENTAL tesu", nil, 32),
		"length":  export("EXPERIMENTAL test", nil, 33)[:32],
	} {
		if bytes.Equal(other, base) {
			t.Errorf("another %s, same output", name)
		}
	}
}

func ExampleExporter13() {
	exporterMaster := make([]byte, 32) // the connection's

	// RFC 5764, Section 4.2: keys for SRTP_AES128_CM_HMAC_SHA1_80.
	srtp, err := Exporter13(crypto.SHA256, exporterMaster, "EXTRACTOR-dtls_srtp", nil, 2*(16+14))
	fmt.Println(len(srtp), err)

	_, err = Exporter13(crypto.SHA256, exporterMaster, "key expansion", nil, 40)
	fmt.Println(err)
	// Output:
	// 60 <nil>
	// exporter label "key expansion" is reserved
}
