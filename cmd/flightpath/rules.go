package main

import (
	"errors"
	"flag"
	"slices"
	"strings"

	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// rule says which flags one flag needs or excludes. No flag is ever ignored: what
// would have no effect is an error that says what to change.
type rule struct {
	flag     string
	needs    []string // one of these
	excludes []string // all of these
	why      string
}

// pskFlags are the ways to give a pre-shared key.
var pskFlags = []string{"psk", "psk-file", "psk-env"}

var (
	peerRules = []rule{
		{flag: "psk", excludes: []string{"psk-file", "psk-env"}, why: "there is one key"},
		{flag: "psk-file", excludes: []string{"psk-env"}, why: "there is one key"},
		{flag: "identity", needs: pskFlags, why: "it is the name of a pre-shared key"},
		{flag: "key", needs: []string{"cert"}, why: "it is the key of a certificate"},
		{flag: "exporter-len", needs: []string{"exporter"}, why: "it is the length of what that exports"},
	}
	connectRules = []rule{
		{flag: "insecure", excludes: []string{"ca"}, why: "-insecure accepts any certificate"},
	}
	demoRules = []rule{
		{flag: "hint", excludes: []string{"blackhole"}, why: "a black hole refuses nothing"},
		{flag: "seed", needs: []string{"loss", "reorder"}, why: "nothing else is random"},
	}
)

// given reports whether a flag was on the command line; -flag=false was not.
func given(fs *flag.FlagSet, name string) (yes bool) {
	fs.Visit(func(f *flag.Flag) {
		yes = yes || f.Name == name && (f.Value.String() != "false" || f.DefValue != "false")
	})
	return yes
}

// checkRules returns a usageError for the first rule that is broken.
func checkRules(fs *flag.FlagSet, rules []rule) error {
	has := func(name string) bool { return given(fs, name) }
	for _, r := range rules {
		if !has(r.flag) {
			continue
		}
		if i := slices.IndexFunc(r.excludes, has); i >= 0 {
			return badUsage("-%s and -%s exclude each other: %s; leave one of them out", r.flag, r.excludes[i], r.why)
		}
		if len(r.needs) > 0 && !slices.ContainsFunc(r.needs, has) {
			return badUsage("-%s needs -%s: %s", r.flag, strings.Join(r.needs, " or -"), r.why)
		}
	}
	return nil
}

// mayUse reports whether a version is allowed by -version.
func (o *peerOptions) mayUse(version string) bool { return o.version == "" || o.version == version }

// checkSuites finds suites and groups that another flag keeps from being used.
func (o *peerOptions) checkSuites() error {
	var psk12, cert12, groups12 bool // some suite of DTLS 1.2 named uses them
	for _, id := range o.suites {
		s := suite.Lookup(id)
		switch {
		case s.Is13() && !o.mayUse("1.3"):
			return badUsage("-suite %s is a suite of DTLS 1.3, and -version is %s: leave one of them out", s.Name, o.version)
		case !s.Is13() && !o.mayUse("1.2"):
			return badUsage("-suite %s is a suite of DTLS 1.2, and -version is %s: leave one of them out", s.Name, o.version)
		case s.UsesPSK() && !o.hasPSK():
			return badUsage("-suite %s needs -%s", s.Name, strings.Join(pskFlags, " or -"))
		case s.Is13():
			continue
		}
		psk12, cert12, groups12 = psk12 || s.UsesPSK(), cert12 || !s.UsesPSK(), groups12 || s.UsesECDHE()
	}
	named12 := psk12 || cert12
	only12 := !o.mayUse("1.3")
	if only12 {
		if i := slices.IndexFunc(o.groups, kex.IsHybrid); i >= 0 {
			return badUsage("-group %s is for DTLS 1.3, and -version is 1.2: leave one of them out", groupName(o.groups[i]))
		}
	}
	switch {
	case only12 && named12 && o.hasPSK() && !psk12:
		return badUsage("-%s has no effect: no suite of -suite uses a pre-shared key; add one, or leave one of the two out", o.pskFlag())
	case only12 && named12 && len(o.groups) > 0 && !groups12:
		return badUsage("-group has no effect: the suites of -suite have no key exchange with groups; leave one of the two out")
	case only12 && o.exporter != "" && o.ems == emsOff:
		return badUsage("-exporter needs the extended master secret in DTLS 1.2 (RFC 7627, Section 5.4): leave out -ems off, or -version 1.2")
	}
	return nil
}

// namesCertSuite reports whether -suite names a suite of DTLS 1.2 that
// authenticates by certificates.
func (o *peerOptions) namesCertSuite() bool {
	return o.mayUse("1.2") && slices.ContainsFunc(o.suites, func(id uint16) bool {
		s := suite.Lookup(id)
		return !s.Is13() && !s.UsesPSK()
	})
}

// withoutPSK returns an error for the first of the flags, which are about
// certificates, that was given although a pre-shared key authenticates.
func (o *peerOptions) withoutPSK(instead string, flags ...string) error {
	for _, name := range flags {
		if given(o.fs, name) {
			return badUsage("-%s is about certificates, and with -%s there are none: leave one of the two out, or %s", name, o.pskFlag(), instead)
		}
	}
	return nil
}

// inFlags tells the library's errors about a Config in flags.
func inFlags(err error) error {
	const prefix = "dtls: config: "
	if err == nil || !strings.HasPrefix(err.Error(), prefix) {
		return err
	}
	text := strings.TrimPrefix(err.Error(), prefix)
	return usageError{errors.New(configFields.Replace(text))}
}

// configFields are fields of a dtls.Config, or what errors advise to do with
// them, and the flags that set them.
var configFields = strings.NewReplacer(
	"set MaxVersion to VersionDTLS12", "set -version 1.2",
	"Session is not what Conn.Session of this version of the library has returned", "-session: the file is of another version of this program; remove it",
	"none of the Certificates has a key", "-cert has no key", "CipherSuites and SignatureSchemes", "-suite",
	"Certificates or GetCertificate", "-cert", "cipher suite ", "-suite ",
	"CipherSuites", "-suite", "CurvePreferences", "-group", "NextProtos", "-alpn", "ServerName", "-servername",
	"MinVersion", "-version", "MaxVersion", "-version", "Certificates", "-cert", "IdleTimeout", "-idle",
	"ClientPSK", "-psk", "ServerPSK", "-psk", "PSKHint", "-psk", "HandshakeTimeout", "-timeout", "MTUMode", "-mtu-mode", "MTU", "-mtu",
)

// emsMode is how the extended master secret of DTLS 1.2 is treated.
type emsMode string

const (
	emsRequire emsMode = "require"
	emsAllow   emsMode = "allow"
	emsOff     emsMode = "off"
)

func parseEMSMode(s string) (emsMode, error) {
	switch m := emsMode(s); m {
	case emsRequire, emsAllow, emsOff:
		return m, nil
	}
	return "", errors.New("want require, allow or off")
}
