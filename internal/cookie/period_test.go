package cookie

import (
	"bytes"
	"testing"
	"time"
)

// Time walks through an hour, and each cookie is tried over two minutes.
func TestRotation(t *testing.T) {
	for name, secrets := range map[string][][]byte{"random": nil, "shared": {bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)}} {
		t.Run(name, func(t *testing.T) {
			j := newJar(t, secrets...)
			for minted := start; minted.Before(start.Add(time.Hour)); minted = minted.Add(7*time.Second + 13*time.Millisecond) {
				cookie := j.Mint(nil, minted, peer, version)
				// Both origins lie on a multiple of the period, so the cookie
				// lives until the end of the next one.
				end := minted.Truncate(periodLen).Add(2 * periodLen)
				for age := time.Duration(0); age < 2*time.Minute; age += 1979 * time.Millisecond {
					now := minted.Add(age)
					rtt, known, ok := j.Check(now, cookie, peer, version)
					if ok != now.Before(end) {
						t.Fatalf("minted at %v, after %v: ok %v", minted, age, ok)
					}
					if ok && (!known || rtt != age) {
						t.Fatalf("minted at %v, after %v: round-trip time %v, %v", minted, age, rtt, known)
					}
				}
			}
		})
	}
}

func TestLifetimeToTheMillisecond(t *testing.T) {
	j := newJar(t)
	for _, test := range []struct{ minted, lives time.Duration }{
		{0, 60 * time.Second},
		{29999 * time.Millisecond, 30001 * time.Millisecond},
		{30 * time.Second, 60 * time.Second},
	} {
		minted := start.Add(test.minted)
		cookie := j.Mint(nil, minted, peer)
		last := minted.Add(test.lives - time.Millisecond)
		if rtt, known, ok := j.Check(last, cookie, peer); !ok || !known || rtt != test.lives-time.Millisecond {
			t.Errorf("minted at %v: %v, %v, %v in its last millisecond", test.minted, rtt, known, ok)
		}
		if _, _, ok := j.Check(minted.Add(test.lives), cookie, peer); ok {
			t.Errorf("minted at %v: good after %v", test.minted, test.lives)
		}
	}
}

// The key byte comes around after 256 periods, the key does not; nor when the
// place it was kept in comes around with it.
func TestKeyByteComesAround(t *testing.T) {
	j := newJar(t)
	cookie := j.Mint(nil, start, peer)
	for _, periods := range []time.Duration{256, 256 * time.Duration(len(j.secrets[0].keys))} {
		later := start.Add(periods * periodLen)
		if again := j.Mint(nil, later, peer); again[keyAt] != cookie[keyAt] {
			t.Errorf("key bytes %d and %d after %d periods", cookie[keyAt], again[keyAt], periods)
		}
		if _, _, ok := j.Check(later, cookie, peer); ok {
			t.Errorf("good after %d periods", periods)
		}
	}
}

func TestClockSetBack(t *testing.T) {
	for name, secrets := range map[string][][]byte{"random": nil, "shared": {bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)}} {
		t.Run(name, func(t *testing.T) {
			j := newJar(t, secrets...)
			now := start.Add(10 * time.Minute)
			for _, test := range []struct {
				back   time.Duration
				wantOK bool
			}{
				{time.Millisecond, true},
				{29 * time.Second, true},
				{31 * time.Second, false}, // two periods: from minute 10:00 to 9:29
				{time.Hour, false},        // before the random Jar's origin
			} {
				cookie := j.Mint(nil, now, peer)
				before := now.Add(-test.back)
				if rtt, known, ok := j.Check(before, cookie, peer); ok != test.wantOK || known {
					t.Errorf("back by %v: %v, %v, %v", test.back, rtt, known, ok)
				}
				// Life goes on with the new time.
				cookie = j.Mint(nil, before, peer)
				after := before.Add(45 * time.Millisecond)
				if rtt, known, ok := j.Check(after, cookie, peer); !ok || !known || rtt != 45*time.Millisecond {
					t.Errorf("after back by %v: %v, %v, %v", test.back, rtt, known, ok)
				}
			}
		})
	}
}

func TestOddTimesDoNotPanic(t *testing.T) {
	j := newJar(t, bytes.Repeat([]byte{1}, 32))
	for _, now := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0), time.Unix(1<<40, 0), start.AddDate(400, 0, 0)} {
		cookie := j.Mint(nil, now, peer)
		if _, _, ok := j.Check(now, cookie, peer); !ok {
			t.Errorf("%v: refused", now)
		}
	}
}

// At most one key is derived for each period, whatever strangers send.
func TestKeysAreDerivedOnce(t *testing.T) {
	j := newJar(t)
	for _, now := range []time.Time{start, start.Add(-time.Minute), start.Add(5 * time.Minute)} {
		bad := make([]byte, Len)
		for b := range 256 {
			bad[keyAt] = byte(b)
			j.Check(now, bad, peer)
		}
		keys := j.secrets[0].keys
		for b := range 256 {
			bad[keyAt] = byte(b)
			j.Check(now, bad, peer)
		}
		if keys != j.secrets[0].keys {
			t.Errorf("%v: keys were derived again", now)
		}
	}
}
