package message

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// captured reads a message of a real peer. The file says where it comes from.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	return fromHex(t, string(text))
}

// capturedMessages are all files of testdata but the ACKs, with the type that their names end in.
func capturedMessages(t testing.TB) map[string]Type {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.hex"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	all := map[string]Type{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		if strings.HasSuffix(name, "_ack") {
			continue
		}
		_, kind, _ := strings.Cut(name, "_")
		kind = strings.TrimSuffix(strings.TrimSuffix(kind, "_again"), "_requested")
		if kind == "hello_retry_request" {
			kind = "server_hello"
		}
		found := false
		for typ, known := range typeNames {
			if known == kind {
				all[name], found = typ, true
			}
		}
		if !found {
			t.Fatalf("%s is named after no message", file)
		}
	}
	return all
}

func parseCaptured[M Message](t *testing.T, name string) M {
	t.Helper()
	m, err := Parse(capturedMessages(t)[name], TLS13, captured(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m.(M)
}

// TestCapturedMessages: what real peers sent is legal, is written as it came if no extension of it was skipped or stood
// elsewhere, and no prefix of it is legal, but of a hello up to its extensions.
func TestCapturedMessages(t *testing.T) {
	reordered := []string{"client_hello", "hello_retry_request", "server_hello", "encrypted_extensions"}
	for name, typ := range capturedMessages(t) {
		t.Run(name, func(t *testing.T) {
			body := captured(t, name)
			m, err := Parse(typ, TLS13, body)
			if err != nil {
				t.Fatal(err)
			}
			written, err := m.AppendBody(nil)
			if err != nil {
				t.Fatal(err)
			}
			mayDiffer := slices.ContainsFunc(reordered, func(part string) bool { return strings.Contains(name, part) })
			if !mayDiffer && !bytes.Equal(written, body) {
				t.Errorf("written as %x\nwant       %x", written, body)
			}
			if _, err := Parse(typ, TLS13, append(bytes.Clone(body), 0)); err == nil {
				t.Error("a trailing byte is legal")
			}
			for n := range body {
				p, _ := PeekClientHello(body[:n])
				if typ == TypeClientHello && p.size() == n || typ == TypeServerHello && n == smallestServerHello {
					continue
				}
				if m, err := Parse(typ, TLS13, body[:n]); err == nil {
					t.Fatalf("the first %d of %d bytes are %+v", n, len(body), m)
				}
			}
		})
	}
}

func TestCapturedClientHellos(t *testing.T) {
	nss := []uint16{0x11ec, 0x1d, 0x17, 0x18, 0x19, 0x11eb, 0x11ed, 0x100, 0x101, 0x102, 0x103, 0x104}
	for _, tt := range []struct {
		name     string
		versions []uint16
		groups   []uint16
		shares   string // group and size each
		modes    []uint8
		limit    uint16
		alpn     []string
		server   string
		cookie   bool
	}{
		{
			name: "chromium_client_hello", versions: []uint16{0xfefc, 0xfefd}, groups: []uint16{0x11ec, 0x1d, 0x17, 0x18},
			shares: "[11ec:1216 1d:32]", modes: []uint8{PSKModeDHEKE},
		},
		{
			name: "firefox_client_hello", versions: []uint16{0xfefc, 0xfefd, 0x0303},
			groups: []uint16{0x11ec, 0x1d, 0x17, 0x18, 0x100, 0x101}, shares: "[11ec:1216 1d:32]",
			limit: 0x4001, alpn: []string{"webrtc", "c-webrtc"},
		},
		{
			name: "nss_client_hello", versions: []uint16{0xfefc}, groups: nss, shares: "[11ec:1216]",
			modes: []uint8{PSKModeDHEKE}, limit: 0x4001, server: "localhost",
		},
		{
			name: "nss_client_hello_again", versions: []uint16{0xfefc}, groups: nss, shares: "[17:65]",
			modes: []uint8{PSKModeDHEKE}, limit: 0x4001, server: "localhost", cookie: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := parseCaptured[*ClientHello](t, tt.name)
			var shares []string
			for _, s := range m.KeyShares {
				shares = append(shares, fmt.Sprintf("%x:%d", s.Group, len(s.Data)))
			}
			if !slices.Equal(m.SupportedVersions, tt.versions) || !slices.Equal(m.SupportedGroups, tt.groups) ||
				fmt.Sprint(shares) != tt.shares || !m.HasKeyShares || !bytes.Equal(m.PSKModes, tt.modes) ||
				m.RecordSizeLimit != tt.limit || !slices.Equal(m.ALPN, tt.alpn) || m.ServerName != tt.server ||
				(len(m.RetryCookie) > 0) != tt.cookie || len(m.SignatureSchemes) == 0 || m.Version != 0xfefd {
				t.Errorf("%+v\nshares %v", m, shares)
			}
		})
	}
}

func TestCapturedServerMessages(t *testing.T) {
	retry := parseCaptured[*ServerHello](t, "nss_hello_retry_request")
	again := parseCaptured[*ClientHello](t, "nss_client_hello_again")
	if !retry.IsRetry() || retry.SelectedGroup != 0x17 || retry.SupportedVersion != Version13 || retry.HasKeyShare {
		t.Errorf("hello retry request: %+v", retry)
	}
	if !bytes.Equal(again.RetryCookie, retry.RetryCookie) || len(retry.RetryCookie) == 0 {
		t.Errorf("cookie %x was repeated as %x", retry.RetryCookie, again.RetryCookie)
	}
	for name, want := range map[string]KeyShare{
		"nss_server_hello":      {Group: 0x17, Data: make([]byte, 65)},
		"chromium_server_hello": {Group: 0x11ec, Data: make([]byte, 1088+32)},
	} {
		sh := parseCaptured[*ServerHello](t, name)
		if sh.IsRetry() || sh.KeyShare.Group != want.Group || len(sh.KeyShare.Data) != len(want.Data) || !sh.HasKeyShare ||
			sh.SupportedVersion != Version13 || sh.CipherSuite != 0x1301 {
			t.Errorf("%s: %+v", name, sh)
		}
	}

	ee := parseCaptured[*EncryptedExtensions](t, "firefox_encrypted_extensions")
	if !slices.Equal(ee.SupportedGroups, []uint16{0x11ec, 0x1d, 0x17, 0x18}) ||
		!slices.Equal(ee.ExtensionTypes, []uint16{ExtensionSupportedGroups, ExtensionUseSRTP}) {
		t.Errorf("encrypted extensions: %+v", ee)
	}
	cr := parseCaptured[*CertificateRequest13](t, "chromium_certificate_request")
	if len(cr.SignatureSchemes) != 9 || len(cr.Context) != 0 || len(cr.Authorities) != 0 {
		t.Errorf("certificate request: %+v", cr)
	}
	if c := parseCaptured[*Certificate13](t, "firefox_certificate"); len(c.Chain) != 1 || len(c.ExtensionTypes) != 0 {
		t.Errorf("certificate: %+v", c)
	}
	if f := parseCaptured[*Finished](t, "chromium_finished"); len(f.VerifyData) != 32 {
		t.Errorf("finished: %+v", f)
	}
	nst := parseCaptured[*NewSessionTicket13](t, "nss_new_session_ticket")
	if nst.Lifetime != 2*24*3600 || len(nst.Ticket) != 162 || nst.HasEarlyData {
		t.Errorf("new session ticket: %+v", nst)
	}
	if parseCaptured[*KeyUpdate](t, "nss_key_update").RequestUpdate || !parseCaptured[*KeyUpdate](t, "nss_key_update_requested").RequestUpdate {
		t.Error("the two key updates are not told apart")
	}
}
