package kex

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/fips140"
	"crypto/mlkem"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// byHand is a hybrid group as its draft writes it, put together here from
// crypto/mlkem and crypto/ecdh.
type byHand struct {
	group    Group
	curve    ecdh.Curve
	generate func() (crypto.Decapsulator, error)
	parse    func([]byte) (crypto.Encapsulator, error)
	keyLen   int // of an encapsulation key
	kemFirst bool
}

func (h byHand) join(ofCurve, ofKEM []byte) []byte {
	if h.kemFirst {
		return bytes.Join([][]byte{ofKEM, ofCurve}, nil)
	}
	return bytes.Join([][]byte{ofCurve, ofKEM}, nil)
}

func (h byHand) split(share []byte, kemLen int) (ofCurve, ofKEM []byte) {
	if h.kemFirst {
		return share[kemLen:], share[:kemLen]
	}
	return share[:len(share)-kemLen], share[len(share)-kemLen:]
}

var byHands = []byHand{
	{
		X25519MLKEM768, ecdh.X25519(),
		func() (crypto.Decapsulator, error) { return mlkem.GenerateKey768() },
		func(b []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(b) },
		1184, true,
	},
	{
		SecP256r1MLKEM768, ecdh.P256(),
		func() (crypto.Decapsulator, error) { return mlkem.GenerateKey768() },
		func(b []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(b) },
		1184, false,
	},
	{
		SecP384r1MLKEM1024, ecdh.P384(),
		func() (crypto.Decapsulator, error) { return mlkem.GenerateKey1024() },
		func(b []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey1024(b) },
		1568, false,
	},
}

// Against a responder made by hand.
func TestHybridInitiator(t *testing.T) {
	for _, h := range byHands {
		t.Run(h.group.String(), func(t *testing.T) {
			key := mustGenerate(t, h.group)
			point, encapsulationKey := h.split(key.Public(), h.keyLen)
			fromKEM, ciphertext := must(h.parse(encapsulationKey)).Encapsulate()
			private := must(h.curve.GenerateKey(rand.Reader))
			fromCurve := must(private.ECDH(must(h.curve.NewPublicKey(point))))

			secret, err := key.Shared(h.join(private.PublicKey().Bytes(), ciphertext))
			if want := h.join(fromCurve, fromKEM); err != nil || !bytes.Equal(secret, want) {
				t.Errorf("secret %x, %v\nwant %x", secret, err, want)
			}
		})
	}
}

