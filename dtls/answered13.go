package dtls

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/flightpath-dtls/flightpath/internal/kex"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// A client that changed its mind about which HelloRetryRequest to follow has two
// second hellos under way, or more, and a server without state answers whichever
// gets there first: the cookie of either is good. Both have the same message_seq,
// and nothing in the ServerHello says which one it answers; but the keys that
// follow do, since they are made of the transcript (RFC 8446, Section 7.1). So the
// ServerHello is read as the answer to each of them, and the first protected record
// of the server picks the reading whose keys open it. It could be nobody else's: a
// forger has the keys of none.
//
// What that costs is bounded by maxHelloVerifies: so many second hellos are
// remembered, and so many key exchanges are done for one ServerHello.

// allSent are the second hellos that were sent, the present one among them.
func (s awaitServerHello) allSent() []awaitServerHello {
	if s.retry == nil {
		return s.sent
	}
	list := append(slices.Clone(s.sent), s)
	list[len(list)-1].sent = nil // they are here, each once
	return list[max(0, len(list)-maxHelloVerifies):]
}

// shareFor makes the key share that a HelloRetryRequest asks for. It is the same one
// in every second hello, so that those differ in their cookies alone: a server joins
// what has come of a hello in several datagrams, and half of one share with half of
// another would be the share of nobody.
func (s awaitServerHello) shareFor(group uint16) (*kex.Key, error) {
	for _, old := range s.allSent() {
		if old.retry.SelectedGroup == group {
			return old.shares[0], nil
		}
	}
	return kex.Generate(kex.Group(group))
}

// agreement13 is a ServerHello read as the answer to one of our hellos.
type agreement13 struct {
	s          awaitServerHello // that hello
	n          *negotiated13
	transcript keys.Transcript // up to the ServerHello
	group      kex.Group
	opener     *record.Opener13 // to try the server's records with; nil: this reading is taken first
}

// agreements13 are the readings that are possible, in the order of the hellos. The
// error is the first one, if there is none.
func agreements13(hs *handshake, hellos []awaitServerHello, m *message.ServerHello, in received) (list []agreement13, err error) {
	secrets := map[*kex.Key][]byte{nil: nil} // hellos may have a share in common, and a key yields one secret
	for _, s := range hellos {
		a, fault := s.agreement13(hs, m, in, secrets)
		if fault == nil {
			list = append(list, a)
		}
		err = cmp.Or(err, fault)
	}
	for _, secret := range secrets {
		keys.Wipe(secret)
	}
	if len(list) == 0 {
		return nil, err
	}
	for i := 1; i < len(list); i++ {
		n := list[i].n
		if list[i].opener, err = newOpener13(n.suite, epochHandshake, n.serverSecret, hs.e.p.replayWindow); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s awaitServerHello) agreement13(hs *handshake, m *message.ServerHello, in received, secrets map[*kex.Key][]byte) (a agreement13, err error) {
	n, key, err := s.negotiate13(hs.p, m)
	if err != nil {
		return a, err
	}
	secret, known := secrets[key]
	if !known {
		if secret, err = key.Shared(m.KeyShare.Data); err != nil {
			return a, err
		}
		secrets[key] = secret
	}
	a = agreement13{s: s, n: n, group: kex.Group(m.KeyShare.Group)}
	if s.retry != nil {
		a.transcript.Add(s.transcript)
	} else {
		transcribe13(&a.transcript, s.firstRaw)
	}
	transcribe13(&a.transcript, in.raw)
	n.deriveHandshake13(a.transcript.Sum(n.suite.Hash), secret)
	return a, nil
}

// enter goes on with this reading; others may prove right instead.
func (a agreement13) enter(hs *handshake, others []agreement13) (step, error) {
	e, n := hs.e, a.n
	hs.kx = message.TLS13
	st := &e.state
	st.Version, st.CipherSuite, st.CurveID = VersionDTLS13, n.suite.ID, a.group
	st.ServerName = hs.p.serverName
	if n.psk != nil {
		st.DidResume = n.psk.session != nil
		if !st.DidResume {
			st.PSKIdentity = n.psk.identity
		}
	}
	e.out.nextSeq = 2
	if a.s.retry == nil {
		e.out.nextSeq = 1 // whatever was sent since is not part of the handshake
	}
	hs.transcript = a.transcript
	if err := hs.enterHandshake13(n); err != nil {
		return nil, err
	}
	return awaitEncryptedExtensions13{n, a.s.hello, others}, nil
}

// opens reports whether the keys of this reading open a record of the server's;
// its bytes are left as they are.
func (a agreement13) opens(raw []byte) bool {
	u, _, err := record.NextUnified(bytes.Clone(raw), 0)
	return err == nil && a.opener.Authentic(u)
}

// whichHello lets a record of the server's that is about to be opened decide which
// of our second hellos it has answered, if that is still open.
func (hs *handshake) whichHello(raw []byte) error {
	s, ok := hs.step.(awaitEncryptedExtensions13)
	if !ok || len(s.others) == 0 {
		return nil
	}
	i := slices.IndexFunc(s.others, func(a agreement13) bool { return a.opens(raw) })
	if i < 0 {
		return nil // forged, or of the reading we are in; that need not be known
	}
	hs.e.keys.forget(epochHandshake)
	next, err := s.others[i].enter(hs, nil)
	if err == nil {
		hs.step = next
	}
	return err
}
