package main

import (
	"strings"
	"testing"
	"time"
)

// cellOf has tries that took so long; 0 is one that was not complete.
func cellOf(c cell, took ...time.Duration) *cell {
	for _, d := range took {
		c.tries = append(c.tries, try{complete: d > 0, took: d})
	}
	return &c
}

func TestMatrix(t *testing.T) {
	names, v4 := map[string]bool{}, 0
	for _, c := range matrix() {
		if names[c.String()] {
			t.Errorf("%v twice", c)
		}
		names[c.String()] = true
		if !c.v6 {
			v4++
		}
	}
	if v4*6 != 144 || len(names) != v4+4 {
		t.Errorf("%d cells, %d of IPv4", len(names), v4)
	}
}

func TestCheck(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name string
		cell *cell
		bad  bool
	}{
		{"fast", cellOf(cell{}, 90*ms, 90*ms, 5000*ms), false},
		{"slow", cellOf(cell{}, 90*ms, 110*ms, 110*ms), true},
		{"a black hole has longer", cellOf(cell{blackHole: true}, 690*ms), false},
		{"but not much", cellOf(cell{blackHole: true}, 710*ms), true},
		{"with loss only completion counts", cellOf(cell{loss: 10}, 9000*ms), false},
		{"one fails", cellOf(cell{loss: 10}, 90*ms, 0), true},
		{"one fails at 30 %", cellOf(cell{loss: 30}, 90*ms, 0), false},
		{"all fail", cellOf(cell{}, 0, 0), true},
	} {
		if err := check([]*cell{test.cell}); (err != nil) != test.bad {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestTable(t *testing.T) {
	a, b := cellOf(cell{link: 900}, time.Second, 3*time.Second), cellOf(cell{link: 900, loss: 30}, 0)
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
	for _, bad := range [][]string{{"-version", "1.1"}, {"-tries", "0"}, {"-parallel", "0"}, {"more"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