// Against an initiator made by hand.
func TestHybridResponder(t *testing.T) {
	for _, h := range byHands {
		t.Run(h.group.String(), func(t *testing.T) {
			private := must(h.curve.GenerateKey(rand.Reader))
			decapsulator := must(h.generate())
			share, secret, err := Respond(h.group, h.join(private.PublicKey().Bytes(), decapsulator.Encapsulator().Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			pointLen := len(private.PublicKey().Bytes())
			point, ciphertext := h.split(share, len(share)-pointLen)
			fromKEM := must(decapsulator.Decapsulate(ciphertext))
			fromCurve := must(private.ECDH(must(h.curve.NewPublicKey(point))))
			if want := h.join(fromCurve, fromKEM); !bytes.Equal(secret, want) {
				t.Errorf("secret %x\nwant %x", secret, want)
			}
		})
	}
}

// One bad part spoils a share, as good as the other may be. The key stays good for
// the honest share.
func TestHybridBadParts(t *testing.T) {
	for _, h := range byHands {
		key := mustGenerate(t, h.group)
		answer, want, err := Respond(h.group, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		_, responderLen := ShareLen(h.group)
		pointLen := len(must(h.curve.GenerateKey(rand.Reader)).PublicKey().Bytes())
		point, encapsulationKey := h.split(key.Public(), h.keyLen)
		answerPoint, ciphertext := h.split(answer, responderLen-pointLen)

		points := map[string][]byte{"a point of zeros": make([]byte, pointLen)}
		if h.curve == ecdh.X25519() {
			for i, low := range lowOrderPoints(t) {
				points[fmt.Sprintf("point %d of small order", i)] = low
			}
		} else {
			offCurve := bytes.Clone(point)
			offCurve[pointLen-1] ^= 1
			points["a point off the curve"] = offCurve
			points["a hybrid point"] = hybridForm(point)
			points["an x-coordinate over the field"] = overField(map[Group]Group{SecP256r1MLKEM768: P256, SecP384r1MLKEM1024: P384}[h.group], point)
		}
		for name, bad := range points {
			t.Run(fmt.Sprintf("%v/%s", h.group, name), func(t *testing.T) {
				_, secret, err := Respond(h.group, h.join(bad, encapsulationKey))
				refused(t, secret, err)
				secret, err = key.Shared(h.join(bad, ciphertext))
				refused(t, secret, err)
			})
		}

		// FIPS 203, Section 7.2: coefficients are 12 bits, and below the modulus of
		// 3329 = 0xd01. Two of them are in three bytes, the low bits first.
		for name, change := range map[string]func([]byte){
			"first coefficient is 4095":        func(b []byte) { b[0], b[1] = 0xff, b[1]|0x0f },
			"first coefficient is the modulus": func(b []byte) { b[0], b[1] = 0x01, b[1]&0xf0|0x0d },
			"last coefficient is the modulus":  func(b []byte) { b = b[:len(b)-32]; b[len(b)-2], b[len(b)-1] = b[len(b)-2]&0x0f|0x10, 0xd0 },
		} {
			t.Run(fmt.Sprintf("%v/%s", h.group, name), func(t *testing.T) {
				bad := bytes.Clone(encapsulationKey)
				change(bad)
				_, secret, err := Respond(h.group, h.join(point, bad))
				refused(t, secret, err)
			})
		}

		if got, err := key.Shared(h.join(answerPoint, ciphertext)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: the honest share after bad ones: %x, %v, want %x", h.group, got, err, want)
		}
	}
}

// The parts in the order of another group have the right length and are taken for
// what they are not: no group's share passes for another's.
func TestHybridOrderMatters(t *testing.T) {
	for _, h := range byHands {
		t.Run(h.group.String(), func(t *testing.T) {
			point, encapsulationKey := h.split(mustGenerate(t, h.group).Public(), h.keyLen)
			h.kemFirst = !h.kemFirst
			_, secret, err := Respond(h.group, h.join(point, encapsulationKey))
			refused(t, secret, err)
		})
	}
}

// FIPS 203, Section 6.3: a ciphertext that was made for another key, or changed on
// the way, is not refused. It yields a secret that nobody shares.
func TestHybridImplicitRejection(t *testing.T) {
	for _, h := range byHands {
		t.Run(h.group.String(), func(t *testing.T) {
			for _, where := range []int{0, 1, 2, 3} {
				key := mustGenerate(t, h.group)
				answer, theirs, err := Respond(h.group, key.Public())
				if err != nil {
					t.Fatal(err)
				}
				pointLen := len(must(h.curve.GenerateKey(rand.Reader)).PublicKey().Bytes())
				point, ciphertext := h.split(bytes.Clone(answer), len(answer)-pointLen)
				switch where {
				case 3:
					clear(ciphertext)
				default:
					ciphertext[where*(len(ciphertext)-1)/2] ^= 0x80
				}
				ours, err := key.Shared(h.join(point, ciphertext))
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(ours, theirs) || len(ours) != len(theirs) {
					t.Errorf("secrets %x and %x", ours, theirs)
				}
				// The curve's half is the same: only ML-KEM rejected.
				oursOfCurve, oursOfKEM := h.split(ours, mlkem.SharedKeySize)
				theirsOfCurve, theirsOfKEM := h.split(theirs, mlkem.SharedKeySize)
				if !bytes.Equal(oursOfCurve, theirsOfCurve) || bytes.Equal(oursOfKEM, theirsOfKEM) {
					t.Errorf("secrets %x and %x", ours, theirs)
				}
			}
		})
	}
}

// GODEBUG=fips140=only is read when a program starts, so the test starts itself
// once more.
func TestFIPSOnly(t *testing.T) {
	if fips140.Enforced() {
		for _, g := range Default13() {
			initiator, err := Generate(g)
			if g == X25519 {
				if err == nil {
					t.Error("X25519 alone is allowed")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			share, theirs, err := Respond(g, initiator.Public())
			if err != nil {
				t.Fatal(err)
			}
			if ours, err := initiator.Shared(share); err != nil || !bytes.Equal(ours, theirs) {
				t.Errorf("%v: %x, %v, want %x", g, ours, err, theirs)
			}
		}
		return
	}
	self := exec.Command(os.Args[0], "-test.run=^TestFIPSOnly$", "-test.v")
	self.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := self.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPSOnly")) {
		t.Errorf("%v:\n%s", err, out)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
