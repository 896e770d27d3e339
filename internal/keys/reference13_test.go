package keys

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// reference is the key schedule of RFC 8446, Section 7.1 once more, written from
// the figure and with nothing but HMAC. It takes the label prefix, so that the
// published vectors of TLS 1.3 can vouch for it, and it for Schedule13: there are
// none for DTLS 1.3.
type reference struct {
	prefix string
	hash   crypto.Hash
}

func (r reference) hmac(key, data []byte) []byte {
	mac := hmac.New(r.hash.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}

func (r reference) sum(data []byte) []byte {
	state := r.hash.New()
	state.Write(data)
	return state.Sum(nil)
}

// expand is for outputs no longer than the hash: one block of HKDF-Expand.
func (r reference) expand(secret []byte, label string, context []byte, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len(r.prefix+label)))
	info = append(info, r.prefix+label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	return r.hmac(secret, append(info, 1))[:n]
}

func (r reference) derive(secret []byte, label string, context []byte) []byte {
	return r.expand(secret, label, context, r.hash.Size())
}

// hashes are the transcript hashes up to a message.
type hashes struct{ clientHello, serverHello, serverFinished, clientFinished []byte }

// secrets returns all that the figure shows, by the labels of the figure.
func (r reference) secrets(psk, shared []byte, th hashes) map[string][]byte {
	zeros := make([]byte, r.hash.Size())
	empty := r.sum(nil)
	if psk == nil {
		psk = zeros
	}
	if shared == nil {
		shared = zeros
	}
	early := r.hmac(zeros, psk)
	handshake := r.hmac(r.derive(early, "derived", empty), shared)
	main := r.hmac(r.derive(handshake, "derived", empty), zeros)
	return map[string][]byte{
		"early secret":     early,
		"ext binder":       r.derive(early, "ext binder", empty),
		"res binder":       r.derive(early, "res binder", empty),
		"c e traffic":      r.derive(early, "c e traffic", th.clientHello),
		"handshake secret": handshake,
		"c hs traffic":     r.derive(handshake, "c hs traffic", th.serverHello),
		"s hs traffic":     r.derive(handshake, "s hs traffic", th.serverHello),
		"main secret":      main,
		"c ap traffic":     r.derive(main, "c ap traffic", th.serverFinished),
		"s ap traffic":     r.derive(main, "s ap traffic", th.serverFinished),
		"exp master":       r.derive(main, "exp master", th.serverFinished),
		"res master":       r.derive(main, "res master", th.clientFinished),
	}
}

// RFC 8448, Sections 3 and 4: a handshake of TLS 1.3, and one that resumes it.
func TestReferenceKeepsTheVectorsOfTLS(t *testing.T) {
	r := reference{"tls13 ", crypto.SHA256}
	check := func(name string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s:\n got %x\nwant %s", name, got, want)
		}
	}

	full := r.secrets(nil, unhex(t, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"), hashes{
		serverHello:    unhex(t, "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"),
		serverFinished: unhex(t, "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"),
		clientFinished: unhex(t, "209145a96ee8e2a122ff810047cc952684658d6049e86429426db87c54ad143d"),
	})
	for name, want := range map[string]string{
		"early secret":     "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a",
		"handshake secret": "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac",
		"c hs traffic":     "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
		"s hs traffic":     "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
		"main secret":      "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919",
		"c ap traffic":     "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
		"s ap traffic":     "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
		"exp master":       "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50",
		"res master":       "7df235f2031d2a051287d02b0241b0bfdaf86cc856231f2d5aba46c434ec196c",
	} {
		check(name, full[name], want)
	}
	check("key", r.expand(full["s hs traffic"], "key", nil, 16), "3fce516009c21727d0f2e4e86ee403bc")
	check("iv", r.expand(full["s hs traffic"], "iv", nil, 12), "5d313eb2671276ee13000b30")
	check("finished", r.derive(full["s hs traffic"], "finished", nil), "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8")

	psk := r.derive(full["res master"], "resumption", []byte{0, 0})
	check("resumption", psk, "4ecd0eb6ec3b4d87f5d6028f922ca4c5851a277fd41311c9e62d2c9492e1c4f3")
	resumed := r.secrets(psk, nil, hashes{clientHello: unhex(t, "08ad0fa05d7c7233b1775ba2ff9f4c5b8b59276b7f227f13a976245f5d960913")})
	check("early secret", resumed["early secret"], "9b2188e9b2fc6d64d71dc329900e20bb41915000f678aa839cbb797cb7d8332c")
	check("res binder", resumed["res binder"], "69fe131a3bbad5d63c64eebcc30e395b9d8107726a13d074e389dbc8a4e47256")
	check("c e traffic", resumed["c e traffic"], "3fbbe6a60deb66c30a32795aba0eff7eaa10105586e7be5c09678d63b6caab62")
	binder := r.hmac(r.derive(resumed["res binder"], "finished", nil), unhex(t, "63224b2e4573f2d3454ca84b9d009a04f6be9e05711a8396473aefa01e924a14"))
	check("binder", binder, "3add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d")
}

