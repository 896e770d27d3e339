package door

import (
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// TestHelloJobs: how many hellos wait, and whose turn it is.
func TestHelloJobs(t *testing.T) {
	var j Jobs[int]
	job := func(i, port int, at time.Time) *Job[int] {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), uint16(port))
		return &Job[int]{Question: &Question{At: at, From: from, body: []byte{1}}, Prefix: netip.PrefixFrom(from.Addr(), 24).Masked()}
	}
	for port := range maxJobs/share + 1 {
		if added, now := j.add(job(1, 1+port, start)); added == now || now != (port == maxJobs/share) {
			t.Fatalf("hello %d of a prefix: added %v, at once %v", port, added, now)
		}
	}
	if added, now := j.add(job(1, 1, start)); added || now {
		t.Error("a repeated hello is taken again, or answered")
	}
	other := job(1, 2, start)
	other.body = []byte{2}
	if added, now := j.add(other); added || !now {
		t.Error("another hello of an address is taken, or not answered")
	}
	if added, now := j.add(job(1, 3, start.Add(patience))); added || !now {
		t.Error("a hello that was repeated while it waited is not answered")
	}
	_, _ = j.add(job(2, 1, start))
	one, two, three := j.next(), j.next(), j.next()
	if one.From.Port() != 1 || two.From.Port() != 2 || three.Prefix == one.Prefix || j.next() != nil {
		t.Error("a prefix has more than its share of the goroutines, or the order is wrong")
	}
	j.remove(one)
	if four := j.next(); four == nil || four.From.Port() != 4 {
		t.Error("the next one of the prefix does not follow, or one that was answered")
	}
	for _, job := range j.all {
		j.remove(job)
	}
	if len(j.all)+len(j.waiting)+len(j.prefixes) != 0 {
		t.Errorf("left behind: %+v", j.all)
	}
}
