package main

import (
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// cellOf has tries that took so long; 0 is one that was not complete.
func cellOf(c *cell, took ...time.Duration) *cell {
	for _, d := range took {
		c.tries = append(c.tries, try{complete: d > 0, took: d})
	}
	return c
}

func TestMatrix(t *testing.T) {
	for _, test := range []struct {
		version                 string
		v4, v6, tries, lossyAll int
	}{{"1.2", 24, 4, 24*6 + 4*6, 8 * 6}, {only13, 24, 6, 20*6 + 210, 210}} {
		o, err := parseOptions([]string{"-version", test.version})
		if err != nil {
			t.Fatal(err)
		}
		names, v4, v6, tries, lossy := map[string]bool{}, 0, 0, 0, 0
		for _, c := range o.matrix() {
			if names[c.String()] {
				t.Errorf("%v twice", c)
			}
			names[c.String()] = true
			if c.v6 {
				v6++
			} else {
				v4++
			}
			tries += c.want
			if c.loss > mustComplete {
				lossy += c.want
			}
		}
		if v4 != test.v4 || v6 != test.v6 || tries != test.tries || lossy != test.lossyAll {
			t.Errorf("%s: %d cells of IPv4, %d of IPv6, %d tries, %d with 30 %% loss", test.version, v4, v6, tries, lossy)
		}
	}
}

func TestCheck(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name string
		cell *cell
		bad  bool
	}{
		{"fast", cellOf(&cell{}, 90*ms, 90*ms, 5000*ms), false},
		{"slow", cellOf(&cell{}, 90*ms, 110*ms, 110*ms), true},
		{"a black hole has longer", cellOf(&cell{blackHole: true}, 690*ms), false},
		{"but not much", cellOf(&cell{blackHole: true}, 710*ms), true},
		{"with loss only completion counts", cellOf(&cell{loss: 10}, 9000*ms), false},
		{"one fails", cellOf(&cell{loss: 10}, 90*ms, 0), true},
		{"one fails at 30 %", cellOf(&cell{loss: 30}, 90*ms, 0), false},
		{"all fail", cellOf(&cell{}, 0, 0), true},
	} {
		if err := check([]*cell{test.cell}, "1.2"); (err != nil) != test.bad {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Of clients that offer DTLS 1.3 alone, 95 % of all tries with 30 % loss must be
// complete.
func TestCheckShare(t *testing.T) {
	cells := func(complete, failed int) (list []*cell) {
		for range 10 {
			list = append(list, &cell{loss: 30})
		}
		for i := range complete + failed {
			list[i%10].add(try{complete: i < complete, took: time.Second})
		}
		return append(list, cellOf(&cell{loss: 10}, time.Second))
	}
	for _, test := range []struct {
		version          string
		complete, failed int
		bad              bool
	}{{only13, 210, 0, false}, {only13, 200, 10, false}, {only13, 199, 11, true}, {"1.3", 0, 210, false}} {
		if err := check(cells(test.complete, test.failed), test.version); (err != nil) != test.bad {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// Clients alone have the lowest version of only13, so that servers stay as they are.
func TestOnly13(t *testing.T) {
	files, err := dtlstest.MustChain(dtlstest.P256, 0).Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		endpoint
		lowest, highest uint16
	}{
		{endpoint{version: only13, root: files.Root}, dtls.VersionDTLS13, 0},
		{endpoint{version: only13, chain: files.Chain, key: files.Key}, 0, 0},
		{endpoint{version: "1.3", root: files.Root}, 0, 0},
		{endpoint{version: "1.2", root: files.Root}, 0, dtls.VersionDTLS12},
	} {
		c, err := test.config()
		if err != nil {
			t.Fatal(err)
		}
		if c.MinVersion != test.lowest || c.MaxVersion != test.highest {
			t.Errorf("%+v: versions %x to %x", test.endpoint, c.MinVersion, c.MaxVersion)
		}
	}
}

func TestTable(t *testing.T) {
	a, b := cellOf(&cell{link: 900}, time.Second, 3*time.Second), cellOf(&cell{link: 900, loss: 30}, 0)
	a.tries[0].sent.FromClient, a.tries[1].sent.FromServer = 10, 21
	text := table([]*cell{a, b}, "1.2")
	want := "| IPv4, 900 | ICMP | 2 of 2, 2.00 (3.00), 15 |  | 0 of 1 |\n"
	if !strings.HasSuffix(text, want) {
		t.Errorf("got\n%swant\n%s", text, want)
	}
}

func TestParseOptions(t *testing.T) {
	if o, err := parseOptions([]string{"-version", "1.3", "-tries", "2"}); err != nil || o.version != "1.3" || o.tries != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-version", "1.1"}, {"-tries", "0"}, {"-lossy", "-1"}, {"-parallel", "0"}, {"more"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
