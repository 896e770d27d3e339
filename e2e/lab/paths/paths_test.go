package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// The trials themselves need root, and run in `make lab`; here is what their results
// are held against.

// twenty associations that are as good as can be, but for the first n, which change.
func twenty(n int, change func(*association)) []association {
	list := make([]association, 20)
	for i := range list {
		list[i] = association{Client: limit{startMTU, "config"}, Server: limit{startMTU, "config"}, Took: 10 * time.Millisecond, Datagrams: 9}
		if i < n {
			change(&list[i])
		}
	}
	return list
}

func TestScenes(t *testing.T) {
	names := map[string]bool{}
	for _, s := range scenes() {
		if names[s.name] || len(s.trials) == 0 {
			t.Errorf("scene %q twice, or without trials", s.name)
		}
		names[s.name] = true
		cells := map[string]bool{}
		for _, tr := range s.trials {
			if cells[tr.String()] {
				t.Errorf("%s: %v twice", s.name, tr)
			}
			cells[tr.String()] = true
			if tr.n < 10 || !slices.Contains(versions, tr.version) || tr.shares[0].name != "complete" {
				t.Errorf("%s: %v: %d associations of %q, first %q", s.name, tr, tr.n, tr.version, tr.shares[0].name)
			}
			for _, end := range []string{"client", "server"} {
				var e endpoint
				if err := e.parse(tr.arguments(end, dtlstest.Files{Chain: "c"}, true)[1:]); err != nil {
					t.Errorf("%s: %v: the %s's arguments: %v", s.name, tr, end, err)
				}
				if thinks := tr.think.end == end; thinks != (e.think.time > 0) || e.version != tr.version || e.chain != "c" {
					t.Errorf("%s: %v: the %s has %+v", s.name, tr, end, e)
				}
				if end == "client" && (e.n != tr.n || e.every != tr.every || e.settle != tr.settle || e.data != tr.data) {
					t.Errorf("%s: %v: the client has %+v", s.name, tr, e)
				}
			}
		}
	}
}

// Each scene accepts what is right, and refuses what its text excludes.
func TestRequirements(t *testing.T) {
	fails := func(a *association) { *a = association{Error: "timeout"} }
	server := func(mtu int) func(*association) {
		return func(a *association) { a.Server = limit{mtu, "silence"} }
	}
	client := func(mtu int) func(*association) {
		return func(a *association) { a.Client = limit{mtu, "silence"} }
	}
	fits := func(mtu int) func(*association) {
		return func(a *association) { a.Client, a.Server = limit{mtu, "silence"}, limit{mtu, "silence"} }
	}
	datagrams := func(n int) func(*association) { return func(a *association) { a.Datagrams = n } }
	took := func(d time.Duration) func(*association) { return func(a *association) { a.Took = d } }
	calls := func(n int) func(*association) {
		return func(a *association) { a.Client, a.Calls = limit{548, "silence"}, n }
	}
	for _, test := range []struct {
		scene, trial string
		done         []association
		bad          string
	}{
		{"thinking", "DTLS 1.2 client, about the certificate, flights of one datagram, 0.7 s", twenty(20, datagrams(12)), ""},
		{"thinking", "DTLS 1.2 client, about the certificate, flights of one datagram, 0.7 s", twenty(1, datagrams(13)), "13 datagrams"},
		{"thinking", "DTLS 1.2 client, about the certificate, flights of one datagram, 0.7 s", twenty(1, server(548)), "servers"},
		{"thinking", "DTLS 1.2 client, about the certificate, flights of one datagram, 0.7 s", twenty(1, fails), "complete"},
		{"thinking", "DTLS 1.2 client, about the certificate, chain of 6 KB, 5 s", twenty(20, datagrams(50)), ""},
		{"thinking", "DTLS 1.3 server, before its flight, chain of 6 KB, 5 s", twenty(1, client(548)), "clients"},
		{"thinking", "DTLS 1.3 server, about the client's certificate, chain of 6 KB, 5 s", twenty(1, client(228)), "clients"},
		{"policed", "DTLS 1.2, 4 packets per 20 ms", twenty(20, took(time.Second)), ""},
		{"policed", "DTLS 1.2, 4 packets per 20 ms", twenty(9, took(time.Minute)), ""},
		{"policed", "DTLS 1.2, 4 packets per 20 ms", twenty(11, took(1001*time.Millisecond)), "median"},
		{"policed", "DTLS 1.3, 10 packets per 20 ms", twenty(1, fails), "complete"},
		{"policed", "DTLS 1.3, 10 packets per 20 ms", twenty(1, datagrams(61)), "61 datagrams"},
		{"loss", "DTLS 1.2, a leaf alone, 10 % lost", twenty(1, server(548)), ""},
		{"loss", "DTLS 1.2, a leaf alone, 10 % lost", twenty(2, server(548)), "servers"},
		{"loss", "DTLS 1.3, chain of 6 KB, 20 % lost", twenty(2, client(548)), "clients"},
		{"loss", "DTLS 1.3, chain of 6 KB, 20 % lost", twenty(2, fails), "servers"},
		{"loss", "DTLS 1.3, chain of 6 KB, 30 % lost", twenty(20, server(228)), ""},
		{"holes", "DTLS 1.2, hole of 900 bytes", twenty(20, fits(872)), ""},
		{"holes", "DTLS 1.2, hole of 576 bytes", twenty(20, fits(549)), "fit"},
		{"holes", "DTLS 1.3, hole of 576 bytes", twenty(20, fits(548)), ""},
		{"holes", "DTLS 1.3, hole of 576 bytes", twenty(0, nil), "fit"},
		{"reported", "DTLS 1.3, a leaf alone", twenty(20, calls(10)), ""},
		{"reported", "DTLS 1.3, a leaf alone", append(twenty(20, calls(0)), twenty(1, calls(11))[0]), "right"},
		{"reported", "DTLS 1.2, chain of 6 KB", twenty(19, calls(6)), "right"},
		{"reported", "DTLS 1.2, chain of 6 KB", nil, "no association"},
	} {
		tr := find(t, test.scene, test.trial)
		tr.done = test.done
		err := check([]*trial{tr})
		if test.bad == "" && err != nil || test.bad != "" && (err == nil || !strings.Contains(err.Error(), test.bad)) {
			t.Errorf("%s: %v: %v, want %q", test.scene, tr, err, test.bad)
		}
	}
}

