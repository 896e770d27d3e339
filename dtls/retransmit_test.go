package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/timing"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

const ms = time.Millisecond

// TestFlightTable prints RFC 6347, Section 4.2.4, Figure 3 and RFC 9147, Section
// 5.8.1, Figure 11 as this library has them. A change of the protocol is a change of this text.
func TestFlightTable(t *testing.T) {
	states := [flightStates]string{"preparing", "sending", "waiting", "finished"}
	events := [flightEvents]string{
		"a new flight is ready", "all was sent", "all was sent and it was the last flight", "the timer fires",
		"the peer repeats itself", "the peer's next flight is here", "the peer's last flight is here",
		"all is acknowledged and the peer's next flight is due", "all is acknowledged and nothing is due",
		"messages are appended", "a datagram is withdrawn",
	}
	actions := map[flightAction]string{doNothing: "", doSend: ", send", doResend: ", send again", doContinue: ", continue", doStop: ", stop"}
	var b strings.Builder
	for state, row := range flightTable {
		fmt.Fprintf(&b, "%s:\n", states[state])
		for event, tr := range row {
			if tr == (transition{}) && flightState(state) != flightPreparing {
				fmt.Fprintf(&b, "  %s: no such row\n", events[event])
				continue
			}
			fmt.Fprintf(&b, "  %s: %s%s\n", events[event], states[tr.next], actions[tr.do])
		}
	}
	const want = `preparing:
  a new flight is ready: sending, send
  all was sent: preparing
  all was sent and it was the last flight: preparing
  the timer fires: preparing
  the peer repeats itself: preparing
  the peer's next flight is here: preparing
  the peer's last flight is here: finished, stop
  all is acknowledged and the peer's next flight is due: preparing
  all is acknowledged and nothing is due: preparing, stop
  messages are appended: sending, continue
  a datagram is withdrawn: preparing
sending:
  a new flight is ready: sending, send
  all was sent: waiting
  all was sent and it was the last flight: finished
  the timer fires: sending
  the peer repeats itself: sending
  the peer's next flight is here: preparing, stop
  the peer's last flight is here: finished, stop
  all is acknowledged and the peer's next flight is due: waiting, stop
  all is acknowledged and nothing is due: finished, stop
  messages are appended: sending
  a datagram is withdrawn: sending
waiting:
  a new flight is ready: sending, send
  all was sent: waiting
  all was sent and it was the last flight: no such row
  the timer fires: sending, send again
  the peer repeats itself: sending, send again
  the peer's next flight is here: preparing, stop
  the peer's last flight is here: finished, stop
  all is acknowledged and the peer's next flight is due: waiting, stop
  all is acknowledged and nothing is due: finished, stop
  messages are appended: sending, continue
  a datagram is withdrawn: sending, continue
finished:
  a new flight is ready: sending, send
  all was sent: finished
  all was sent and it was the last flight: finished
  the timer fires: finished
  the peer repeats itself: sending, send again
  the peer's next flight is here: finished
  the peer's last flight is here: finished, stop
  all is acknowledged and the peer's next flight is due: finished, stop
  all is acknowledged and nothing is due: finished, stop
  messages are appended: sending, continue
  a datagram is withdrawn: sending, continue
`
	if got := b.String(); got != want {
		t.Errorf("the table reads\n%s", got)
	}
}

// unanswered runs a client against nobody; it returns when it sent something,
// and how it ended.
func unanswered(t *testing.T, config *Config) (times []time.Duration, ended time.Duration, err error) {
	t.Helper()
	e, err := NewClientEngine(config, simStart)
	if err != nil {
		t.Fatal(err)
	}
	now := simStart
	for range 100 {
		for {
			if _, ok := e.PollTransmit(now, nil); !ok {
				break
			}
			times = append(times, now.Sub(simStart))
		}
		if err := e.Err(); err != nil {
			return times, now.Sub(simStart), err
		}
		next := e.NextTimeout()
		if !next.After(now) {
			t.Fatalf("no timer after %v", now.Sub(simStart))
		}
		_ = e.HandleTimeout(next.Add(-1)) // too early: nothing happens
		if tx, ok := e.PollTransmit(next.Add(-1), nil); ok {
			t.Fatalf("%d bytes sent before the timer", len(tx.Data))
		}
		now = next
		_ = e.HandleTimeout(now)
	}
	t.Fatal("never ends")
	return
}

