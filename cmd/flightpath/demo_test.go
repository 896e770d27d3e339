package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// runDemo runs the demo in this process and returns what it printed.
func runDemo(t *testing.T, o options) (*report, string) {
	t.Helper()
	o.timeout = 25 * time.Second
	if o.version == "" {
		o.version = "1.2"
	}
	if o.seed == 0 {
		o.seed = 1
	}
	if o.timers == (dtls.RetransmitPolicy{}) {
		o.timers = defaultTimers
	}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.timeout)
	defer cancel()
	var out bytes.Buffer
	r, err := run(ctx, o, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !r.exportersEqual {
		t.Error("the exporters differ")
	}
	for _, e := range r.log.recorded() {
		if e.fate == arrived && len(e.datagram) > o.mtu {
			t.Errorf("a datagram of %d bytes crossed a path of %d", len(e.datagram), o.mtu)
		}
	}
	r.print(&out)
	return r, out.String()
}

// The callers decide about the MTU: each refusal surfaces, and the flight goes
// on where it stopped, at once.
func TestRefusalsSurfaceAndTheFlightGoesOn(t *testing.T) {
	// With timers as long as this, none can have fired by accident.
	r, out := runDemo(t, options{mtu: 300, timers: dtls.RetransmitPolicy{Initial: 30 * time.Second, NoRTT: true}})
	tally := tallies(r.log.recorded())
	for s := client; s <= server; s++ {
		sent := &r.log.sent[s]
		if tally[s].fates[refused] == 0 {
			t.Errorf("%v: nothing was refused", s)
		}
		if n := sent.retransmissions(s); n != 0 {
			t.Errorf("%v: %d flights sent again: a timer was spent", s, n)
		}
		if sent.repeated != 0 {
			t.Errorf("%v: %d handshake bytes crossed twice", s, sent.repeated)
		}
		for key, a := range sent.messages {
			if !a.bytes.Covers(a.total) {
				t.Errorf("%v: %v crossed with gaps", s, key)
			}
		}
	}
	if n := r.log.sent[server].fragments(message.TypeCertificate); n < 20 {
		t.Errorf("%d certificate fragments of the server, want 20 or more", n)
	}
	if n := strings.Count(out, "Handshake again"); n != tally[client].fates[refused]+tally[server].fates[refused] {
		t.Errorf("the callers saw %d refusals, the path made %d + %d", n, tally[client].fates[refused], tally[server].fates[refused])
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestAHintNeedsOneRefusal(t *testing.T) {
	r, out := runDemo(t, options{mtu: 548, hint: true})
	for s, tally := range tallies(r.log.recorded()) {
		if tally.fates[refused] != 1 || tally.largest > 548 || r.mtu[s] != 548 {
			t.Errorf("%v: %d refusals, MTU %d\n%s", side(s), tally.fates[refused], r.mtu[s], out)
		}
	}
}

func TestNothingIsRefusedOnAWidePath(t *testing.T) {
	r, _ := runDemo(t, options{mtu: 1472})
	for s, tally := range tallies(r.log.recorded()) {
		if tally.fates[refused] > 0 || r.log.sent[s].repeated > 0 {
			t.Errorf("%v: %+v", side(s), tally)
		}
	}
}

func TestBadPaths(t *testing.T) {
	tests := map[string]options{
		"the default path":                    {mtu: 548},
		"every datagram on a line of its own": {mtu: 548, verbose: true},
		"the smallest MTU":                    {mtu: minMTU},
		"loss":                                {mtu: 300, loss: 20},
		"reordering":                          {mtu: 300, reorder: 5},
		"a black hole":                        {mtu: 548, blackhole: true},
		"a black hole with loss":              {mtu: 300, loss: 20, blackhole: true},

		"DTLS 1.3":                           {version: "1.3", mtu: 548},
		"DTLS 1.3, the smallest MTU":         {version: "1.3", mtu: minMTU},
		"DTLS 1.3, loss":                     {version: "1.3", mtu: 300, loss: 20},
		"DTLS 1.3, reordering":               {version: "1.3", mtu: 300, reorder: 5},
		"DTLS 1.3, a black hole":             {version: "1.3", mtu: 548, blackhole: true},
		"DTLS 1.3, a black hole with loss":   {version: "1.3", mtu: 300, loss: 20, blackhole: true},
		"DTLS 1.3, a large hello, with loss": {version: "1.3", mtu: 548, pq: true, loss: 5},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, out := runDemo(t, o)
			if o.blackhole != strings.Contains(out, "OnMTU") || o.blackhole == strings.Contains(out, "SetMTU") {
				t.Errorf("who lowered the MTU?\n%s", out)
			}
			if lost := tallies(r.log.recorded())[server].fates[lost]; o.loss == 0 && lost > 0 {
				t.Errorf("%d datagrams lost", lost)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	tests := []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"demo -mtu 600", 0, "the echo is back"},
		{"demo -mtu 100", 1, "228"},
		{"demo -mtu 227", 1, "228"},
		{"demo -mtu 100 -blackhole", 2, "228"},
		{"demo -mtu 0", 2, "228"},
		{"demo -version 1.1", 2, "there are 1.2 and 1.3"},
		{"demo -version 1.2 -pq", 2, "-pq needs -version 1.3"},
		{"demo -pq", 0, "X25519MLKEM768"},
		{"connect -version 1.1 localhost:1", 2, "there are 1.2 and 1.3"},
		{"demo -loss 100", 2, "from 0 to 90"},
		{"demo -loss 90 -timeout 100ms", 1, "no echo within 100ms"},
		{"demo now", 2, `"now"`},
		{"demo -what", 2, "-what"},
		{"demo -h", 0, "-blackhole"},
		{"connect", 2, "one address"},
		{"connect -timeout 0s localhost:1", 2, "longer than 0"},
		{"connect localhost:1 -insecure", 2, "after all flags"},
		{"connect -ca none.pem localhost:1", 1, "none.pem"},
		{"connect -mtu 100 localhost:1", 2, "228"},
		{"connect -psk xyz localhost:1", 2, "psk"},
		{"connect -suite NULL localhost:1", 2, "flightpath help suites"},
		{"connect -group brainpool localhost:1", 2, "brainpool"},
		{"connect -mtu-mode silent localhost:1", 2, "auto, kernel or manual"},
		{"listen -key k.pem :0", 2, "-key needs -cert"},
		{"listen -client-ca none.pem :0", 1, "none.pem"},
		{"fly", 2, `no command "fly"`},
		{"", 2, "commands:"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			start := time.Now()
			var out bytes.Buffer
			if code := execute(t.Context(), strings.Fields(tt.args), streams{nil, &out, &out}); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("%q is not in\n%s", tt.want, out.String())
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}
