package dtlstest

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// echo answers every datagram with its own bytes, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return pc.LocalAddr().String()
}

func dialRelay(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second)) // only ever reached by a bug
	return c
}

func TestRelayServesManyClients(t *testing.T) {
	r, err := NewRelay(echo(t), RelayConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i := range 3 {
		c := dialRelay(t, r)
		want := fmt.Sprintf("client %d", i)
		if _, err := c.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("read %q, %v; want %q", buf[:n], err, want)
		}
	}
	for _, d := range []Direction{ToServer, ToClient} {
		want := PathStats{Seen: 3, Passed: 3, LargestSeen: 8, LargestPassed: 8}
		if got := r.Stats(d); got != want {
			t.Errorf("%v: %+v, want %+v", d, got, want)
		}
	}
}

func TestRelayTapSeesEveryVerdict(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	r, err := NewRelay(echo(t), RelayConfig{
		ToServer: Path{Drop: []int{0}, MTU: 10},
		Tap: func(d Direction, p []byte, v Verdict) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("%v %s: %v", d, p, v))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := dialRelay(t, r)
	for _, s := range []string{"lost", "much too large", "good"} {
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != "good" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := "to server lost: lost\nto server much too large: too large\nto server good: passed\nto client good: passed"
	if got := strings.Join(seen, "\n"); got != want {
		t.Errorf("tap saw:\n%s\nwant:\n%s", got, want)
	}
	if s := r.Stats(ToServer); s.Dropped() != 2 || s.LargestSeen != 14 || s.LargestPassed != 4 {
		t.Errorf("stats: %+v", s)
	}
}

func TestRelayPathCanChange(t *testing.T) {
	r, err := NewRelay(echo(t), RelayConfig{ToServer: Path{Loss: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := dialRelay(t, r)
	c.Write([]byte("into the void"))
	for r.Stats(ToServer).Lost == 0 {
		runtime.Gosched()
	}
	r.SetPath(ToServer, Path{})
	c.Write([]byte("back again"))
	buf := make([]byte, 100)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "back again" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestRelayCloseEndsItsGoroutines(t *testing.T) {
	target := echo(t)
	before := runtime.NumGoroutine()
	for range 10 {
		r, err := NewRelay(target, RelayConfig{ToServer: Path{Delay: time.Hour}, ToClient: Path{Reorder: 1, Hold: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		c := dialRelay(t, r)
		c.Write([]byte("x"))
		for r.Stats(ToServer).Seen == 0 {
			runtime.Gosched()
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	// Close waits for functions to return; the runtime needs a moment more to
	// take their goroutines off the list.
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}

func TestRelayNeedsATarget(t *testing.T) {
	_, err := NewRelay("nowhere", RelayConfig{})
	var addrErr *net.AddrError
	if !errors.As(err, &addrErr) {
		t.Errorf("err = %v, want an address error", err)
	}
}