func TestSchedule13AgainstReference(t *testing.T) {
	source := rand.NewChaCha8([32]byte{13})
	draw := func(n int) []byte {
		b := make([]byte, n)
		source.Read(b)
		return b
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384} {
		r := reference{"dtls13", h}
		for _, test := range []struct {
			name        string
			psk, shared []byte
		}{
			{"key exchange alone", nil, draw(32)},
			{"PSK alone", draw(h.Size()), nil},
			{"PSK with key exchange", draw(h.Size()), draw(66)},
			{"short PSK, hybrid key exchange", draw(4), draw(80)},
			{"long PSK", draw(300), draw(32)},
		} {
			t.Run(h.String()+"/"+test.name, func(t *testing.T) {
				th := hashes{draw(h.Size()), draw(h.Size()), draw(h.Size()), draw(h.Size())}
				want := r.secrets(test.psk, test.shared, th)
				check := func(name string, got, want []byte) {
					t.Helper()
					if !bytes.Equal(got, want) {
						t.Errorf("%s:\n got %x\nwant %x", name, got, want)
					}
				}

				s := NewSchedule13(h, test.psk)
				external, resumption := s.BinderKey(true), s.BinderKey(false)
				check("ext binder", external, want["ext binder"])
				check("res binder", resumption, want["res binder"])
				check("c e traffic", s.ClientEarlyTraffic(th.clientHello), want["c e traffic"])
				s.EnterHandshake(test.shared)
				check("c hs traffic", s.ClientHandshakeTraffic(th.serverHello), want["c hs traffic"])
				check("s hs traffic", s.ServerHandshakeTraffic(th.serverHello), want["s hs traffic"])
				s.EnterMaster()
				client := s.ClientApplicationTraffic(th.serverFinished)
				check("c ap traffic", client, want["c ap traffic"])
				check("s ap traffic", s.ServerApplicationTraffic(th.serverFinished), want["s ap traffic"])
				exporter := s.ExporterMaster(th.serverFinished)
				check("exp master", exporter, want["exp master"])
				resumptionMaster := s.ResumptionMaster(th.clientFinished)
				check("res master", resumptionMaster, want["res master"])

				keys := TrafficKeys13(h, client, 32)
				check("key", keys.Key, r.expand(client, "key", nil, 32))
				check("iv", keys.IV, r.expand(client, "iv", nil, 12))
				check("sn", keys.SN, r.expand(client, "sn", nil, 32))
				check("traffic upd", NextTraffic13(h, client), r.derive(client, "traffic upd", nil))
				check("binder", VerifyData13(h, external, th.clientHello),
					r.hmac(r.derive(external, "finished", nil), th.clientHello))
				for _, nonce := range [][]byte{nil, {0}, draw(255)} {
					check("ticket PSK", TicketPSK13(h, resumptionMaster, nonce), r.derive(resumptionMaster, "resumption", nonce))
				}
				exported, err := Exporter13(h, exporter, "EXTRACTOR-dtls_srtp", []byte("context"), 32)
				if err != nil {
					t.Fatal(err)
				}
				secret := r.derive(exporter, "EXTRACTOR-dtls_srtp", r.sum(nil))
				check("exporter", exported, r.expand(secret, "exporter", r.sum([]byte("context")), 32))
			})
		}
	}
}
