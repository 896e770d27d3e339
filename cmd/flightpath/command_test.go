package main

import (
	"bytes"
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// runLine runs a command line that ends by itself.
func runLine(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), args, streams{strings.NewReader(""), &o, &e})
	return code, o.String(), e.String()
}

// Help that was asked for is on standard output. A mistake is one line on
// standard error, which says where help is.
func TestHelp(t *testing.T) {
	for line, want := range map[string]struct {
		code int
		out  []string
		err  string
	}{
		"help":               {0, []string{"usage: flightpath <command>", "connect ", "listen ", "demo ", "version ", "help "}, ""},
		"-h":                 {0, []string{"usage: flightpath <command>", "connect "}, ""},
		"help connect":       {0, []string{"usage: flightpath connect", "-insecure", "-timeout time"}, ""},
		"connect -h":         {0, []string{"usage: flightpath connect", "-insecure"}, ""},
		"connect -mtu 5 -h":  {0, []string{"usage: flightpath connect"}, ""},
		"help listen":        {0, []string{"usage: flightpath listen", "-stats"}, ""},
		"help demo":          {0, []string{"usage: flightpath demo", "-blackhole"}, ""},
		"help version":       {0, []string{"usage: flightpath version"}, ""},
		"help help":          {0, []string{"usage: flightpath help"}, ""},
		"help suites":        {0, []string{"0x1301  TLS_AES_128_GCM_SHA256\n", "0xc0a8  TLS_PSK_WITH_AES_128_CCM_8  only"}, ""},
		"help nothing":       {2, nil, `there is no command "nothing"`},
		"help connect 5":     {2, nil, "help takes one command"},
		"nothing":            {2, nil, `there is no command "nothing"; flightpath help lists them`},
		"-mtu 5 connect":     {2, nil, "flags follow the command"},
		"version 5":          {2, nil, "version takes no arguments"},
		"connect -mtu x":     {2, nil, "(flightpath help connect)"},
		"connect -mtx 5":     {2, nil, "not defined: -mtx (flightpath help connect)"},
		"connect -suite x a": {2, nil, "flightpath help suites"},
		"connect -suite 5 a": {2, nil, "flightpath help suites"},
		"connect -group x a": {2, nil, "there is no such group"},
		"connect -group 5 a": {2, nil, "there is no such group"},
		"connect -mtu":       {2, nil, "needs an argument: -mtu"},
		"connect":            {2, nil, "connect takes one address"},
		"connect a -mtu 5":   {2, nil, "after all flags"},
		"listen":             {2, nil, "listen takes one address"},
		"demo 5":             {2, nil, "demo takes flags only"},
		"demo -loss 95":      {2, nil, "percent, from 0 to 90"},
	} {
		code, out, errs := runLine(t, strings.Fields(line)...)
		if code != want.code {
			t.Errorf("%s: exit code %d, want %d", line, code, want.code)
		}
		for _, text := range want.out {
			if !strings.Contains(out, text) {
				t.Errorf("%s: %q is missing in\n%s", line, text, out)
			}
		}
		if want.out == nil && out != "" {
			t.Errorf("%s: on standard output:\n%s", line, out)
		}
		oneLine := strings.HasPrefix(errs, "flightpath: ") && strings.Count(errs, "\n") == 1
		if want.err != "" && (!oneLine || !strings.Contains(errs, want.err)) || want.err == "" && errs != "" {
			t.Errorf("%s: want one line with %q, got\n%s", line, want.err, errs)
		}
		for text := range strings.Lines(out) {
			if len(text) > helpWidth+1 {
				t.Errorf("%s: a line of %d columns: %s", line, len(text), text)
			}
		}
	}
}

// Without a command there is help, and it is an error.
func TestNoCommand(t *testing.T) {
	code, out, errs := runLine(t)
	if code != exitUsage || out != "" || !strings.HasPrefix(errs, "usage: flightpath <command>") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
}

func TestVersion(t *testing.T) {
	code, out, errs := runLine(t, "version")
	if code != 0 || errs != "" || !strings.HasPrefix(out, "flightpath ") || !strings.Contains(out, runtime.Version()) || !strings.Contains(out, "revision ") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	system := runtime.GOOS + "/" + runtime.GOARCH
	for name, tt := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"released": {
			debug.BuildInfo{
				GoVersion: "go1.26.8", Main: debug.Module{Version: "v1.2.3"},
				Deps: []*debug.Module{{Path: "example.com/other", Version: "v9.9.9"}, {Path: library, Version: "v1.2.0"}},
			},
			"flightpath v1.2.3\nlibrary    v1.2.0\ngo         go1.26.8 " + system + "\nrevision   unknown\n",
		},
		"from a repository": {
			debug.BuildInfo{
				GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"},
				Deps: []*debug.Module{{Path: library, Version: "v0.0.0", Replace: &debug.Module{Path: "../"}}},
				Settings: []debug.BuildSetting{
					{Key: "vcs.revision", Value: "0123abcd"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
				},
			},
			"flightpath (devel)\nlibrary    from ../\ngo         go1.26.8 " + system + "\nrevision   0123abcd, 2026-01-02T03:04:05Z, modified\n",
		},
		"nothing recorded": {
			debug.BuildInfo{GoVersion: "go1.26.8"},
			"flightpath unknown\ngo         go1.26.8 " + system + "\nrevision   unknown\n",
		},
	} {
		var b bytes.Buffer
		if printVersion(&b, &tt.info); b.String() != tt.want {
			t.Errorf("%s: got\n%swant\n%s", name, b.String(), tt.want)
		}
	}
}

// A command whose time is over before it begins says so and sends nothing.
func TestExecuteInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e bytes.Buffer
	if code := execute(ctx, []string{"connect", "-insecure", "127.0.0.1:9"}, streams{strings.NewReader(""), &o, &e}); code != exitFailed {
		t.Errorf("exit code %d\n%s", code, e.String())
	}
}
