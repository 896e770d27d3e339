package handshake

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// fakeLink is an association that sends nothing: it keeps what a handshake has asked
// for. Messages go from one handshake to the other as values.
type fakeLink struct {
	now   time.Time
	seq   uint16
	epoch uint16 // that is written

	preparing, flight []outgoing
	read, write       []Keys // in the order of their installation
	closed            uint16 // messages of older epochs are refused
	versions          []uint16
	last, sample      bool
	proven            bool
	limit             uint16
	recalled          *Retry
}

// outgoing is a message of a flight; typ 0 with ccs stands for a change_cipher_spec.
type outgoing struct {
	ccs   bool
	typ   message.Type
	seq   uint16
	epoch uint16
	body  []byte
}

func (o outgoing) String() string {
	if o.ccs {
		return "ccs"
	}
	return fmt.Sprintf("%v %d/%d", o.typ, o.epoch, o.seq)
}

// raw is the message as the peer joins it.
func (o outgoing) raw() []byte {
	n := uint32(len(o.body))
	return append(message.Header{Type: o.typ, Length: n, Seq: o.seq, FragmentLength: n}.Append(nil), o.body...)
}

func (l *fakeLink) Now() time.Time           { return l.now }
func (l *fakeLink) Peer() netip.AddrPort     { return netip.MustParseAddrPort("192.0.2.1:4433") }
func (l *fakeLink) Caller() Caller           { return nil }
func (l *fakeLink) HelloSource() HelloSource { return HelloSource{Remote: l.Peer()} }
func (l *fakeLink) SetMessageSeq(seq uint16) { l.seq = seq }
func (l *fakeLink) NextRecord() uint64       { return uint64(l.seq) }
func (l *fakeLink) AddCCS()                  { l.preparing = append(l.preparing, outgoing{ccs: true}) }

func (l *fakeLink) Add(typ message.Type, body []byte) (seq uint16) {
	l.preparing = append(l.preparing, outgoing{typ: typ, seq: l.seq, epoch: l.epoch, body: bytes.Clone(body)})
	l.seq++
	return l.seq - 1
}

func (l *fakeLink) SendFlight(last bool)       { l.flight, l.preparing, l.last = l.preparing, nil, last }
func (l *fakeLink) FlightAnswered(sample bool) { l.sample = sample }

// install fills in the epoch of DTLS 1.2 and clones what the caller may wipe.
func (l *fakeLink) install(k Keys) Keys {
	if k.Epoch == 0 {
		k.Epoch = l.epoch + 1
	}
	k.Secret, k.Key, k.IV = bytes.Clone(k.Secret), bytes.Clone(k.Key), bytes.Clone(k.IV)
	return k
}

func (l *fakeLink) InstallRead(k Keys) error {
	l.read = append(l.read, l.install(k))
	return nil
}

func (l *fakeLink) InstallWrite(k Keys) error {
	k = l.install(k)
	l.write, l.epoch = append(l.write, k), k.Epoch
	return nil
}

func (l *fakeLink) CloseMessagesBefore(epoch uint16) { l.closed = epoch }
func (l *fakeLink) VersionAgreed(version uint16)     { l.versions = append(l.versions, version) }
func (l *fakeLink) AddressProven()                   { l.proven = true }
func (l *fakeLink) RecallRetry([]byte) *Retry        { return l.recalled }
func (l *fakeLink) LimitRecords(peer uint16)         { l.limit = peer }

// names lists a flight.
func (l *fakeLink) names() string {
	var names []string
	for _, o := range l.flight {
		names = append(names, o.String())
	}
	return strings.Join(names, ", ")
}

// end is a handshake with its link.
type end struct {
	*Handshake
	link *fakeLink
}

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

var testChain = dtlstest.MustChain(dtlstest.P256, 0)

// configs are a client and a server of one version that trust each other.
func configs(version uint16) (client, server *Config) {
	common := func() *Config {
		c := &Config{
			Rand: rand.Reader, KeyLog: func(string) {}, Schemes: auth.DefaultSchemes(), FirstTimer: time.Second,
			ValidAt:    func(time.Time) time.Time { return testChain.Certificate.Leaf.NotBefore.Add(time.Hour) },
			MinVersion: version, MaxVersion: version, Groups13: kex.Default13(), Groups: kex.For12(kex.Default13()),
			Suites13: suite.All13(), Certified: true, Roots: testChain.Pool(),
		}
		for _, s := range suite.All() {
			if !s.UsesPSK() {
				c.Suites = append(c.Suites, s)
			}
		}
		return c
	}
	client, server = common(), common()
	client.IsClient, client.ServerName = true, "localhost"
	client.TakeSession = func(func() []PSK, time.Time) *Session { return nil }
	server.Certificates = []tls.Certificate{testChain.Certificate}
	return client, server
}