// TestUnanswered: the exact times of a hello that nobody answers.
func TestUnanswered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		sent   []float64 // seconds
		ended  float64
		text   string // of the error
	}{
		{
			"the default doubles from a second and gives up after a minute", func(*Config) {},
			[]float64{0, 1, 3, 7, 15, 31},
			60,
			"dtls: handshake timed out after 1m0s: sent client_hello 6 times (last with MTU 1232), awaiting server_hello or hello_verify_request; nothing was ever received",
		},
		{
			"without a time-out, seven retransmissions end it", func(c *Config) { c.HandshakeTimeout = -1 },
			[]float64{0, 1, 3, 7, 15, 31, 63, 123},
			183,
			"after 3m3s: sent client_hello 8 times",
		},
		{
			"MaxTries is the number of retransmissions", func(c *Config) { c.Retransmit.MaxTries = 2 },
			[]float64{0, 1, 3},
			7,
			"after 7s: sent client_hello 3 times",
		},
		{
			"one", func(c *Config) { c.Retransmit.MaxTries = 1 },
			[]float64{0, 1},
			3,
			"after 3s: sent client_hello 2 times",
		},
		{
			"Max ends the doubling", func(c *Config) { c.Retransmit.Max = 3 * time.Second },
			[]float64{0, 1, 3, 6, 9, 12, 15, 18},
			21,
			"sent client_hello 8 times",
		},
		{
			"media begin with 400 ms", func(c *Config) { c.Retransmit = RetransmitRealtime },
			[]float64{0, 0.4, 1.2, 2.8, 6, 12.4, 25.2, 50.8},
			60,
			"sent client_hello 8 times",
		},
		{
			"constrained networks begin with 9 s", func(c *Config) { c.Retransmit = RetransmitConstrained },
			[]float64{0, 9, 27},
			60,
			"sent client_hello 3 times",
		},
		{
			"all their retransmissions need a longer time-out",
			func(c *Config) { c.Retransmit, c.HandshakeTimeout = RetransmitConstrained, 5*time.Minute },
			[]float64{0, 9, 27, 63, 123, 183},
			243,
			"after 4m3s: sent client_hello 6 times",
		},
		{
			"the time-out of the handshake comes first", func(c *Config) { c.HandshakeTimeout = 2500 * ms },
			[]float64{0, 1},
			2.5,
			"after 2.5s",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, _ := simKinds[0].configs()
			tt.change(client)
			times, ended, err := unanswered(t, client)
			var got []float64
			for _, d := range times {
				got = append(got, d.Seconds())
			}
			if !slices.Equal(got, tt.sent) || ended.Seconds() != tt.ended {
				t.Errorf("sent at %v, ended at %v; want %v and %v", got, ended.Seconds(), tt.sent, tt.ended)
			}
			var timeout interface{ Timeout() bool }
			if !errors.Is(err, ErrHandshakeTimeout) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("the error is %v", err)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q does not say %q", err, tt.text)
			}
		})
	}
}

// repeat gives a plaintext datagram other record numbers, as a retransmission
// has.
func repeat(d []byte, number byte) []byte {
	d = bytes.Clone(d)
	d[10] = number
	return d
}

// TestAnswersToRepeats: each repetition of the peer asks for our flight, and
// gets it once per half timer.
func TestAnswersToRepeats(t *testing.T) {
	client, server := simKinds[0].configs()
	server.CookieMode, server.MTUMode = CookieAuto, MTUKernel
	hello := provenHello(t, client, server, simRTT)
	e, err := NewServerEngine(server, hello, simStart)
	if err != nil {
		t.Fatal(err)
	}
	poll := func(now time.Time) (n int) {
		for _, ok := e.PollTransmit(now, nil); ok; _, ok = e.PollTransmit(now, nil) {
			n++
		}
		return n
	}
	_ = e.HandleDatagram(simStart, bytes.Clone(hello.Datagram), hello.From)
	flight := poll(simStart)
	if flight < 5 || e.out.timer.Timeout != 200*ms {
		t.Fatalf("%d datagrams, timer %v", flight, e.out.timer.Timeout)
	}
	for i, tt := range []struct {
		after    time.Duration
		answered bool
	}{
		{0, false},
		{ms, false},
		{24 * ms, false}, // as copies that the network makes
		{25 * ms, true},
		{26 * ms, false},
		{124 * ms, false},
		{160 * ms, true}, // in the second half of the timer, which doubles
		{161 * ms, false},
		{350 * ms, true},
		{351 * ms, false},
	} {
		now := simStart.Add(tt.after)
		before := e.out.sent.number
		_ = e.HandleDatagram(now, repeat(hello.Datagram, byte(100+i)), hello.From)
		if n := e.out.sent.number; n > before != tt.answered {
			t.Errorf("a repetition after %v: %v", tt.after, n > before)
		}
		for e.out.flight.state == flightSending {
			if poll(now); e.out.flight.state == flightSending {
				now = e.NextTimeout()
			}
		}
	}
}

