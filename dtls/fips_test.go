package dtls

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFIPSOnly runs TestFIPSOnlyProcess in a process with GODEBUG=fips140=only:
// there the standard library refuses algorithms and parameters that FIPS 140 does
// not approve, many of them with a panic.
func TestFIPSOnly(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("this process has the mode already: TestFIPSOnlyProcess runs in it")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestFIPSOnlyProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFIPSOnlyProcess") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFIPSOnlyProcess: the default Config makes associations of both versions
// that carry data, resume and change their keys.
func TestFIPSOnlyProcess(t *testing.T) {
	if !fips140.Enforced() {
		t.Skip("TestFIPSOnly runs this with GODEBUG=fips140=only")
	}
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		// Not under synctest: the entropy of this mode comes from the clock.
		t.Run(VersionName(version), func(t *testing.T) { fipsAssociations(t, version) })
	}
	for _, bad := range []*Config{
		{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}},
		{InsecureSkipVerify: true, CipherSuites: []uint16{0x1303}},
	} {
		if _, err := NewClientEngine(bad, simStart); err == nil || !strings.Contains(err.Error(), "FIPS") {
			t.Errorf("%v %04x: %v; want an error of the config that names the mode", bad.CurvePreferences, bad.CipherSuites, err)
		}
	}
}

func fipsAssociations(t *testing.T, version uint16) {
	l := listen(t, func(client, server *Config) {
		trusted, certified := simConfigs(0, 0)
		*client, *server = *trusted, *certified
		client.MaxVersion, server.MaxVersion = version, version
		client.ClientSessionCache = NewClientSessionCache(4)
	})
	defer l.Close()
	for try := range 2 {
		c, _ := l.dial(t)
		if got, want := c.ConnectionState().DidResume, try > 0; got != want {
			t.Errorf("association %d: resumed is %v, want %v", try, got, want)
		}
		s := l.accept(t)
		mustWrite(t, c, "up")
		mustRead(t, s, "up")
		mustWrite(t, s, "down")
		mustRead(t, c, "down")
		if err := c.UpdateKeys(context.Background(), true); err != nil && !errors.Is(err, errNoKeyUpdate) {
			t.Error(err)
		}
		mustWrite(t, c, "under new keys")
		mustRead(t, s, "under new keys")
		if _, err := c.ExportKeyingMaterial("EXPERIMENTAL fips", nil, 32); err != nil {
			t.Error(err)
		}
		closeAll(c, s)
	}
}
