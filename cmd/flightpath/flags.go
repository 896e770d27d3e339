package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// peerOptions are the flags that connect and listen have in common.
type peerOptions struct {
	fs          *flag.FlagSet
	cert, key   string // PEM files
	psk         pskSource
	identity    string
	version     string // "": both
	alpn        []string
	suites      []uint16
	groups      []tls.CurveID
	ems         emsMode
	mtu         int // bytes of UDP payload
	mtuMode     dtls.MTUMode
	trace       bool
	keylog      string // file
	exporter    string // label
	exporterLen int
}

// defaultIdentity is that of OpenSSL's s_client and s_server.
const defaultIdentity = "Client_identity"

func (o *peerOptions) register(fs *flag.FlagSet) {
	o.fs = fs
	fs.StringVar(&o.cert, "cert", "", "certificate chain, a PEM `file`, leaf first")
	fs.StringVar(&o.key, "key", "", "its private key, a PEM `file` (default: in the file of -cert)")
	fs.StringVar(&o.psk.hex, "psk", "", "pre-shared key, in `hex`; other users see it in the list of processes: -psk-file and -psk-env hide it")
	fs.StringVar(&o.psk.file, "psk-file", "", "read the pre-shared key from this `file`, in hex")
	fs.StringVar(&o.psk.env, "psk-env", "", "read the pre-shared key from this environment `variable`, in hex")
	fs.StringVar(&o.identity, "identity", defaultIdentity, "`name` of the pre-shared key")
	fs.StringVar(&o.version, "version", "", "speak this DTLS `version` only, 1.2 or 1.3 (default: both, the newer one if the peer has it)")
	fs.Func("alpn", "application `protocols`, comma separated, preferred ones first", func(s string) error {
		o.alpn = append(o.alpn, strings.Split(s, ",")...)
		return nil
	})
	fs.Func("suite", "cipher `suites` by IANA name or number, comma separated or one by one, preferred ones first; flightpath help suites lists them", func(s string) error {
		return each(s, parseSuite, &o.suites)
	})
	fs.Func("group", "`groups` of the key exchange, comma separated or one by one: X25519MLKEM768, X25519, P-256, P-384, P-521, SecP256r1MLKEM768, SecP384r1MLKEM1024", func(s string) error {
		return each(s, parseGroup, &o.groups)
	})
	fs.Func("ems", "extended master secret of DTLS 1.2 (RFC 7627), a `mode`: require refuses peers without it, "+
		"allow does not, off does without it (default: require)", func(s string) (err error) {
		o.ems, err = parseEMSMode(s)
		return err
	})
	fs.IntVar(&o.mtu, "mtu", 0, "largest datagram to send at first, `bytes` of UDP payload (default: the library's 1232)")
	fs.Func("mtu-mode", "what may lower that, a `mode`: auto (silence and refusals), kernel (refusals), or manual "+
		"(refusals, each of which is printed) (default: auto)", func(s string) (err error) {
		o.mtuMode, err = parseMTUMode(s)
		return err
	})
	fs.BoolVar(&o.trace, "trace", false, "show flights, messages, alerts and repetitions on standard error")
	fs.StringVar(&o.keylog, "keylog", "", "append the secrets to this `file`, for Wireshark: with it anybody can decrypt the traffic")
	fs.StringVar(&o.exporter, "exporter", "", "print keying material exported under this `label` (RFC 5705)")
	fs.IntVar(&o.exporterLen, "exporter-len", 32, "`bytes` of it")
}

