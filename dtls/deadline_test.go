package dtls

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadlines walks through what a caller can do with them.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := pair(t, nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		read := func() (time.Duration, error) {
			began := time.Now()
			_, err := server.Read(make([]byte, 10))
			return time.Since(began), err
		}
		expect := func(what string, want time.Duration) {
			t.Helper()
			took, err := read()
			var timeout net.Error
			if !errors.Is(err, ErrAgain) || !errors.As(err, &timeout) || !timeout.Timeout() || IsFatal(err) || took != want {
				t.Errorf("%s: %v after %v, want ErrAgain after %v", what, err, took, want)
			}
		}

		server.SetReadDeadline(time.Now().Add(time.Second))
		expect("in a second", time.Second)
		expect("it stays past", 0)
		server.SetReadDeadline(time.Now().Add(-time.Hour))
		expect("in the past", 0)
		mustWrite(t, client, "data")
		expect("in the past, with data waiting", 0)
		server.SetReadDeadline(time.Time{})
		if _, err := read(); err != nil {
			t.Errorf("cleared: %v", err)
		}

		// Set while a Read is blocked, moved on, then back.
		go func() {
			time.Sleep(time.Second)
			server.SetReadDeadline(time.Now().Add(time.Hour))
			time.Sleep(time.Second)
			server.SetReadDeadline(time.Now().Add(time.Minute))
			time.Sleep(time.Second)
			server.SetReadDeadline(time.Now())
		}()
		server.SetReadDeadline(time.Time{})
		expect("set while blocked", 3*time.Second)

		// One that was cleared in time never rings.
		server.SetReadDeadline(time.Now().Add(time.Second))
		server.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(10 * time.Second)
			client.Write([]byte("data"))
		}()
		if took, err := read(); err != nil || took != 10*time.Second {
			t.Errorf("cleared in time: %v after %v", err, took)
		}

		// A read deadline does not concern Write, nor the other way round.
		server.SetReadDeadline(time.Now())
		mustWrite(t, server, "x")
		server.SetDeadline(time.Time{})
		server.SetWriteDeadline(time.Now())
		if _, err := server.Write([]byte("x")); !errors.Is(err, ErrAgain) {
			t.Errorf("Write: %v", err)
		}
		mustWrite(t, client, "data")
		if _, err := read(); err != nil {
			t.Errorf("Read with a write deadline: %v", err)
		}
		server.SetDeadline(time.Time{})
		mustWrite(t, server, "x")
	})
}

// TestDeadlineChangedRepeatedly leaves no timer behind and rings once.
func TestDeadlineChangedRepeatedly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _, _ := pair(t, nil)
		defer time.Sleep(time.Second)
		defer closeAll(client, server)
		for i := range 1000 {
			client.SetDeadline(time.Now().Add(time.Duration(i%7-3) * time.Millisecond))
			if i%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		client.SetReadDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, ErrAgain) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// TestDeadlineAllocatesOnce: applications set one before each Read.
func TestDeadlineAllocatesOnce(t *testing.T) {
	client, server, _, _ := pair(t, nil)
	defer closeAll(client, server)
	far := time.Now().Add(time.Hour)
	client.SetDeadline(far)
	if n := testing.AllocsPerRun(100, func() { client.SetDeadline(far) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
