package handshake

import (
	"bytes"
	"context"
	"crypto/tls"
	"os"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// The states of DTLS 1.2 take the messages of recorded sessions between other
// implementations, and arrive at the secrets of these. What both of our sides share, a
// handshake between them does not pin: what a signature or the session hash covers,
// and in which order.

// recorded12 is a recorded session, and one side of it that is ours.
type recorded12 struct {
	end
	t    *testing.T
	file dtlstest.Recorded
	n    *negotiated12
}

// replay12 is a side that has the transcript up to the messages it is about to take;
// next is the message_seq of its own next message.
func replay12(t *testing.T, name string, isClient bool, next uint16, before ...string) *recorded12 {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := dtlstest.ReadRecorded(text)
	if err != nil {
		t.Fatal(err)
	}
	client, server := configs(message.Version12)
	config := server
	if isClient {
		config = client
		config.SkipVerify = true // the certificate is one of its own making
	} else {
		config.ClientAuth = tls.RequireAnyClientCert
	}
	r := &recorded12{t: t, file: file}
	r.link = &fakeLink{now: start, seq: next}
	r.Handshake = New(config, r.link)
	hello, err := message.Parse(message.TypeClientHello, 0, r.one("ClientHello")[message.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := message.Parse(message.TypeServerHello, 0, r.one("ServerHello")[message.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	answer := parsed.(*message.ServerHello)
	chosen := suite.Lookup(answer.CipherSuite)
	r.agreeOn(chosen)
	r.n = &negotiated12{
		suite: chosen, clientRandom: hello.(*message.ClientHello).Random, serverRandom: answer.Random, ems: answer.ExtendedMasterSecret,
	}
	if !r.n.ems {
		t.Fatal("recorded without the extended master secret")
	}
	for _, name := range before {
		r.transcript.Add(r.one(name))
	}
	return r
}

func (r *recorded12) one(name string) []byte {
	r.t.Helper()
	b, err := r.file.One(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.Clone(b)
}

// take has the present state take a message with its header.
func (r *recorded12) take(name string, raw []byte) {
	r.t.Helper()
	seq := uint16(raw[4])<<8 | uint16(raw[5])
	if err := r.Take(message.Type(raw[0]), raw, seq, uint64(seq)); err != nil {
		r.t.Fatalf("%s in %s: %v", name, r.StateName(), err)
	}
}

// open is what a record holds under keys of the link.
func (r *recorded12) open(k Keys, name string) []byte {
	r.t.Helper()
	opener, err := record.NewOpener12(k.Suite.AEAD, k.Key, k.IV, 1, record.MinWindow)
	if err != nil {
		r.t.Fatal(err)
	}
	h, fragment, _, err := record.Next(r.one(name))
	if err != nil {
		r.t.Fatal(err)
	}
	plain, err := opener.Open(h, fragment)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return plain
}

// has checks that the flight ends with a message.
func (r *recorded12) has(want []byte) {
	r.t.Helper()
	flight := r.link.flight
	if got := flight[len(flight)-1].raw(); !bytes.Equal(got, want) {
		r.t.Errorf("the flight ends with %x, that of the other implementation with %x", got, want)
	}
}

// data opens the records of data of both sides.
func (r *recorded12) data() {
	r.t.Helper()
	mine, peers := "server data record", "client data record"
	if r.Config.IsClient {
		mine, peers = peers, mine
	}
	if r.open(r.link.read[0], peers); len(r.open(r.link.write[0], mine)) == 0 {
		r.t.Errorf("%s is empty", mine)
	}
}

// TestRecordedPSK12: either side derives the master secret of the other implementation
// over the session hash of RFC 7627, Section 3, logs it as that does, and agrees with
// its Finished messages and records.
func TestRecordedPSK12(t *testing.T) {
	const file = "psk12.txt"
	flight := []string{"ClientHello", "ServerHello"}
	for _, isClient := range []bool{true, false} {
		next := uint16(2) // the HelloVerifyRequest and the two hellos have the numbers before
		if !isClient {
			next = 3
		}
		r := replay12(t, file, isClient, next, flight...)
		logged := ""
		r.Config.KeyLog = func(line string) { logged += line }
		psk := PSK{Identity: []byte("device"), Key: r.one("pre-shared key")}
		if isClient {
			r.Config.ClientPSKs = func(context.Context, string, []byte) ([]PSK, error) { return []PSK{psk}, nil }
			r.enter(awaitServerHelloDone12{n: r.n})
			done := r.one("ServerHelloDone")
			r.take("ServerHelloDone", done)
			if got, want := r.link.flight[0].raw(), r.one("ClientKeyExchange"); !bytes.Equal(got, want) {
				t.Fatalf("ClientKeyExchange %x, want %x", got, want)
			}
		} else {
			r.Config.ServerPSK = func(context.Context) (func(PSKQuery) (*PSK, error), func()) {
				return func(q PSKQuery) (*PSK, error) {
					if string(q.Identity) != "device" {
						t.Errorf("identity %q", q.Identity)
					}
					return &psk, nil
				}, func() {}
			}
			r.transcript.Add(r.one("ServerHelloDone"))
			r.enter(awaitClientKeyExchange12{n: r.n})
			r.take("ClientKeyExchange", r.one("ClientKeyExchange"))
		}
		master := r.one("master secret")
		if !bytes.Equal(r.Result.Master, master) {
			t.Errorf("client %v: master secret %x, want %x", isClient, r.Result.Master, master)
		}
		hello := r.one("ClientHello")
		const randomAt = message.HeaderLen + 2
		if want := keys.KeyLogLine("CLIENT_RANDOM", [32]byte(hello[randomAt:]), master); logged != want {
			t.Errorf("client %v: logs %q, want %q", isClient, logged, want)
		}
		if isClient {
			r.has(r.open(r.link.write[0], "client Finished record"))
			r.take("server Finished", r.open(r.link.read[0], "server Finished record"))
		} else {
			r.take("client Finished", r.open(r.link.read[0], "client Finished record"))
			r.has(r.open(r.link.write[0], "server Finished record"))
		}
		if !r.IsComplete() {
			t.Errorf("client %v: %s at the end", isClient, r.StateName())
		}
		r.data()
	}
}

// withMaster goes on after a key exchange that only the two recorded sides could make.
func (r *recorded12) withMaster() (master []byte) {
	r.t.Helper()
	master = r.one("master secret")
	read, write := r.n.keyBlock(master, r.Config.IsClient)
	r.n.write = &write
	if err := r.link.InstallRead(read); err != nil {
		r.t.Fatal(err)
	}
	return master
}

// TestRecordedSignatures12: a client takes the signature of the ServerKeyExchange,
// over both randoms and the parameters (RFC 5246, Section 7.4.3), and a server that of
// the CertificateVerify, over all messages before it (Section 7.4.8). Both go on to the
// Finished messages.
func TestRecordedSignatures12(t *testing.T) {
	const file = "ecdsa12.txt"
	hellos := []string{"ClientHello", "ServerHello"}
	client := replay12(t, file, true, 5, hellos...)
	client.enter(awaitServerCertificate12{client.n})
	for _, name := range []string{"server Certificate", "ServerKeyExchange", "CertificateRequest"} {
		client.take(name, client.one(name))
	}
	if got := client.Info.SignatureScheme; got != tls.ECDSAWithP256AndSHA256 {
		t.Errorf("the server signed with %v", got)
	}
	for _, name := range []string{"ServerHelloDone", "client Certificate", "ClientKeyExchange", "CertificateVerify"} {
		client.transcript.Add(client.one(name))
	}
	master := client.withMaster()
	if err := client.addFinished(client.n, master); err != nil {
		t.Fatal(err)
	}
	client.link.SendFlight(false)
	client.has(client.open(client.link.write[0], "client Finished record"))
	client.enter(awaitServerFinished12{n: client.n, master: master})
	client.take("server Finished", client.open(client.link.read[0], "server Finished record"))
	client.data()

	server := replay12(t, file, false, 6, append(hellos, "server Certificate", "ServerKeyExchange", "CertificateRequest", "ServerHelloDone")...)
	server.enter(awaitClientCertificate12{n: server.n})
	server.take("client Certificate", server.one("client Certificate"))
	chain, err := auth.ParseChain([][]byte{server.Info.PeerCertificates[0].Raw})
	if err != nil {
		t.Fatal(err)
	}
	server.transcript.Add(server.one("ClientKeyExchange"))
	server.enter(awaitCertificateVerify12{server.n, server.withMaster(), chain})
	server.take("CertificateVerify", server.one("CertificateVerify"))
	server.take("client Finished", server.open(server.link.read[0], "client Finished record"))
	server.has(server.open(server.link.write[0], "server Finished record"))
	server.data()
	if !server.IsComplete() || !client.IsComplete() {
		t.Errorf("client %s, server %s", client.StateName(), server.StateName())
	}
}