// config returns what both ends configure alike. done closes what it opened and
// is called when no association is left.
func (o *peerOptions) config(log io.Writer) (config *dtls.Config, done func(), err error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	config = &dtls.Config{
		NextProtos: o.alpn, CipherSuites: o.suites, CurvePreferences: o.groups,
		MinVersion: versions[o.version], MaxVersion: versions[o.version],
		MTU: o.mtu, MTUMode: o.mtuMode,
		DisableExtendedMasterSecret: o.ems == emsOff,
	}
	if o.ems == emsAllow {
		config.RequireExtendedMasterSecret = new(bool)
	}
	if o.mtuMode == dtls.MTUManual {
		config.OnLargePacket = func(e *dtls.LargePacketError) (int, bool) {
			fmt.Fprintf(log, "%v: SetMTU(%d)\n", e, e.Suggest())
			return e.Suggest(), e.Suggest() != 0
		}
	}
	if o.cert != "" {
		cert, err := loadCertificate(o.cert, o.key)
		if err != nil {
			return nil, nil, err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	done = func() {}
	if o.keylog != "" {
		f, err := os.OpenFile(o.keylog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("-keylog: %w", err)
		}
		config.KeyLogWriter = f
		done = func() { _ = f.Close() }
	}
	return config, done, nil
}

// check finds mistakes in the flags of both ends.
func (o *peerOptions) check() error {
	if err := checkRules(o.fs, peerRules); err != nil {
		return err
	}
	switch {
	case o.version != "" && versions[o.version] == 0:
		return badUsage("-version %s: there are 1.2 and 1.3", o.version)
	case o.exporterLen < 1:
		return badUsage("-exporter-len %d: bytes, 1 or more", o.exporterLen)
	case o.ems != "" && !o.mayUse("1.2"):
		return badUsage("-ems is about DTLS 1.2, and -version is %s: leave one of them out", o.version)
	}
	return o.checkSuites()
}

// oneAddress is the only argument of both commands.
func oneAddress(command string, args []string) (string, error) {
	if len(args) != 1 {
		return "", badUsage("%s takes one address, after all flags, not %q", command, args)
	}
	return args[0], nil
}

// each parses the comma separated parts of s and appends them to list.
func each[T any](s string, parse func(string) (T, error), list *[]T) error {
	for part := range strings.SplitSeq(s, ",") {
		v, err := parse(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		*list = append(*list, v)
	}
	return nil
}

// parseSuite knows a suite by its IANA name, with or without "TLS_", or by its
// number.
func parseSuite(s string) (uint16, error) {
	if id, err := strconv.ParseUint(s, 0, 16); err == nil {
		if suite.Lookup(uint16(id)) == nil {
			return 0, errNoSuite
		}
		return uint16(id), nil
	}
	for _, c := range append(suite.All13(), suite.All()...) {
		short := strings.TrimPrefix(c.Name, "TLS_")
		if strings.EqualFold(s, c.Name) || strings.EqualFold(s, short) {
			return c.ID, nil
		}
	}
	return 0, errNoSuite
}

var errNoSuite = errors.New("there is no such suite, flightpath help suites lists them")

// printSuites lists the suites of both versions, by version and in order of
// preference.
func printSuites(out io.Writer) {
	for _, v := range []struct {
		name   string
		suites []*suite.Suite
	}{{"DTLS 1.3", suite.All13()}, {"DTLS 1.2", suite.All()}} {
		fmt.Fprintln(out, v.name)
		for _, s := range v.suites {
			note := ""
			if s.OnRequest {
				note = "  only if -suite names it"
			}
			fmt.Fprintf(out, "  0x%04x  %s%s\n", s.ID, s.Name, note)
		}
	}
}

// groups by the names of NIST and RFC 8446, Section 4.2.7.
var groups = []struct {
	id    tls.CurveID
	names []string // the first one is shown
}{
	{tls.X25519MLKEM768, []string{"X25519MLKEM768"}},
	{tls.SecP256r1MLKEM768, []string{"SecP256r1MLKEM768"}},
	{tls.SecP384r1MLKEM1024, []string{"SecP384r1MLKEM1024"}},
	{tls.X25519, []string{"X25519"}},
	{tls.CurveP256, []string{"P-256", "P256", "secp256r1"}},
	{tls.CurveP384, []string{"P-384", "P384", "secp384r1"}},
	{tls.CurveP521, []string{"P-521", "P521", "secp521r1"}},
}

func parseGroup(s string) (tls.CurveID, error) {
	if id, err := strconv.ParseUint(s, 0, 16); err == nil {
		if kex.Supported(tls.CurveID(id)) {
			return tls.CurveID(id), nil
		}
		return 0, errNoGroup
	}
	for _, g := range groups {
		if slices.ContainsFunc(g.names, func(name string) bool { return strings.EqualFold(s, name) }) {
			return g.id, nil
		}
	}
	return 0, errNoGroup
}

var errNoGroup = errors.New("there is no such group")

func groupName(id tls.CurveID) string {
	for _, g := range groups {
		if g.id == id {
			return g.names[0]
		}
	}
	return id.String()
}

func parseMTUMode(s string) (dtls.MTUMode, error) {
	for m := dtls.MTUAuto; m <= dtls.MTUManual; m++ {
		if s == m.String() {
			return m, nil
		}
	}
	return 0, errors.New("want auto, kernel or manual")
}
