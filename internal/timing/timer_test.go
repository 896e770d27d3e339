package timing

import (
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func TestBackOff(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  time.Duration
		want string
	}{
		{"doubles, and stays at the maximum", time.Minute, "1s 2s 4s 8s 16s 32s 1m0s 1m0s 1m0s"},
		{"does not overshoot a maximum between two steps", 5 * time.Second, "1s 2s 4s 5s 5s 5s 5s 5s 5s"},
		{"does not wrap", 1<<63 - 1, "1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Timer{Policy: &Policy{Max: tt.max}, Timeout: time.Second}
			var got []string
			for range 9 {
				got = append(got, o.Timeout.String())
				o.backOff()
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
			for range 100 {
				o.backOff()
			}
			if o.Timeout != tt.max {
				t.Errorf("%v in the end", o.Timeout)
			}
		})
	}
}

// TestAlive: a fragment, or progress, at a timer that was doubled to 8 s, 3 s
// before it expires: there is a new series of tries, and the value stays.
func TestAlive(t *testing.T) {
	for _, tt := range []struct {
		name     string
		since    time.Duration // the last transmission
		running  bool
		progress bool
		deadline time.Duration // from now
	}{
		{"a fragment puts the timer off", 2 * time.Second, true, false, 8 * time.Second},
		{"but not for ever", 13 * time.Second, true, false, 3 * time.Second},
		{"progress puts it off", 13 * time.Second, true, true, 8 * time.Second},
		{"a timer that is off stays off", 0, false, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Timer{Policy: &Policy{Initial: time.Second}, RTO: time.Second, Timeout: 8 * time.Second, Tries: 3, SentAt: start.Add(-tt.since)}
			if tt.running {
				o.Deadline = start.Add(3 * time.Second)
			}
			if tt.progress {
				o.Progress(start, false)
			} else {
				o.FragmentReceived(start, false)
			}
			if o.Tries != 0 || o.Timeout != 8*time.Second {
				t.Errorf("%d tries counted, timer %v", o.Tries, o.Timeout)
			}
			if tt.running && o.Deadline.Sub(start) != tt.deadline || !tt.running && !o.Deadline.IsZero() {
				t.Errorf("fires after %v", o.Deadline.Sub(start))
			}
		})
	}
}
