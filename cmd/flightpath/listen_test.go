package main

import (
	"fmt"
	"strings"
	"testing"
)

// Clients come and go beside each other; Ctrl-C says goodbye to those who stay.
func TestListenServesManyUntilInterrupted(t *testing.T) {
	l, address := startListen(t, "-stats")
	var clients [4]*program
	for i := range clients {
		clients[i] = start(t, "connect", "-insecure", address)
	}
	for i, c := range clients {
		c.say(fmt.Sprintf("client %d", i))
	}
	for i, c := range clients {
		c.out.after(t, fmt.Sprintf("client %d", i))
	}
	clients[0].exit(0)
	l.interrupt()
	l.exit(0)
	for _, c := range clients[1:] {
		c.err.after(t, "the peer has closed")
		c.exit(0)
	}
	contains(t, &l.err, "4 complete, 0 failed", "0 established now")
}

func TestListenPrints(t *testing.T) {
	for name, echoed := range map[string]bool{"-print": false, "-echo -print": true} {
		t.Run(name, func(t *testing.T) {
			args := []string{"-print", "-once"}
			if echoed {
				args = append(args, "-echo")
			}
			l, address := startListen(t, args...)
			c := start(t, "connect", "-insecure", address)
			c.say("dear server")
			if rest := l.out.after(t, "dear "); rest != "server" {
				t.Errorf("printed %q", rest)
			}
			if echoed {
				c.out.after(t, "dear server")
			}
			c.exit(0)
			l.exit(0)
			if !echoed && c.out.String() != "" {
				t.Errorf("echoed %q", c.out.String())
			}
		})
	}
}

// Ctrl-C ends a handshake that nobody answers, and an association politely.
func TestConnectIsInterrupted(t *testing.T) {
	l, address := startListen(t, "-once")
	c := start(t, "connect", "-insecure", address)
	c.err.after(t, "connected to ")
	c.interrupt()
	<-c.ended
	c.exit(0)
	l.exit(0)
	contains(t, &l.err, ": closed")
}

// -echo=false takes the default back: a sink.
func TestListenIsASink(t *testing.T) {
	l, address := startListen(t, "-echo=false", "-once")
	c := start(t, "connect", "-insecure", address)
	c.say("into the dark")
	c.exit(0)
	l.exit(0)
	if c.out.String() != "" || l.out.String() != "" {
		t.Errorf("echoed %q, printed %q", c.out.String(), l.out.String())
	}
}

// With a pre-shared key sessions are kept and resumed too.
func TestSessionFileWithPSK(t *testing.T) {
	file := t.TempDir() + "/session"
	_, address := startListen(t, "-psk", demoPSK)
	for _, resumed := range []bool{false, true} {
		c := start(t, "connect", "-psk", demoPSK, "-session", file, address)
		c.say("hello")
		c.out.after(t, "hello")
		c.exit(0)
		if got := strings.Contains(c.err.String(), "resumed"); got != resumed {
			t.Errorf("resumed: %v, want %v", got, resumed)
		}
	}
}
