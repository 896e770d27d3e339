package message

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// scanned are the extensions that ScanClientHello looks into.
var scanned = []uint16{
	ExtensionSupportedVersions, ExtensionSupportedGroups, ExtensionKeyShare, ExtensionCookie, ExtensionPSKKeyExchangeModes,
	ExtensionPreSharedKey, ExtensionServerName,
}

// withoutUnscanned takes all other extensions out of a body that scans, and leaves whatever trails. It fails if there is
// one twice, or anything behind pre_shared_key.
func withoutUnscanned(body []byte, s *HelloScan) (short []byte, ok bool) {
	short = bytes.Clone(body[:s.size()])
	if len(body) == len(short) {
		return short, true
	}
	var types []uint16
	var list []byte
	for rest := s.extensions; len(rest) > 0; {
		t, n := binary.BigEndian.Uint16(rest), 4+int(binary.BigEndian.Uint16(rest[2:]))
		if slices.Contains(types, t) || slices.Contains(types, ExtensionPreSharedKey) {
			return nil, false
		}
		types = append(types, t)
		if slices.Contains(scanned, t) {
			list = append(list, rest[:n]...)
		}
		rest = rest[n:]
	}
	trailing := body[len(short)+2+len(s.extensions):]
	short = append(binary.BigEndian.AppendUint16(short, uint16(len(list))), list...)
	return append(short, trailing...), true
}

// compareScan says how Parse and ScanClientHello contradict each other about a body, or "".
func compareScan(body []byte) string {
	s, ok := ScanClientHello(body)
	if p, cookie, found := ScanRetryCookie(body); ok && (found != (s.RetryCookie != nil) || !bytes.Equal(cookie, s.RetryCookie) ||
		found && !reflect.DeepEqual(p, s.HelloPrefix)) {
		return fmt.Sprintf("the cookie %x of the beginning is not %x", cookie, s.RetryCookie)
	}
	m, err := Parse(TypeClientHello, 0, body)
	switch {
	case !ok && !reflect.DeepEqual(s, HelloScan{}):
		return fmt.Sprintf("not ok, and yet %+v", s)
	case !ok && err == nil:
		return fmt.Sprintf("the scan refuses %+v", m)
	case !ok:
		return ""
	case err != nil:
		short, ok := withoutUnscanned(body, &s)
		if !ok {
			return "the scan accepts extensions that are twice, or behind pre_shared_key"
		}
		if m, err = Parse(TypeClientHello, 0, short); err != nil {
			return fmt.Sprintf("the scan accepts what has another fault than it may: %v", err)
		}
	}
	got, want := reported(&s), scanOf(m.(*ClientHello))
	if !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("scan  %+v\nparse %+v", got, want)
	}
	return ""
}

// reported is a scan without what only Fixed needs, and with no difference between nil and empty where there is none.
func reported(s *HelloScan) HelloScan {
	r := *s
	r.Covered = [2][]byte{}
	r.extensions = nil
	for _, field := range []*[]byte{&r.SessionID, &r.Cookie} {
		if len(*field) == 0 {
			*field = nil
		}
	}
	return r
}

// scanOf is what a scan must report of a hello that the parser read.
func scanOf(m *ClientHello) HelloScan {
	list := func(vs []uint16) []byte {
		if len(vs) == 0 {
			return nil
		}
		w := newWriter("list", nil)
		w.uint16s(vs)
		return w.b
	}
	inside := func(write func(*writer), prefix int) []byte {
		w := newWriter("list", nil)
		write(w)
		return w.b[prefix:]
	}
	s := HelloScan{
		HelloPrefix: HelloPrefix{
			Version: m.Version, Random: m.Random[:], SessionID: m.SessionID, Cookie: m.Cookie,
			CipherSuites: list(m.CipherSuites), Compression: m.Compression,
		},
		SupportedVersions: list(m.SupportedVersions),
		SupportedGroups:   list(m.SupportedGroups),
		HasKeyShares:      m.HasKeyShares,
		RetryCookie:       m.RetryCookie,
		PSKModes:          m.PSKModes,
	}
	if m.HasKeyShares {
		s.KeyShares = inside(func(w *writer) { appendKeyShares(w, m.KeyShares) }, 2)
	}
	if len(m.PSKs) > 0 {
		s.PSK = inside(func(w *writer) { appendPSKs(w, m.PSKs, m.Binders) }, 0)
	}
	if m.ServerName != "" {
		s.ServerName = []byte(m.ServerName)
	}
	return s
}