// TestServerAsksOnce: once the client's answer has begun, the server repeats its
// flight once and leaves the rest to the client's timer, which peers begin anew
// with each record they get.
func TestServerAsksOnce(t *testing.T) {
	client, server := simKinds[0].configs()
	client.Certificates, server.ClientAuth = server.Certificates, tls.RequireAndVerifyClientCert
	client.MTUMode, server.MTUMode = MTUKernel, MTUKernel
	client.Retransmit = RetransmitPolicy{Initial: 12 * time.Second, NoRTT: true}
	s := newSim(t, client, server)
	var sent []time.Duration // by the server, after its cookie
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide && n > 0 && (len(sent) == 0 || sent[len(sent)-1] != s.now.Sub(s.start).Truncate(10*ms)) {
			sent = append(sent, s.now.Sub(s.start).Truncate(10*ms))
		}
		if from == clientSide && n > 3 && s.now.Sub(s.start) < 10*time.Second {
			return nil // all of its answer but the beginning
		}
		return []time.Duration{simRTT / 2}
	}
	s.handshake()
	// The flight, the same when its timer fires, the Finished.
	want := []time.Duration{70 * ms, 320 * ms, 340 * ms, 12140 * ms} // 200 ms after the last fragment, in two bursts
	if len(sent) < 4 || !slices.Equal(sent[:4], want) {
		t.Errorf("the server sends at %v, want %v\n%s", sent, want, s.history())
	}
}

// TestForgedAnswer: a fragment that anybody may have sent keeps nobody waiting: a
// client that repeats its hello gets the flight as before.
func TestForgedAnswer(t *testing.T) {
	client, server := simKinds[0].configs()
	server.CookieMode, server.MTUMode = CookieAuto, MTUKernel
	hello := provenHello(t, client, server, simRTT)
	e, err := NewServerEngine(server, hello, simStart)
	if err != nil {
		t.Fatal(err)
	}
	now, number := simStart, byte(100)
	step := func(after time.Duration, datagram []byte) (sent bool) {
		now = now.Add(after)
		if datagram == nil {
			_ = e.HandleTimeout(now)
		} else {
			number++
			_ = e.HandleDatagram(now, repeat(datagram, number), hello.From)
		}
		sent = e.out.flight.state == flightSending
		for at := now; e.out.flight.state == flightSending; at = e.NextTimeout() {
			for _, ok := e.PollTransmit(at, nil); ok; _, ok = e.PollTransmit(at, nil) {
			}
		}
		return sent
	}
	forged := forgeFragment(message.Header{
		Type: message.TypeClientKeyExchange, Length: 33, Seq: 2, FragmentLength: 1,
	}, 7)
	for _, tt := range []struct {
		name     string
		after    time.Duration
		datagram []byte
		sent     bool
	}{
		{"the hello", 0, hello.Datagram, true},
		{"a forged fragment", 10 * ms, forged, false},
		{"the timer", 200 * ms, nil, true},
		{"another fragment", 10 * ms, forged, false},
		{"the timer is patient", time.Second, nil, false},
		{"the hello again", 0, hello.Datagram, true},
		{"and once more, too soon", 50 * ms, hello.Datagram, false},
		{"the timer is the first one again", 180 * ms, nil, true},
	} {
		if sent := step(tt.after, tt.datagram); sent != tt.sent {
			t.Errorf("%s: sent %v, want %v", tt.name, sent, tt.sent)
		}
	}
}

// loseLastFlights drops the first n copies of the server's last flight.
func loseLastFlights(s *sim, n int) (copies *int) {
	copies = new(int)
	s.path = func(from side, _ int, datagram []byte) []time.Duration {
		if from == serverSide && s.eng[serverSide].Established() {
			if *copies++; *copies <= n {
				return nil
			}
		}
		return []time.Duration{simRTT / 2}
	}
	return copies
}

// TestLastFlightLost: the server believes to be done; the client, which is not,
// repeats its own flight until it gets the server's (RFC 6347, Section 4.2.4).
func TestLastFlightLost(t *testing.T) {
	for lost := range 6 {
		client, server := simKinds[2].configs()
		s := newSim(t, client, server)
		copies := loseLastFlights(s, lost)
		if !s.run(time.Minute, s.established) {
			t.Fatalf("%d lost: %v; %v\n%s", lost, s.eng[0], s.eng[1], s.history())
		}
		if *copies != lost+1 || s.timeouts != [2]int{lost, 0} {
			t.Errorf("%d lost: sent %d times, timers %v", lost, *copies, s.timeouts)
		}
		s.echo("data")
		if e := s.eng[serverSide]; e.out.flight.msgs != nil || e.path.quotes != nil {
			t.Errorf("the last flight is kept although data has proved its arrival")
		}
	}
	t.Run("for ever", func(t *testing.T) {
		client, server := simKinds[2].configs()
		patient(client)
		client.Retransmit.MaxTries = 100
		s := newSim(t, client, server)
		copies := loseLastFlights(s, 1<<30)
		s.run(100*time.Hour, func() bool { return s.eng[clientSide].Err() != nil })
		if *copies != 1+maxLastFlights || s.timeouts[clientSide] <= maxLastFlights {
			t.Errorf("sent %d times for %d repetitions", *copies, s.timeouts[clientSide])
		}
	})
}

