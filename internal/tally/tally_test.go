package tally

import "testing"

type counters struct{ UnknownEpoch, BadMAC, CCS, AfterClose uint64 }

func TestTally(t *testing.T) {
	d := counters{UnknownEpoch: 1, BadMAC: 2}
	Add(&d, counters{BadMAC: 3, CCS: 4, AfterClose: 5})
	if want := (counters{1, 5, 4, 5}); d != want {
		t.Errorf("the sum is %+v", d)
	}
	if got, want := Minus(d, counters{BadMAC: 2, CCS: 4}), (counters{1, 3, 0, 5}); got != want || d.BadMAC != 5 {
		t.Errorf("the difference is %+v, of %+v", got, d)
	}
	if n := Sum(d); n != 15 {
		t.Errorf("in all %d", n)
	}
	if s := String(d); s != "unknown epoch 1, bad mac 5, ccs 4, after close 5" {
		t.Error(s)
	}
	if s := String(counters{}); s != "none" {
		t.Error(s)
	}
}