func TestScanReadsWhatParseReads(t *testing.T) {
	hellos := map[string][]byte{"golden": fromHex(t, goldenClientHello)}
	for _, s := range samples {
		if s.m.Type() == TypeClientHello {
			hellos[s.name] = s.body(t)
		}
	}
	for name, typ := range capturedMessages(t) {
		if typ == TypeClientHello {
			hellos[name] = captured(t, name)
		}
	}
	for name, body := range hellos {
		if _, ok := ScanClientHello(body); !ok {
			t.Errorf("%s: not ok", name)
		}
		for n := range len(body) + 1 {
			if fault := compareScan(body[:n:n]); fault != "" {
				t.Errorf("%s, first %d of %d bytes: %s", name, n, len(body), fault)
			}
		}
		if fault := compareScan(append(bytes.Clone(body), 0)); fault != "" {
			t.Errorf("%s, with a trailing byte: %s", name, fault)
		}
		for i := range body {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				broken := bytes.Clone(body)
				broken[i] ^= flip
				if fault := compareScan(broken); fault != "" {
					t.Errorf("%s, byte %d changed by %#x: %s", name, i, flip, fault)
				}
			}
		}
	}
}

// TestScanLooksIntoWhatItSaysItDoes: of the illegal hellos it refuses all but those with a fault inside an extension that
// the documentation names.
func TestScanLooksIntoWhatItSaysItDoes(t *testing.T) {
	let := map[uint16]bool{}
	for _, tt := range slices.Concat(illegalMessages, illegalMessages13) {
		if tt.t != TypeClientHello {
			continue
		}
		body := fromHex(t, tt.body)
		if fault := compareScan(body); fault != "" {
			t.Errorf("%s: %s", tt.name, fault)
		}
		if s, ok := ScanClientHello(body); ok {
			for rest := s.extensions; len(rest) > 0; rest = rest[4+int(binary.BigEndian.Uint16(rest[2:])):] {
				let[binary.BigEndian.Uint16(rest)] = true
			}
		}
	}
	for _, documented := range []uint16{
		ExtensionExtendedMasterSecret, ExtensionEncryptThenMAC, ExtensionRenegotiationInfo, ExtensionECPointFormats,
		ExtensionSignatureAlgorithms, ExtensionSignatureAlgorithmsCert, ExtensionALPN, ExtensionRecordSizeLimit,
		ExtensionEarlyData, ExtensionPostHandshakeAuth,
	} {
		if !let[documented] {
			t.Errorf("a fault in %s does not pass", ExtensionName(documented))
		}
		delete(let, documented)
	}
	for t2 := range let {
		t.Errorf("a fault in %s passes", ExtensionName(t2))
	}
}

func TestScanFindsVersionsGroupsAndShares(t *testing.T) {
	s, ok := ScanClientHello(captured(t, "chromium_client_hello"))
	if !ok {
		t.Fatal("not ok")
	}
	for _, tt := range []struct {
		what      string
		got, want bool
	}{
		{"DTLS 1.3", s.Offers(0xfefc), true},
		{"DTLS 1.2", s.Offers(0xfefd), true},
		{"DTLS 1.0", s.Offers(0xfeff), false},
		{"a version made of two halves", s.Offers(0xfcfe), false},
		{"X25519MLKEM768", s.OffersGroup(0x11ec), true},
		{"P-384", s.OffersGroup(0x18), true},
		{"P-521", s.OffersGroup(0x19), false},
		{"a share of X25519MLKEM768", s.Share(0x11ec) != nil, true},
		{"a share of X25519", s.Share(0x1d) != nil, true},
		{"a share of P-384", s.Share(0x18) != nil, false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.what, tt.got)
		}
	}
	if none := (HelloScan{}); none.Offers(0xfefc) || none.OffersGroup(0) || none.Share(0) != nil {
		t.Error("something is found in nothing")
	}
}

