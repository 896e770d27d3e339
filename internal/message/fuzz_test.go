package message

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
)

func FuzzHelloRequest(f *testing.F)              { fuzzParse(f, TypeHelloRequest, 0) }
func FuzzClientHello(f *testing.F)               { fuzzParse(f, TypeClientHello, 0) }
func FuzzServerHello(f *testing.F)               { fuzzParse(f, TypeServerHello, 0) }
func FuzzHelloVerifyRequest(f *testing.F)        { fuzzParse(f, TypeHelloVerifyRequest, 0) }
func FuzzNewSessionTicket(f *testing.F)          { fuzzParse(f, TypeNewSessionTicket, 0) }
func FuzzCertificate(f *testing.F)               { fuzzParse(f, TypeCertificate, 0) }
func FuzzServerKeyExchangeECDHE(f *testing.F)    { fuzzParse(f, TypeServerKeyExchange, ECDHE) }
func FuzzServerKeyExchangePSK(f *testing.F)      { fuzzParse(f, TypeServerKeyExchange, PSK) }
func FuzzServerKeyExchangeECDHEPSK(f *testing.F) { fuzzParse(f, TypeServerKeyExchange, ECDHEPSK) }
func FuzzCertificateRequest(f *testing.F)        { fuzzParse(f, TypeCertificateRequest, 0) }
func FuzzServerHelloDone(f *testing.F)           { fuzzParse(f, TypeServerHelloDone, 0) }
func FuzzCertificateVerify(f *testing.F)         { fuzzParse(f, TypeCertificateVerify, 0) }
func FuzzClientKeyExchangeECDHE(f *testing.F)    { fuzzParse(f, TypeClientKeyExchange, ECDHE) }
func FuzzClientKeyExchangePSK(f *testing.F)      { fuzzParse(f, TypeClientKeyExchange, PSK) }
func FuzzClientKeyExchangeECDHEPSK(f *testing.F) { fuzzParse(f, TypeClientKeyExchange, ECDHEPSK) }
func FuzzFinished(f *testing.F)                  { fuzzParse(f, TypeFinished, 0) }
func FuzzEncryptedExtensions(f *testing.F)       { fuzzParse(f, TypeEncryptedExtensions, TLS13) }
func FuzzCertificateRequest13(f *testing.F)      { fuzzParse(f, TypeCertificateRequest, TLS13) }
func FuzzCertificate13(f *testing.F)             { fuzzParse(f, TypeCertificate, TLS13) }
func FuzzFinished13(f *testing.F)                { fuzzParse(f, TypeFinished, TLS13) }
func FuzzNewSessionTicket13(f *testing.F)        { fuzzParse(f, TypeNewSessionTicket, TLS13) }
func FuzzKeyUpdate(f *testing.F)                 { fuzzParse(f, TypeKeyUpdate, TLS13) }

// fuzzParse checks on any body: no panic, an error that carries a peer's fault, and parse → append → parse is stable. What
// append leaves out is what parse skipped, so only a message with extensions may come back shorter, and never a second
// time.
func fuzzParse(f *testing.F, typ Type, kx KeyExchange) {
	for _, s := range samples {
		if s.m.Type() == typ && s.kx == kx {
			f.Add(s.body(f))
		}
	}
	for name, t := range capturedMessages(f) {
		if t == typ && (kx == TLS13 || t == TypeClientHello || t == TypeServerHello) {
			f.Add(captured(f, name))
		}
	}
	if typ == TypeClientHello {
		f.Add(fromHex(f, goldenClientHello))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := Parse(typ, kx, body)
		if err != nil {
			var fault *alert.Error
			if first != nil || !errors.As(err, &fault) || fault.Alert == alert.InternalError {
				t.Fatalf("message %v with error %v", first, err)
			}
			return
		}
		written, err := first.AppendBody(nil)
		if err != nil {
			t.Fatalf("parsed, and cannot be written: %v", err)
		}
		if !hasExtensions(first) && !bytes.Equal(written, body) {
			t.Fatalf("written as %x", written)
		}
		second, err := Parse(typ, kx, written)
		if err != nil {
			t.Fatalf("written, and cannot be parsed: %v", err)
		}
		if !reflect.DeepEqual(withExtensionTypes(first, nil), withExtensionTypes(second, nil)) {
			t.Fatalf("first  %+v\nsecond %+v", first, second)
		}
		again, err := second.AppendBody(nil)
		if err != nil || !bytes.Equal(again, written) {
			t.Fatalf("first  %x\nsecond %x (%v)", written, again, err)
		}
	})
}