// usePSK has both sides use one pre-shared key.
func usePSK(client, server *Config, key ...byte) {
	client.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) {
		return []PSK{{Identity: []byte("device"), Key: key}}, nil
	}
	server.ServerPSK = func(context.Context) (func(PSKQuery) (*PSK, error), func()) {
		return func(q PSKQuery) (*PSK, error) {
			if string(q.Identity) != "device" {
				return nil, nil
			}
			return &PSK{Identity: q.Identity, Key: key}, nil
		}, func() {}
	}
	for _, c := range []*Config{client, server} {
		c.Suites, c.Certified, c.Certificates = nil, false, nil
		for _, s := range suite.All() {
			if s.UsesPSK() {
				c.Suites = append(c.Suites, s)
			}
		}
	}
}

// begin makes both sides; the client has its first flight ready.
func begin(t testing.TB, client, server *Config) (c, s end) {
	t.Helper()
	c.link, s.link = &fakeLink{now: start}, &fakeLink{now: start}
	c.Handshake, s.Handshake = New(client, c.link), New(server, s.link)
	if err := StartClient(c.Handshake); err != nil {
		t.Fatal(err)
	}
	s.StartServer(nil, nil, nil)
	return c, s
}

// give has one side take a message of the other.
func (e end) give(o outgoing) error { return e.Take(o.typ, o.raw(), o.seq, uint64(o.seq)) }

// deliver has one side take the flight of the other.
func (e end) deliver(t testing.TB, from end) {
	t.Helper()
	for _, o := range from.link.flight {
		if o.ccs {
			continue
		}
		if err := e.give(o); err != nil {
			t.Fatalf("%v: %v", o, err)
		}
	}
}

// finish exchanges flights until both sides are complete. It returns the flights.
func finish(t testing.TB, c, s end) (flights []string) {
	t.Helper()
	for range 4 {
		flights = append(flights, "client: "+c.link.names())
		s.deliver(t, c)
		if s.IsComplete() && c.IsComplete() {
			break
		}
		flights = append(flights, "server: "+s.link.names())
		c.deliver(t, s)
		if s.IsComplete() && c.IsComplete() {
			break
		}
	}
	if !s.IsComplete() || !c.IsComplete() {
		t.Fatalf("client %s, server %s\n%s", c.StateName(), s.StateName(), strings.Join(flights, "\n"))
	}
	sameKeys(t, c.link.read, s.link.write)
	sameKeys(t, s.link.read, c.link.write)
	return flights
}

// sameKeys holds the keys that one side reads with against those the other writes
// with.
func sameKeys(t testing.TB, read, write []Keys) {
	t.Helper()
	if len(read) != len(write) {
		t.Fatalf("%d epochs are read, %d written", len(read), len(write))
	}
	for i := range read {
		r, w := read[i], write[i]
		if r.Epoch != w.Epoch || r.Suite != w.Suite || !bytes.Equal(r.Secret, w.Secret) || !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.IV, w.IV) {
			t.Errorf("epoch %d is read, %d written, or their keys differ", r.Epoch, w.Epoch)
		}
	}
}

// wantFlights compares flights with lines.
func wantFlights(t testing.TB, got []string, want string) {
	t.Helper()
	if got, want := strings.Join(got, "\n"), strings.TrimSpace(want); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// refused has one side take a message that must fail, and checks that the state
// stays: the genuine message is taken afterwards.
func (e end) refused(t testing.TB, o outgoing) error {
	t.Helper()
	before, transcript := e.StateName(), e.transcript.Sum(suite.All13()[0].Hash)
	err := e.give(o)
	if err == nil || errors.Is(err, ErrIgnore) {
		t.Fatalf("%v is taken in %s: %v", o, before, err)
	}
	if after := e.StateName(); after != before || !bytes.Equal(transcript, e.transcript.Sum(suite.All13()[0].Hash)) {
		t.Errorf("%v has changed %s to %s, or the transcript", o, before, after)
	}
	return err
}

// retryOf is a HelloRetryRequest as a server without state reads it from its cookie.
func retryOf(c Choice, hello, body []byte, v *message.HelloScan) *Retry {
	h := c.Suite.Hash.New()
	h.Write(message.AppendHeader13(nil, message.TypeClientHello, len(hello)-message.HeaderLen))
	h.Write(hello[message.HeaderLen:])
	c.Group = 0
	return &Retry{
		Choice: c, HelloHash: h.Sum(nil), Fixed: AppendFixed(nil, sha256.New(), v),
		Raw: append(message.AppendHeader13(nil, message.TypeServerHello, len(body)), body...),
	}
}
