package cookie

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// periodLen is how long a key is used to make cookies. Its milliseconds fit into
// the 16 bits of a stamp.
const periodLen = 30 * time.Second

// clock tells the period of a point in time and the milliseconds since it began.
func (j *Jar) clock(now time.Time) (period int64, stamp uint16) {
	elapsed := now.Sub(j.origin)
	period = int64(elapsed / periodLen)
	rest := elapsed % periodLen
	if rest < 0 { // before origin: round down, not to zero
		period--
		rest += periodLen
	}
	return period, uint16(rest / time.Millisecond)
}

// periodNear finds the period that a cookie's key byte means: the current one,
// the one before, or the one after. A cookie comes from the one after if another
// server's clock is ahead, or if ours was set back.
func periodNear(current int64, keyByte byte) (period int64, ok bool) {
	ahead := int8(keyByte - byte(current))
	return current + int64(ahead), -1 <= ahead && ahead <= 1
}

// keyOf returns the key of a period. Three are kept, those that may be asked for
// within one period; a stranger's cookie cannot make us derive others.
func (s *secret) keyOf(period int64) *key {
	n := int64(len(s.keys))
	k := &s.keys[(period%n+n)%n] // a period before origin is negative
	if k.mac == nil || k.period != period {
		*k = deriveKey(s.bytes, period)
	}
	return k
}

// deriveKey makes the key of a period from the secret: HKDF (RFC 5869), its info
// the purpose and the number of the period.
func deriveKey(secret []byte, period int64) key {
	k := key{period: period}
	info := binary.BigEndian.AppendUint64([]byte("flightpath cookie "), uint64(period))
	out, err := hkdf.Key(sha256.New, secret, nil, string(info), sha256.Size+len(k.mask))
	if err != nil {
		panic("cookie: " + err.Error()) // only for more than 255 blocks
	}
	k.mac = hmac.New(sha256.New, out[:sha256.Size])
	copy(k.mask[:], out[sha256.Size:])
	clear(out)
	return k
}