// hasExtensions reports whether a message may hold extensions that parse skips.
func hasExtensions(m Message) bool {
	_, ticket := m.(*NewSessionTicket13) // notes no types
	return ticket || typesField(m).IsValid()
}

func FuzzNextFragment(f *testing.F) {
	f.Add(fromHex(f, "01 000003 0007 000000 000003 aabbcc 0e 000000 0008 000000 000000"))
	f.Add(fromHex(f, "0b 010203 ffff 010000 000002 aabb"))
	f.Add(fromHex(f, "01 000003 0000 ffffff 000001 aa"))
	f.Fuzz(func(t *testing.T, record []byte) {
		for b := record; len(b) > 0; {
			h, body, rest, err := NextFragment(b)
			if err != nil {
				if alert.Of(err) != alert.DecodeError || body != nil {
					t.Fatalf("body %x with error %v", body, err)
				}
			} else if got := append(append(h.Append(nil), body...), rest...); !bytes.Equal(got, b) {
				t.Fatalf("%x comes apart as %x", b, got)
			}
			if len(rest) >= len(b) {
				t.Fatalf("%d bytes left of %d", len(rest), len(b))
			}
			b = rest
		}
	})
}

// FuzzPeekClientHello checks that the stateless look and the full parser agree about every hello.
func FuzzPeekClientHello(f *testing.F) {
	f.Add(fromHex(f, goldenClientHello))
	f.Add(fromHex(f, smallHello))
	for _, tt := range illegalStarts {
		f.Add(fromHex(f, tt.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, ok := PeekClientHello(body)
		if ok {
			prefix := len(p.Covered[0]) + 1 + len(p.Cookie) + len(p.Covered[1])
			again := append(append(append(bytes.Clone(p.Covered[0]), byte(len(p.Cookie))), p.Cookie...), p.Covered[1]...)
			if !bytes.Equal(again, body[:prefix]) {
				t.Fatalf("the prefix comes apart as %x", again)
			}
			body = body[:prefix:prefix] // a whole hello without extensions: both must like it
		}
		m, err := Parse(TypeClientHello, 0, body)
		if ok != (err == nil) {
			t.Fatalf("peek says %v, parse says %v", ok, err)
		}
		if !ok {
			return
		}
		full := m.(*ClientHello)
		suites := newWriter("suites", nil)
		suites.uint16s(full.CipherSuites)
		same := full.Version == p.Version && bytes.Equal(full.Random[:], p.Random) &&
			bytes.Equal(full.SessionID, p.SessionID) && bytes.Equal(full.Cookie, p.Cookie) &&
			bytes.Equal(suites.b, p.CipherSuites) && bytes.Equal(full.Compression, p.Compression)
		if !same {
			t.Fatalf("peek  %+v\nparse %+v", p, full)
		}
	})
}

// FuzzScanClientHello checks that the stateless look and the full parser agree about every whole hello: the scan accepts
// exactly those that the parser accepts once the extensions that the scan does not look into are taken out.
func FuzzScanClientHello(f *testing.F) {
	for _, s := range samples {
		if s.m.Type() == TypeClientHello {
			f.Add(s.body(f))
		}
	}
	for name, typ := range capturedMessages(f) {
		if typ == TypeClientHello {
			f.Add(captured(f, name))
		}
	}
	for _, tt := range slices.Concat(illegalMessages, illegalMessages13) {
		if tt.t == TypeClientHello {
			f.Add(fromHex(f, tt.body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if fault := compareScan(body); fault != "" {
			t.Fatal(fault)
		}
	})
}

func FuzzParseACK(f *testing.F) {
	f.Add(captured(f, "chromium_ack"))
	f.Add(captured(f, "firefox_ack"))
	for _, tt := range illegalACKs {
		f.Add(fromHex(f, tt.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := ParseACK(body)
		if err != nil {
			if alert.Of(err) != alert.DecodeError || list.Len() != 0 {
				t.Fatalf("%d numbers with error %v", list.Len(), err)
			}
			return
		}
		if got := AppendACK(nil, numbersOf(list)); !bytes.Equal(got, body) {
			t.Fatalf("written as %x", got)
		}
	})
}