func find(t *testing.T, name, row string) *trial {
	t.Helper()
	for _, s := range scenes() {
		for _, tr := range s.trials {
			if s.name == name && tr.String() == row {
				return tr
			}
		}
	}
	t.Fatalf("no trial %q in scene %q", row, name)
	return nil
}

func TestTable(t *testing.T) {
	a, b := find(t, "policed", "DTLS 1.2, 4 packets per 20 ms"), find(t, "policed", "DTLS 1.3, 10 packets per 20 ms")
	a.done = twenty(2, func(a *association) { a.Took, a.Datagrams = 500*time.Millisecond, 30 })
	b.done = twenty(20, func(a *association) { *a = association{Error: "timeout"} })
	s := &scene{heading: "chain", trials: []*trial{a, b}}
	const want = `| chain | 4 packets per 20 ms | 10 packets per 20 ms |
|---|---|---|
| DTLS 1.2 | 20 of 20, 0.01 (0.50) s, 9 (30) datagrams |  |
| DTLS 1.3 |  | 0 of 20 |
`
	if got := s.table(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	c := find(t, "loss", "DTLS 1.2, a leaf alone, 10 % lost")
	if got := c.summary(); got != "–" {
		t.Errorf("of nothing: %q", got)
	}
	c.done = twenty(1, func(a *association) { a.Server = limit{548, "silence"} })
	if got, want := c.summary(), "20 of 20, 95.0 % servers at 1232, all clients at 1232, 0.01 (0.01) s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := c.limits(), "  20 × client {1232 config}\n  19 × server {1232 config}\n  1 × server {548 silence}\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	r := &runner{options: options{trace: true}}
	c.done[0].Port = 4711
	log := "remote=10.77.1.2:4711 one\nremote=10.77.1.2:47112 two\n"
	if got := r.failures(c, log); !strings.Contains(got, "not: servers at 1232") || !strings.Contains(got, "one") || strings.Contains(got, "two") {
		t.Errorf("%q", got)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		list []int
		want int
	}{{[]int{3}, 3}, {[]int{9, 1}, 5}, {[]int{9, 1, 2}, 2}, {[]int{4, 1, 2, 8}, 3}} {
		if got := median(test.list); got != test.want {
			t.Errorf("%v: %d, want %d", test.list, got, test.want)
		}
	}
}

// The datagrams of a handshake are those of its flow without data.
func TestCount(t *testing.T) {
	tr := &trial{done: []association{{Port: 1, Written: 2, Answers: 2}, {Error: "timeout"}}}
	if err := tr.count(map[int]lab.Counts{1: {FromClient: 7, FromServer: 5}, 2: {FromClient: 99}}); err != nil {
		t.Fatal(err)
	}
	if tr.done[0].Datagrams != 8 || tr.done[1].Datagrams != 0 {
		t.Errorf("%+v", tr.done)
	}
	if tr.count(nil) == nil {
		t.Error("a flow is missing, and nothing is said")
	}
}

func TestParseOptions(t *testing.T) {
	if o, err := parseOptions([]string{"-scene", "loss", "-only", "1.3"}); err != nil || o.scene != "loss" || o.only != "1.3" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-scene", "rain"}, {"-parallel", "0"}, {"more"}, {"-only", "1.3", "-write", "x"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
