package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/role"
)

// TestMain plays the victim's role if that is what this process was started for.
func TestMain(m *testing.M) {
	role.Play(roles)
	os.Exit(m.Run())
}

// TestSmall runs every flood in a small form and looks at what can be counted;
// `make flood` is for times and for the full form.
func TestSmall(t *testing.T) {
	scales := map[string]float64{"hellos": 0.003, "honest": 0.01, "bombs": 0.03, "stalled": 0.03, "endings": 0.006}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			figures, err := s.run(t.Context(), scales[s.name])
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range figures {
				if !f.holds && !f.full {
					t.Errorf("%s: %s, want %s", f.what, f.value, f.limit)
				}
			}
			t.Logf("\n%s", rows(s, figures))
		})
	}
}

func TestCrowd(t *testing.T) {
	var c crowd
	seen := map[string]bool{}
	for range 300 {
		list, err := c.sockets(10)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if a := s.LocalAddr().String(); seen[a] {
				t.Errorf("%s twice", a)
			} else {
				seen[a] = true
			}
		}
		closeAll(list)
	}
}

func TestHelloTemplate(t *testing.T) {
	h, err := newHelloTemplate()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[string(h.another())] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different hellos of 1000", len(seen))
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i))
	}
	for p, want := range map[int]time.Duration{50: 100, 99: 198, 100: 200} {
		if got := percentile(times, p); got != want {
			t.Errorf("%d of 100: %d, want %d", p, got, want)
		}
	}
	if got := percentile(times[:1], 99); got != 200 {
		t.Errorf("of one: %d", got)
	}
}

func TestFigures(t *testing.T) {
	if f := atMost("x", "%d", 3, 2); f.holds || f.limit != "≤ 2" {
		t.Errorf("%+v", f)
	}
	text := rows(scenario{what: "s"}, []figure{atMost("a", "%.1f", 1.5, 2), told("b", "%d", 7)})
	if want := "| s | a | 1.5 | ≤ 2.0 |\n|  | b | 7 |  |\n"; text != want {
		t.Errorf("%q", text)
	}
	if !strings.Contains(completed(nil, os.ErrClosed).value, os.ErrClosed.Error()) {
		t.Error("what failed is not said")
	}
}
