package alarms

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sleep lets alarms ring meanwhile.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestAlarms serves several owners with one timer.
func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string]
		var rang []string
		began := time.Now()
		g.Init(func(owner string, now time.Time) {
			rang = append(rang, owner+" after "+now.Sub(began).String())
		})
		early, late := Of("early"), Of("late")
		now := time.Now()
		g.Set(&late, now.Add(2*time.Second))
		g.Set(&early, now.Add(time.Second))
		g.Set(&early, now.Add(time.Second)) // nothing changes
		if left, next := g.Len(), g.Next(); left != 2 || !next.Equal(now.Add(time.Second)) {
			t.Errorf("%d are set, next at %v", left, next.Sub(now))
		}
		sleep(1500 * time.Millisecond)
		if left, next := g.Len(), g.Next(); left != 1 || !next.Equal(now.Add(2*time.Second)) {
			t.Errorf("%d left, next at %v", left, next.Sub(now))
		}
		g.Set(&late, time.Time{})
		if left, next := g.Len(), g.Next(); left != 0 || !next.IsZero() {
			t.Errorf("%d left, next at %v", left, next)
		}
		sleep(time.Minute)
		if !slices.Equal(rang, []string{"early after 1s"}) {
			t.Errorf("rang: %q", rang)
		}
		g.Stop()
		g.Set(&early, time.Now().Add(time.Second)) // too late
		if !g.At(&early).IsZero() {
			t.Error("an alarm was set after Stop")
		}
	})
}

// TestAlarmSetWhileItRings: the function that is called may set the alarm again,
// also to a time in the past.
func TestAlarmSetWhileItRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		a, rang := Of(0), 0
		g.Init(func(_ int, now time.Time) {
			switch rang++; rang {
			case 1:
				g.Set(&a, now.Add(-time.Hour))
			case 2:
				g.Set(&a, now.Add(time.Second))
			}
		})
		g.Set(&a, time.Now().Add(time.Second))
		sleep(1500 * time.Millisecond)
		if rang != 2 || g.Len() != 1 {
			t.Errorf("it rang %d times, %d are set", rang, g.Len())
		}
		sleep(time.Second)
		if rang != 3 || g.Len() != 0 {
			t.Errorf("it rang %d times, %d are set", rang, g.Len())
		}
		g.Stop()
	})
}

// TestStopKeepsAlarmsSilent: what was set before Stop does not ring after it.
func TestStopKeepsAlarmsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		g.Init(func(int, time.Time) { t.Error("it rang") })
		a := Of(0)
		g.Set(&a, time.Now().Add(time.Second))
		g.Stop()
		sleep(time.Minute)
	})
}

// TestSetDoesNotAllocate: alarms move with the traffic of their owners.
func TestSetDoesNotAllocate(t *testing.T) {
	var g Group[int]
	g.Init(func(int, time.Time) {})
	a, b := Of(0), Of(1)
	far := time.Now().Add(time.Hour)
	g.Set(&a, far)
	n := testing.AllocsPerRun(100, func() {
		far = far.Add(time.Second)
		g.Set(&a, far)
		g.Set(&b, far)
		g.Set(&b, time.Time{})
	})
	if n > 1 { // the heap grows for the second
		t.Errorf("%v allocations", n)
	}
	g.Stop()
}

// TestStopWhileAlarmsRing: of several alarms that are due together, none rings after
// Stop.
func TestStopWhileAlarmsRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		rang := 0
		g.Init(func(int, time.Time) { rang++; g.Stop() })
		a, b := Of(0), Of(1)
		at := time.Now().Add(time.Second)
		g.Set(&a, at)
		g.Set(&b, at)
		sleep(time.Minute)
		if rang != 1 {
			t.Errorf("%d rang", rang)
		}
	})
}
