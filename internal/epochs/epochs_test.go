package epochs

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

var (
	suite13 = suite.Lookup(0x1301)
	secret  = bytes.Repeat([]byte{7}, 32)
)

// install puts epoch n of DTLS 1.3 into both directions.
func install(t *testing.T, k *Epochs, n uint16) {
	t.Helper()
	if err := k.InstallRead13(suite13, n, secret, 64); err != nil {
		t.Fatal(err)
	}
	k.InstallWrite13(suite13, n, secret)
}

// opens reports whether a record that s seals is opened by the keys for the bits in
// its header, and the epoch that these keys are of.
func opens(t *testing.T, k *Epochs, s Sealer) (epoch uint64, ok bool) {
	t.Helper()
	raw, _, err := s.Seal(nil, record.TypeApplicationData, 0, []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := record.NextUnified(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := k.OpenerByBits(u.EpochBits)
	if o == nil {
		return 0, false
	}
	_, _, n, err := o.Open(u)
	return n.Epoch, err == nil
}

// TestSlots: the newest Max epochs of a direction have keys, and installing
// another one ends the oldest.
func TestSlots(t *testing.T) {
	var k Epochs
	if err := k.OpenPlaintext(); err != nil {
		t.Fatal(err)
	}
	for n := uint16(2); n <= 9; n++ {
		install(t, &k, n)
		k.StartWriting(n)
		if k.Write() != n || k.Sealer() != k.SealerOf(n) {
			t.Fatalf("epoch %d is not in use", n)
		}
	}
	list := k.Readable()
	slices.Sort(list)
	if !slices.Equal(list, []uint16{7, 8, 9}) || k.SealerOf(6) != nil || k.SealerOf(7) == nil {
		t.Errorf("epochs %v can be read, want 7, 8 and 9", list)
	}
}

// TestBits: RFC 9147, Section 4.2.2: of epochs with the same two bits, the most
// recent one.
func TestBits(t *testing.T) {
	var k Epochs
	install(t, &k, 3)
	old := k.SealerOf(3)
	if n, ok := opens(t, &k, old); !ok || n != 3 {
		t.Errorf("a record of epoch 3 is opened as one of epoch %d, %v", n, ok)
	}
	install(t, &k, 7)
	if n, ok := opens(t, &k, k.SealerOf(7)); !ok || n != 7 {
		t.Errorf("a record of epoch 7 is opened as one of epoch %d, %v", n, ok)
	}
	k.CloseReadBefore(8)
	if o := k.OpenerByBits(3); o != nil {
		t.Error("there are read keys after CloseReadBefore")
	}
}

// TestEpochs12: a record of DTLS 1.2 states its epoch in full; a second handshake
// takes the next one.
func TestEpochs12(t *testing.T) {
	var k Epochs
	if err := k.OpenPlaintext(); err != nil {
		t.Fatal(err)
	}
	k.SkipTo(5)
	if k.NextPlaintext() != 5 || k.Opener(0) == nil {
		t.Errorf("record %d is next in epoch 0", k.NextPlaintext())
	}
	key, iv := make([]byte, record.AES128GCM.KeyLen()), make([]byte, record.AES128GCM.IVLen())
	for n := uint16(1); n <= 2; n++ {
		if err := k.InstallRead12(record.AES128GCM, n, key, iv, 64); err != nil {
			t.Fatal(err)
		}
		if err := k.InstallWrite12(record.AES128GCM, n, key, iv); err != nil {
			t.Fatal(err)
		}
	}
	if k.Opener(1) == nil || k.Opener(2) == nil || k.OpenerByBits(1) != nil {
		t.Error("the epochs of DTLS 1.2 are not read, or in the form of 1.3")
	}
	k.ForgetSealBefore(2)
	if k.SealerOf(0) != nil || k.SealerOf(1) != nil || k.SealerOf(2) == nil {
		t.Error("ForgetSealBefore(2) leaves other write keys than those of epoch 2")
	}
	k.Wipe()
	if k != (Epochs{}) {
		t.Error("keys are left after Wipe")
	}
}

// TestSealer13: the keys are made when they are first used, and the secret is wiped then.
func TestSealer13(t *testing.T) {
	var k Epochs
	install(t, &k, 3)
	install(t, &k, 4)
	s, unused := k.SealerOf(3).(*Sealer13), k.SealerOf(4).(*Sealer13)
	if s.Overhead() != suite13.AEAD.Overhead13() || s.Next() != 0 || s.made != nil {
		t.Errorf("overhead %d, record %d is next, made %v", s.Overhead(), s.Next(), s.made)
	}
	if n, ok := opens(t, &k, s); !ok || n != 3 || s.Next() != 1 || s.secret != [48]byte{} {
		t.Errorf("opened in epoch %d, %v; record %d is next, the secret is %x", n, ok, s.Next(), s.secret)
	}
	for _, s := range []*Sealer13{s, unused} {
		if s.Wipe(); s.secret != [48]byte{} || s.Remaining() != 0 {
			t.Errorf("wiped: %d records remain, the secret is %x", s.Remaining(), s.secret)
		}
		if _, _, err := s.Seal(nil, record.TypeApplicationData, 0, nil); !errors.Is(err, record.ErrWiped) {
			t.Errorf("wiped: %v", err)
		}
	}
	install(t, &k, 5)
	if left := k.SealerOf(5).Remaining(); left != record.AES128GCM.ConfidentialityLimit() {
		t.Errorf("%d records remain", left)
	}
}