// TestBursts: RFC 9147, Section 5.8.3: at most 10 datagrams in one go.
func TestBursts(t *testing.T) {
	for _, burst := range []int{0, 1, 3, 10, 1000} {
		client, server := simKinds[0].configs()
		server.MTU, server.Retransmit.Burst = minMTU, burst
		s := newSim(t, client, server)
		at := map[time.Time]int{}
		s.path = func(from side, n int, _ []byte) []time.Duration {
			if from == serverSide {
				at[s.now]++
			}
			return []time.Duration{simRTT / 2}
		}
		s.handshake()
		most, want := 0, burst
		for _, n := range at {
			most = max(most, n)
		}
		switch burst {
		case 0:
			want = 10
		case 1000:
			want = most
		}
		if most != want || burst == 1000 && most < 30 {
			t.Errorf("Burst %d: up to %d datagrams at a time", burst, most)
		}
		if s.timeouts != [2]int{} {
			t.Errorf("Burst %d: pauses are not time-outs: %v", burst, s.timeouts)
		}
		pauses := time.Duration((6000/(minMTU-25)+4)/max(want, 1)) * time.Millisecond
		if late := s.now.Sub(s.start) - 4*simRTT; late > pauses+simRTT {
			t.Errorf("Burst %d: %v late for pauses of %v", burst, late, pauses)
		}
	}
}

// TestBurstAfterArrival: a datagram of the peer lets the next burst go; a
// stream of them does not hold it up.
func TestBurstAfterArrival(t *testing.T) {
	client, server := simKinds[0].configs()
	server.CookieMode, server.MTU = CookieAuto, minMTU
	hello := provenHello(t, client, server, simRTT)
	e, err := NewServerEngine(server, hello, simStart)
	if err != nil {
		t.Fatal(err)
	}
	now, sent := simStart, 0
	_ = e.HandleDatagram(now, bytes.Clone(hello.Datagram), hello.From)
	for i := range 4 {
		burst := 0
		for _, ok := e.PollTransmit(now, nil); ok; _, ok = e.PollTransmit(now, nil) {
			burst++
		}
		if sent += burst; burst == 0 || burst > 10 {
			t.Fatalf("%d datagrams at once after %d arrivals, %d before", burst, i, sent-burst)
		}
		now = now.Add(time.Millisecond / 4)
		_ = e.HandleDatagram(now, []byte{0}, hello.From)
	}
	if sent < 30 || e.out.flight.state != flightWaiting {
		t.Errorf("%d datagrams sent", sent)
	}
}

// TestNewFlightBaseTimer: the timer of a flight does not inherit the doubling of
// the flight before.
func TestNewFlightBaseTimer(t *testing.T) {
	o := outbox{timer: timing.Timer{RTO: time.Second, Timeout: 8 * time.Second, Tries: 3}, sent: transmission{number: 4}}
	o.load([]outMessage{{ccs: true}}, false)
	if o.timer.Timeout != time.Second || o.timer.Tries != 0 || o.sent.number != 1 || o.flight.state != flightSending {
		t.Errorf("timer %v, tries %d, transmissions %d, state %d", o.timer.Timeout, o.timer.Tries, o.sent.number, o.flight.state)
	}
	client, server := simKinds[0].configs()
	s := newSim(t, client, server)
	var times []time.Duration
	s.path = func(from side, n int, _ []byte) []time.Duration {
		if from == serverSide {
			return []time.Duration{simRTT / 2}
		}
		times = append(times, s.now.Sub(s.start))
		if n < 3 || n == 4 { // the first three hellos, and one with the cookie
			return nil
		}
		return []time.Duration{simRTT / 2}
	}
	s.run(time.Minute, func() bool { return len(times) == 7 })
	want := []time.Duration{0, 1000 * ms, 3000 * ms, 7000 * ms, 7050 * ms, 8050 * ms, 8100 * ms}
	if !slices.Equal(times, want) {
		t.Errorf("the client sent at %v, want %v\n%s", times, want, s.history())
	}
}
