package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// usage is how the flags of a command go together.
type usage struct {
	address string
	// Flags and their values, by a name for the table.
	flags map[string][]string
	// needs: by itself a flag is a mistake; one of these makes it good.
	needs map[string][]string
	// clashes: pairs that are a mistake though each of them is good.
	clashes [][2]string
}

// usages covers all flags of all commands; TestFlagsTogether tries each pair.
func usages(t *testing.T) map[string]usage {
	f := files(t, dtlstest.P256)
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "psk")
	if err := os.WriteFile(keyFile, []byte(demoPSK+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLIGHTPATH_TEST_PSK", demoPSK)

	psk := []string{"psk", "psk-file", "psk-env"}
	both := func() usage {
		return usage{
			flags: map[string][]string{
				"cert": {"-cert", f.Chain, "-key", f.Key}, "key": {"-key", f.Key},
				"psk": {"-psk", demoPSK}, "psk-file": {"-psk-file", keyFile}, "psk-env": {"-psk-env", "FLIGHTPATH_TEST_PSK"},
				"identity": {"-identity", "door 7"},
				"1.2":      {"-version", "1.2"}, "1.3": {"-version", "1.3"},
				"alpn":       {"-alpn", "coap"},
				"suite 1.3":  {"-suite", "TLS_AES_128_GCM_SHA256"},
				"suite cert": {"-suite", "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}, "suite psk": {"-suite", "PSK_WITH_AES_128_GCM_SHA256"},
				"suite sha384": {"-suite", "TLS_AES_256_GCM_SHA384"},
				"group":        {"-group", "P-256"}, "group hybrid": {"-group", "X25519MLKEM768"},
				"ems require": {"-ems", "require"}, "ems allow": {"-ems", "allow"}, "ems off": {"-ems", "off"},
				"mtu": {"-mtu", "600"}, "mtu-mode": {"-mtu-mode", "manual"},
				"trace": {"-trace"}, "keylog": {"-keylog", filepath.Join(dir, "keys")},
				"exporter": {"-exporter", "EXPORTER-x"}, "exporter-len": {"-exporter-len", "5"},
			},
			needs: map[string][]string{
				"identity": psk, "suite psk": psk, "key": {"cert"}, "exporter-len": {"exporter"},
			},
			clashes: [][2]string{
				{"psk", "psk-file"},
				{"psk", "psk-env"},
				{"psk-file", "psk-env"},
				{"1.2", "suite 1.3"},
				{"1.2", "suite sha384"},
				{"1.3", "suite cert"},
				{"1.3", "suite psk"},
				{"1.2", "group hybrid"},
				{"1.3", "ems require"},
				{"1.3", "ems allow"},
				{"1.3", "ems off"},
				// Keys are for SHA-256: RFC 8446, Section 4.2.11.
				{"psk", "suite sha384"},
				{"psk-file", "suite sha384"},
				{"psk-env", "suite sha384"},
			},
		}
	}
	connect, listen := both(), both()
	connect.address, listen.address = "127.0.0.1:9", "127.0.0.1:0"
	for name, args := range map[string][]string{
		"ca": {"-ca", f.Root}, "servername": {"-servername", "localhost"}, "insecure": {"-insecure"},
		"chain": {"-chain", filepath.Join(dir, "chain")}, "session": {"-session", filepath.Join(dir, "session")}, "reconnect": {"-reconnect"},
		"timeout": {"-timeout", "5s"}, "wait": {"-wait", "5s"},
	} {
		connect.flags[name] = args
	}
	connect.clashes = append(connect.clashes, [][2]string{{"ca", "insecure"}, {"1.2", "session"}, {"1.2", "reconnect"}}...)
	for _, key := range psk {
		for _, flag := range []string{"ca", "insecure", "cert", "chain"} {
			connect.clashes = append(connect.clashes, [2]string{key, flag})
		}
		// A server that only has a key.
		for _, flag := range []string{"client-ca", "require-client-cert", "suite cert"} {
			listen.clashes = append(listen.clashes, [2]string{key, flag})
		}
	}
	for name, args := range map[string][]string{
		"require-client-cert": {"-require-client-cert"}, "client-ca": {"-client-ca", f.Root},
		"echo": {"-echo"}, "no echo": {"-echo=false"}, "print": {"-print"}, "once": {"-once"}, "idle": {"-idle", "5s"}, "stats": {"-stats"},
	} {
		listen.flags[name] = args
	}
	return map[string]usage{
		"connect": connect,
		"listen":  listen,
		"demo": {
			flags: map[string][]string{
				"mtu": {"-mtu", "600"}, "blackhole": {"-blackhole"}, "hint": {"-hint"}, "loss": {"-loss", "1"}, "reorder": {"-reorder", "2"},
				"seed": {"-seed", "5"}, "1.2": {"-version", "1.2"}, "1.3": {"-version", "1.3"}, "pq": {"-pq"}, "v": {"-v"}, "timeout": {"-timeout", "5s"},
			},
			needs:   map[string][]string{"seed": {"loss", "reorder"}},
			clashes: [][2]string{{"hint", "blackhole"}, {"1.2", "pq"}},
		},
		"version": {}, "help": {},
	}
}

// mistaken reports whether a pair of flags is a mistake; a may be b.
func (u usage) mistaken(a, b string) bool {
	unmet := func(flag, other string) bool {
		needs, ok := u.needs[flag]
		return ok && !slices.Contains(needs, other)
	}
	return unmet(a, b) || unmet(b, a) || slices.Contains(u.clashes, [2]string{a, b}) || slices.Contains(u.clashes, [2]string{b, a})
}

// Each pair of flags of each command is either good or a mistake, and then the
// error names what to change. No flag is ignored.
func TestFlagsTogether(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel() // before anything is sent
	run := func(args ...string) (code int, errs string) {
		var o, e bytes.Buffer
		code = execute(ended, args, streams{strings.NewReader(""), &o, &e})
		return code, e.String()
	}
	all := usages(t)
	for command, u := range all {
		for a, first := range u.flags {
			for b, second := range u.flags {
				if a > b || a != b && first[0] == second[0] {
					continue // the same pair, or one flag twice
				}
				args := append([]string{command}, first...)
				if a != b {
					args = append(args, second...)
				}
				if u.address != "" {
					args = append(args, u.address)
				}
				code, errs := run(args...)
				line := strings.Join(args, " ")
				if want := u.mistaken(a, b); (code == exitUsage) != want {
					t.Errorf("%s: exit code %d, a mistake: %v\n%s", line, code, want, errs)
				}
				if code == exitUsage {
					checkMistake(t, line, errs)
					if !strings.Contains(errs, first[0]) && !strings.Contains(errs, second[0]) {
						t.Errorf("%s: none of the flags is in the error\n%s", line, errs)
					}
				}
			}
		}
	}
	for _, c := range newRoot(streams{}).Subcommands {
		checkCovered(t, c, all)
	}
}

// checkMistake wants one line that speaks of flags, not of Go.
func checkMistake(t *testing.T, line, errs string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "flightpath: ") || !strings.Contains(last, " -") {
		t.Errorf("%s: the error is %q", line, last)
	}
	for _, word := range []string{"Config", "Version", "CipherSuites", "Certificates", "PSK ", "dtls:"} {
		if strings.Contains(last, word) {
			t.Errorf("%s: %q is in an error for users: %s", line, word, last)
		}
	}
}

// checkCovered wants each flag of a command to be in the table.
func checkCovered(t *testing.T, c *ffcli.Command, all map[string]usage) {
	t.Helper()
	u, ok := all[c.Name]
	if !ok {
		t.Errorf("no usage of %s", c.Name)
	}
	c.FlagSet.VisitAll(func(f *flag.Flag) {
		for _, args := range u.flags {
			if name, _, _ := strings.Cut(args[0], "="); name == "-"+f.Name {
				return
			}
		}
		t.Errorf("%s: -%s is not in the table", c.Name, f.Name)
	})
}

// Some mistakes and remedies take three flags.
func TestThreeFlags(t *testing.T) {
	f := files(t, dtlstest.RSA2048)
	const ecdhe, plain = "-suite ECDHE_PSK_WITH_AES_128_GCM_SHA256 ", "-suite PSK_WITH_AES_128_GCM_SHA256 "
	const ecdsa, rsa = "-suite ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 ", "-suite ECDHE_RSA_WITH_AES_128_GCM_SHA256 "
	const psk = "-psk " + demoPSK + " "
	cert := "-cert " + f.Chain + " -key " + f.Key + " "
	for line, want := range map[string]string{ // "": it is good
		"connect " + psk + "-insecure " + ecdhe + rsa:                      "",
		"connect " + psk + "-insecure -version 1.3 -suite 0x1301":          "-insecure is about certificates",
		"connect " + psk + "-version 1.2 " + rsa:                           "-psk has no effect",
		"connect " + psk + "-version 1.2 " + rsa + plain:                   "",
		"connect " + psk + "-version 1.2 -group P-256 " + plain:            "-group has no effect",
		"connect " + psk + "-version 1.2 -group P-256 " + ecdhe:            "",
		"connect " + psk + "-version 1.2 -suite PSK_WITH_AES_256_CCM":      "",
		"connect -insecure -version 1.2 -ems off -exporter x":              "-exporter needs the extended master secret",
		"connect -insecure -version 1.2 -ems allow -exporter x":            "",
		"connect -insecure -exporter x -exporter-len 0":                    "-exporter-len 0",
		"connect -insecure -alpn ,":                                        "-alpn",
		"connect -insecure -mtu 100000":                                    "-mtu 100000",
		"connect -psk 0g":                                                  "-psk: the key is not in hex",
		"connect -psk-env FLIGHTPATH_TEST_NONE":                            "-psk-env FLIGHTPATH_TEST_NONE: there is no such variable",
		"listen " + cert + ecdsa + "-version 1.2":                          "-cert has no key that -suite can use",
		"listen " + cert + rsa + "-version 1.2":                            "",
		"listen " + cert + psk + "-require-client-cert":                    "",
		"listen " + psk + "-suite TLS_AES_256_GCM_SHA384 -identity door":   "SHA-256",
		"listen " + psk + "-version 1.2 " + ecdhe + "-identity door -echo": "",
		"listen -require-client-cert -client-ca " + f.Root:                 "",
	} {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var o, e bytes.Buffer
		code := execute(ended, append(strings.Fields(line), "127.0.0.1:0"), streams{strings.NewReader(""), &o, &e})
		if (code == exitUsage) != (want != "") || !strings.Contains(e.String(), want) {
			t.Errorf("%s: exit code %d, want %q, got\n%s", line, code, want, e.String())
		}
		if want != "" {
			checkMistake(t, line, e.String())
		}
	}
}
