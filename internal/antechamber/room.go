package antechamber

import (
	"crypto/sha256"
	"math/rand/v2"
	"net/netip"
	"time"
)

// The sizes of a Room.
const (
	buckets = 128
	places  = 8 // in a bucket

	// Life is how long a hello is kept after its first fragment. It is the
	// first retransmission timer of most clients: what has not come together by
	// then begins anew.
	Life = time.Second

	// MaxHello is the longest hello that is held, in bytes of its body.
	MaxHello = 4096

	// MinFragment is the least that a fragment carries, in bytes, unless it is
	// the last one of its hello. It bounds how many pieces there are.
	MinFragment = 32
)

// Key tells hellos apart: where they come from and what every fragment says of
// the whole. The first hello of a client and the one with a cookie differ in
// Seq.
type Key struct {
	From   netip.AddrPort
	Length uint32 // bytes of the hello's body
	Seq    uint16 // message_seq
}

// Fragment is a piece of a hello.
type Fragment struct {
	Offset uint32
	Body   []byte // copied
	Record uint64 // number of the record it came in
	Size   int    // of the datagram, in bytes, as far as it is not credited yet
}

func (f *Fragment) end() uint32 { return f.Offset + uint32(len(f.Body)) }

// Room holds hellos. It is not safe for concurrent use.
type Room struct {
	salt    [16]byte
	chance  *rand.ChaCha8
	buckets [buckets]*bucket
	found   [places]*Hello // what Add returns, so that it is not allocated each time
}

type bucket [places]Hello

// New makes an empty Room. The seed decides who sits beside whom and who loses
// his place, and must not be known to strangers.
func New(seed [32]byte) *Room {
	r := &Room{chance: rand.NewChaCha8(seed)}
	_, _ = r.chance.Read(r.salt[:]) // never fails
	return r
}

// Fits reports whether a fragment is held at all: its hello is not too long, and
// it is neither too small nor empty. The caller has checked that it lies within
// its hello.
func Fits(k Key, f Fragment) bool {
	return k.Length <= MaxHello && len(f.Body) > 0 && (len(f.Body) >= MinFragment || f.end() == k.Length)
}

// Add takes a fragment, for which Fits must hold, and returns the hellos that
// have it now: the one it belongs to, or several if fragments contradict each
// other. They are valid until the next call.
func (r *Room) Add(now time.Time, k Key, f Fragment) []*Hello {
	k.From = netip.AddrPortFrom(k.From.Addr().Unmap(), k.From.Port()) // a dual-stack socket may report either
	b := r.bucketOf(k.From.Addr())
	found := r.found[:0]
	for i := range b {
		h := &b[i]
		if h.alive(now) && h.key == k && h.accepts(f) {
			h.add(f)
			f.Size = 0 // credited once
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		h := r.placeIn(b, now)
		h.begin(now, k)
		h.add(f)
		found = append(found, h)
	}
	return found
}

// Begun reports whether the start of a hello with that key is here.
func (r *Room) Begun(now time.Time, k Key) bool {
	k.From = netip.AddrPortFrom(k.From.Addr().Unmap(), k.From.Port())
	b := r.bucketOf(k.From.Addr())
	for i := range b {
		if h := &b[i]; h.alive(now) && h.key == k && len(h.Prefix()) > 0 {
			return true
		}
	}
	return false
}

// bucketOf finds the bucket of an address's network: /24, and in IPv6 the /56
// that a household gets. It is made if this is its first use.
func (r *Room) bucketOf(a netip.Addr) *bucket {
	bits := 56
	if a.Is4() {
		bits = 24
	}
	var in [len(r.salt) + 16]byte
	copy(in[:], r.salt[:])
	if network, err := a.WithZone("").Prefix(bits); err == nil { // else there is no address, and they share one
		ip := network.Addr().As16()
		copy(in[len(r.salt):], ip[:])
	}
	sum := sha256.Sum256(in[:])
	b := &r.buckets[sum[0]%buckets]
	if *b == nil {
		*b = new(bucket)
	}
	return *b
}

// placeIn finds a place for a newcomer: a free one, or that of one of two picked
// by chance, the less worthy of them.
func (r *Room) placeIn(b *bucket, now time.Time) *Hello {
	for i := range b {
		if !b[i].alive(now) {
			return &b[i]
		}
	}
	n := r.chance.Uint64()
	one := n % places
	other := (one + 1 + n/places%(places-1)) % places
	if b[other].worth() < b[one].worth() {
		one = other
	}
	return &b[one]
}