func TestScanClientHelloDoesNotAllocate(t *testing.T) {
	full := append(fromHex(t, smallHello), 0xff, 0xfc) // more extensions than any other hello has
	for i := range max16 / 4 {
		full = append(full, 0x80|byte(i>>8), byte(i), 0, 0)
	}
	shares := ""
	for i := range 1000 {
		shares += fmt.Sprintf("%04x 0001 00", i)
	}
	manyShares := fromHex(t, smallHello+block(offer13, ext(51, "1388"+shares)))
	bodies := [][]byte{full, manyShares, manyShares[:len(manyShares)-1], captured(t, "nss_client_hello_again"), captured(t, "firefox_client_hello")}
	for _, s := range samples {
		if s.m.Type() == TypeClientHello {
			bodies = append(bodies, s.body(t))
		}
	}
	for _, tt := range slices.Concat(illegalMessages, illegalMessages13) {
		if tt.t == TypeClientHello {
			bodies = append(bodies, fromHex(t, tt.body))
		}
	}
	total := 0
	if n := testing.AllocsPerRun(10, func() {
		for _, body := range bodies {
			s, _ := ScanClientHello(body)
			for b := range s.Fixed() {
				total += len(b)
			}
			if s.Offers(0xfefc) && s.OffersGroup(29) && s.Share(29) != nil {
				total++
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s, ok := ScanClientHello(full); !ok || len(s.extensions) != max16/4*4 {
		t.Error("the hello full of extensions is refused")
	}
	if s, ok := ScanClientHello(manyShares); !ok || s.Share(999) == nil {
		t.Error("the hello full of key shares is refused")
	}
}

// fixedOf are the ranges of Fixed.
func fixedOf(s *HelloScan) [][]byte { return slices.Collect(s.Fixed()) }

func sameFixed(a, b *HelloScan) bool {
	return bytes.Equal(bytes.Join(fixedOf(a), nil), bytes.Join(fixedOf(b), nil)) && slices.EqualFunc(fixedOf(a), fixedOf(b), bytes.Equal)
}

func mustScan(t *testing.T, m *ClientHello) *HelloScan {
	t.Helper()
	s, ok := ScanClientHello(sample{m: m}.body(t))
	if !ok {
		t.Fatalf("not ok: %+v", m)
	}
	return &s
}

// TestCapturedHellosRepeatWhatIsFixed: NSS put its cookie and a new key share where it liked, and nothing else changed.
func TestCapturedHellosRepeatWhatIsFixed(t *testing.T) {
	first, ok := ScanClientHello(captured(t, "nss_client_hello"))
	again, ok2 := ScanClientHello(captured(t, "nss_client_hello_again"))
	if !ok || !ok2 {
		t.Fatal("not ok")
	}
	if !sameFixed(&first, &again) {
		t.Errorf("first %x\nagain %x", fixedOf(&first), fixedOf(&again))
	}
	if len(first.RetryCookie) != 0 || len(again.RetryCookie) == 0 || bytes.Equal(first.KeyShares, again.KeyShares) {
		t.Error("the hellos do not differ where they must")
	}
}

func TestFixedIsAllButWhatARetryChanges(t *testing.T) {
	base := func() *ClientHello {
		return &ClientHello{
			Version: 0xfefd, SessionID: []byte{1}, CipherSuites: []uint16{0x1301}, Compression: []byte{0},
			RetryCookie: []byte("cookie"), ExtendedMasterSecret: true, HasRenegotiationInfo: true, PointFormats: []byte{0},
			PSKModes: []uint8{PSKModeDHEKE}, EarlyData: true, RecordSizeLimit: 100, SupportedVersions: []uint16{Version13},
			SupportedGroups: []uint16{29}, SignatureSchemes: []uint16{0x0403}, ALPN: []string{"coap"}, ServerName: "example.org",
			KeyShares: []KeyShare{{29, []byte{1}}}, PSKs: []PSKIdentity{{Identity: []byte("a")}}, Binders: [][]byte{make([]byte, 32)},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*ClientHello)
		fixed  bool
	}{
		{"nothing", func(*ClientHello) {}, false},
		{"the 1.2 cookie", func(m *ClientHello) { m.Cookie = []byte{1} }, false},
		{"the cookie", func(m *ClientHello) { m.RetryCookie = []byte("another") }, false},
		{"the cookie, taken away", func(m *ClientHello) { m.RetryCookie = nil }, false},
		{"the key share", func(m *ClientHello) { m.KeyShares = []KeyShare{{23, []byte{2, 3}}} }, false},
		{"early data", func(m *ClientHello) { m.EarlyData = false }, false},
		{"a binder", func(m *ClientHello) { m.Binders[0][0] = 1 }, false},
		{"the age of a ticket", func(m *ClientHello) { m.PSKs[0].ObfuscatedAge = 1 }, false},
		{"all keys", func(m *ClientHello) { m.PSKs, m.Binders = nil, nil }, false},

		{"the version", func(m *ClientHello) { m.Version = 0xfeff }, true},
		{"the random", func(m *ClientHello) { m.Random[31] = 1 }, true},
		{"the session id", func(m *ClientHello) { m.SessionID = nil }, true},
		{"the suites", func(m *ClientHello) { m.CipherSuites = []uint16{0x1301, 0x1302} }, true},
		{"a flag", func(m *ClientHello) { m.ExtendedMasterSecret = false }, true},
		{"renegotiation_info", func(m *ClientHello) { m.RenegotiationInfo = []byte{0} }, true},
		{"the point formats", func(m *ClientHello) { m.PointFormats = []byte{0, 1} }, true},
		{"the modes", func(m *ClientHello) { m.PSKModes = []uint8{PSKModeDHEKE, PSKModeKE} }, true},
		{"post_handshake_auth", func(m *ClientHello) { m.PostHandshakeAuth = true }, true},
		{"the record size limit", func(m *ClientHello) { m.RecordSizeLimit = 101 }, true},
		{"the versions", func(m *ClientHello) { m.SupportedVersions = []uint16{Version13, 0xfefd} }, true},
		{"the groups", func(m *ClientHello) { m.SupportedGroups = []uint16{29, 23} }, true},
		{"the schemes", func(m *ClientHello) { m.SignatureSchemes = []uint16{0x0404} }, true},
		{"the schemes of certificates", func(m *ClientHello) { m.SignatureSchemesCert = []uint16{0x0403} }, true},
		{"the protocols", func(m *ClientHello) { m.ALPN = []string{"coap", "h2"} }, true},
		{"the name", func(m *ClientHello) { m.ServerName = "example.orh" }, true},
		{"a 1.2 ticket", func(m *ClientHello) { m.HasSessionTicket = true }, true},
	} {
		m := base()
		tt.change(m)
		if changed := !sameFixed(mustScan(t, base()), mustScan(t, m)); changed != tt.fixed {
			t.Errorf("%s: fixed is %v, want %v", tt.name, changed, tt.fixed)
		}
	}
}

// TestBytesCannotMoveBetweenExtensions: hellos whose extensions hold the same bytes in a row, cut in other places, differ
// in what is fixed, whether the places are within fixed extensions or between one that is fixed and one that is not.
func TestBytesCannotMoveBetweenExtensions(t *testing.T) {
	const a, b = 0x7a7a, 0x8a8a
	scan := func(extensions ...string) *HelloScan {
		s, ok := ScanClientHello(fromHex(t, smallHello+block(extensions...)))
		if !ok {
			t.Fatalf("not ok: %v", extensions)
		}
		return &s
	}
	one := ext(b, "0102")
	different := []*HelloScan{
		scan(),
		scan(ext(a, "")),
		scan(ext(a, ""), ext(b, "")),
		scan(ext(b, ""), ext(a, "")),
		scan(ext(a, "01"), ext(b, "02")),
		scan(ext(a, "0102"), ext(b, "")),
		scan(ext(a, ""), ext(b, "0102")),
		scan(ext(a, one)),
		scan(ext(a, one), one),
		scan(ext(a, one+ext(ExtensionPadding, ""))),
		scan(ext(a, ext(ExtensionPadding, one))),
	}
	for i, x := range different {
		for j, y := range different {
			if joined := bytes.Equal(bytes.Join(fixedOf(x), nil), bytes.Join(fixedOf(y), nil)); joined != (i == j) {
				t.Errorf("hellos %d and %d: the same bytes are %v", i, j, joined)
			}
		}
	}

	same := []*HelloScan{
		scan(ext(a, "01"), one),
		scan(ext(ExtensionPadding, ""), ext(a, "01"), one),
		scan(ext(a, "01"), ext(ExtensionPadding, one), one),
		scan(ext(a, "01"), one, ext(ExtensionCookie, "0001aa")),
		scan(ext(ExtensionKeyShare, "0000"), ext(a, "01"), ext(ExtensionEarlyData, ""), one, ext(ExtensionPadding, "00")),
	}
	for i, s := range same[1:] {
		if !sameFixed(same[0], s) {
			t.Errorf("hello %d: %x", i+1, fixedOf(s))
		}
	}
}

// TestFixedComesApart: the bytes of all ranges in a row are a hello again, so no other ranges give the same bytes.
func TestFixedComesApart(t *testing.T) {
	for name, typ := range capturedMessages(t) {
		if typ != TypeClientHello {
			continue
		}
		s, ok := ScanClientHello(captured(t, name))
		if !ok {
			t.Fatal("not ok")
		}
		ranges := fixedOf(&s)
		body := append(bytes.Clone(ranges[0]), 0) // an empty cookie field
		body = append(body, ranges[1]...)
		list := bytes.Join(ranges[2:], nil)
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(list))), list...)
		again, ok := ScanClientHello(body)
		if !ok || !sameFixed(&s, &again) {
			t.Errorf("%s: %x", name, body)
		}
	}
}

func TestFixedStopsWhenAsked(t *testing.T) {
	s, ok := ScanClientHello(captured(t, "nss_client_hello"))
	if !ok {
		t.Fatal("not ok")
	}
	for want := range len(fixedOf(&s)) {
		n := 0
		for range s.Fixed() {
			if n == want {
				break
			}
			n++
		}
		if n != want {
			t.Errorf("%d ranges, want %d", n, want)
		}
	}
}

func BenchmarkScanClientHello(b *testing.B) {
	body := captured(b, "chromium_client_hello")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ScanClientHello(body); !ok {
			b.Fatal("not ok")
		}
	}
}

// TestScanRetryCookie: the cookie is found as soon as all of it is there, and never
// before.
func TestScanRetryCookie(t *testing.T) {
	found := 0
	for _, sample := range samples {
		if sample.m.Type() != TypeClientHello || sample.m.(*ClientHello).RetryCookie == nil {
			continue
		}
		want := sample.m.(*ClientHello).RetryCookie
		body := sample.body(t)
		end := bytes.Index(body, want) + len(want)
		for n := range len(body) + 1 {
			_, cookie, ok := ScanRetryCookie(body[:n])
			if ok != (n >= end) || ok && !bytes.Equal(cookie, want) {
				t.Fatalf("%d of %d bytes, the cookie ends at %d: %v, %x", n, len(body), end, ok, cookie)
			}
		}
		found++
	}
	if found == 0 {
		t.Fatal("no sample has a cookie")
	}
}
