package cookie

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"time"
)

// Len is the length of every cookie in bytes. RFC 6347, Section 4.2.1 allows 255
// in DTLS 1.2.
const Len = macAt + macLen

// The layout, see the package comment.
const (
	keyAt   = 0
	nodeAt  = 1
	stampAt = 2
	macAt   = 4
	macLen  = 16
)

const (
	// MinSecret is the least length of a secret in bytes: 128 bits, if they are
	// random.
	MinSecret = 16

	// MaxSecrets is how many secrets a Jar takes: the present one, the one before
	// and the next. A cookie that nobody minted costs one MAC for each of them.
	MaxSecrets = 3
)

// Jar makes cookies and checks them. It is not safe for concurrent use: the
// caller serialises.
type Jar struct {
	secrets []secret  // the first one mints, all of them check
	origin  time.Time // when period 0 began
	node    byte

	scratch [128]byte // what goes into the MAC; a field, so that it is not allocated each time
	sum     [32]byte  // what comes out
}

// secret is what the keys of all periods are made from.
type secret struct {
	bytes []byte
	keys  [3]key // derived when first needed, see keyOf
}

// key is what a period's cookies are made with.
type key struct {
	period int64
	mac    hash.Hash // nil: not derived
	mask   [macAt - nodeAt]byte
}

// NewJar makes a Jar with up to three secrets of at least 16 bytes each, which
// are copied. The first one makes cookies, and cookies of all are good: so a
// secret can be replaced while cookies are under way.
//
// Servers with the same secrets accept each other's cookies, as long as their
// clocks agree to half a minute: the periods are those of the wall clock.
// Without secrets the Jar makes a random one; its periods begin at now, and
// follow the monotonic clock if now has a reading of it, so that setting the
// wall clock does not disturb them.
func NewJar(now time.Time, secrets ...[]byte) (*Jar, error) {
	j := &Jar{origin: time.Unix(0, 0)}
	if len(secrets) == 0 {
		random := make([]byte, 32)
		rand.Read(random) // never fails
		secrets, j.origin = [][]byte{random}, now
	}
	if len(secrets) > MaxSecrets {
		return nil, fmt.Errorf("%d cookie secrets, want %d at most", len(secrets), MaxSecrets)
	}
	for _, s := range secrets {
		if len(s) < MinSecret {
			return nil, fmt.Errorf("cookie secret of %d bytes, want %d or more", len(s), MinSecret)
		}
		j.secrets = append(j.secrets, secret{bytes: bytes.Clone(s)})
	}
	var node [1]byte
	rand.Read(node[:])
	j.node = node[0]
	return j, nil
}

// Clone returns a Jar with the same secrets and clock, for another goroutine: each
// accepts the cookies of the other and finds their round-trip time.
func (j *Jar) Clone() *Jar {
	c := &Jar{origin: j.origin, node: j.node}
	for i := range j.secrets {
		c.secrets = append(c.secrets, secret{bytes: j.secrets[i].bytes})
	}
	return c
}

// Mint appends a cookie to dst: Len bytes. It is bound to the address and port,
// and to the covered parts of the ClientHello, in their order and each with its
// length.
//
// RFC 6347, Section 4.2.1 says what SHOULD be covered in DTLS 1.2: the
// parameters of the ClientHello, version, random, session_id, cipher_suites and
// compression_method. A port is covered because a NAT has many peers behind one
// address.
//
// It allocates nothing if dst has room, but for one key in each period.
func (j *Jar) Mint(dst []byte, now time.Time, addr netip.AddrPort, covered ...[]byte) []byte {
	period, stamp := j.clock(now)
	k := j.secrets[0].keyOf(period)

	var c [Len]byte
	c[keyAt] = byte(period)
	c[nodeAt] = j.node
	binary.BigEndian.PutUint16(c[stampAt:], stamp)
	k.applyMask(&c)
	j.authenticate(k, &c, addr, covered)
	copy(c[macAt:], j.sum[:macLen])
	return append(dst, c[:]...)
}

// Check reports whether a cookie was minted for this address and these covered
// parts, not too long ago. Anything else is simply not ok: no cookie, one of
// another length, one that was changed or has expired.
//
// With ok comes the round-trip time since Mint, which includes however long the
// peer took to answer, and a loss if there was one. It is not known if another
// server made the cookie, or if the clock went back meanwhile.
//
// A cookie can be used again while it lives, by whoever has that address. The
// caller looks for a ClientHello that was sent twice.
func (j *Jar) Check(now time.Time, cookie []byte, addr netip.AddrPort, covered ...[]byte) (rtt time.Duration, rttKnown, ok bool) {
	if len(cookie) != Len {
		return 0, false, false
	}
	c := [Len]byte(cookie)
	current, elapsed := j.clock(now)
	period, ok := periodNear(current, c[keyAt])
	if !ok {
		return 0, false, false
	}
	k := j.minter(period, &c, addr, covered)
	if k == nil {
		return 0, false, false
	}
	k.applyMask(&c)
	if c[nodeAt] != j.node {
		return 0, false, true
	}
	stamp := binary.BigEndian.Uint16(c[stampAt:])
	rtt = time.Duration(current-period)*periodLen + time.Duration(int(elapsed)-int(stamp))*time.Millisecond
	if rtt < 0 {
		return 0, false, true
	}
	return rtt, true, true
}

// minter returns the key of that period which made the cookie, nil if none did.
func (j *Jar) minter(period int64, c *[Len]byte, addr netip.AddrPort, covered [][]byte) *key {
	for i := range j.secrets {
		k := j.secrets[i].keyOf(period)
		j.authenticate(k, c, addr, covered)
		if hmac.Equal(c[macAt:], j.sum[:macLen]) { // constant time
			return k
		}
	}
	return nil
}

// authenticate computes into j.sum the MAC of a cookie's first four bytes, masked
// as they are sent, and of what it is bound to. Each part has its length before
// it, so no two lists of parts are the same bytes.
func (j *Jar) authenticate(k *key, c *[Len]byte, addr netip.AddrPort, covered [][]byte) {
	k.mac.Reset()

	ip := addr.Addr().As16() // IPv4 as IPv4-mapped: a dual-stack socket may report either
	b := append(j.scratch[:0], c[:macAt]...)
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	zone := addr.Addr().Zone() // fe80::1 on another link is another peer
	b = binary.BigEndian.AppendUint32(b, uint32(len(zone)))
	k.mac.Write(b)
	for len(zone) > 0 {
		n := copy(j.scratch[:], zone)
		k.mac.Write(j.scratch[:n])
		zone = zone[n:]
	}

	for _, part := range covered {
		k.mac.Write(binary.BigEndian.AppendUint32(j.scratch[:0], uint32(len(part))))
		for len(part) > 0 { // by way of scratch, or the caller's bytes would have to live on the heap
			n := copy(j.scratch[:], part)
			k.mac.Write(j.scratch[:n])
			part = part[n:]
		}
	}
	k.mac.Sum(j.sum[:0])
}

// applyMask hides the node and the stamp, or brings them back.
func (k *key) applyMask(c *[Len]byte) {
	for i, m := range k.mask {
		c[nodeAt+i] ^= m
	}
}
