package ccm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

const (
	// NonceSize is the length in bytes of the nonce an AEAD from [New] takes.
	NonceSize = 12

	// MaxPlaintext is the longest plaintext in bytes an AEAD from [New] seals:
	// RFC 3610, Section 2: the length field has L = 3 bytes.
	MaxPlaintext = 1<<(8*(15-NonceSize)) - 1

	blockSize = 16
)

var (
	errBlockSize = errors.New("dtls: ccm needs a block cipher with 16-byte blocks")
	errTagSize   = errors.New("dtls: ccm tag is neither 8 nor 16 bytes long")
	errOpen      = errors.New("dtls: ccm message authentication failed")
)

// New returns CCM over the given block cipher, with a nonce of [NonceSize]
// bytes and a tag of tagSize bytes: 16, or 8 for the CCM_8 suites.
//
// The result follows the contract of [cipher.AEAD]: in particular it panics on a
// nonce of the wrong length and on a plaintext longer than [MaxPlaintext], both
// mistakes of the caller and never of a peer. Output and input must overlap
// entirely or not at all. Neither Seal nor Open allocates when dst has room.
//
// It departs from the standard library's AEADs in one point: the working blocks
// live inside, so it must not be used by two goroutines at once.
func New(block cipher.Block, tagSize int) (cipher.AEAD, error) {
	if block.BlockSize() != blockSize {
		return nil, errBlockSize
	}
	if tagSize != 8 && tagSize != 16 {
		return nil, errTagSize
	}
	return newSized(block, NonceSize, tagSize), nil
}

// newSized is CCM with any sizes that RFC 3610, Section 2 allows: nonces of 7
// to 13 bytes, tags of 4, 6, ..., 16 bytes. The published test vectors need it.
func newSized(block cipher.Block, nonceSize, tagSize int) *ccm {
	return &ccm{block: block, nonceSize: uint8(nonceSize), tagSize: uint8(tagSize)}
}

type ccm struct {
	block     cipher.Block
	nonceSize uint8
	tagSize   uint8

	// The blocks of the message at work. They are fields since a buffer handed
	// to an interface method would otherwise be allocated for each message.
	mac     [blockSize]byte     // CBC-MAC so far
	counter [blockSize]byte     // A_i
	stream  [2 * blockSize]byte // E(A_i) | E(A_i+1): two to overlap, few to keep an idle peer small
}

func (c *ccm) NonceSize() int { return int(c.nonceSize) }
func (c *ccm) Overhead() int  { return int(c.tagSize) }

// Seal implements [cipher.AEAD].
func (c *ccm) Seal(dst, nonce, plaintext, additionalData []byte) []byte {
	c.begin(nonce, additionalData, len(plaintext))
	out, body := extend(dst, len(plaintext)+c.Overhead())
	c.encrypt(body, plaintext)
	c.finish()
	copy(body[len(plaintext):], c.mac[:c.tagSize])
	c.forget()
	return out
}

// Open implements [cipher.AEAD]. When the message is not authentic, the bytes
// it decrypted to are zeroed before Open returns.
func (c *ccm) Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error) {
	size := len(ciphertext) - c.Overhead()
	if size < 0 {
		return nil, errOpen
	}
	ciphertext, tag := ciphertext[:size], ciphertext[size:]
	c.begin(nonce, additionalData, size)
	out, body := extend(dst, size)
	c.decrypt(body, ciphertext)
	c.finish()
	authentic := subtle.ConstantTimeCompare(c.mac[:c.tagSize], tag) == 1
	c.forget()
	if !authentic {
		clear(body)
		return nil, errOpen
	}
	return out, nil
}

// begin sets up the counter and brings the MAC up to the first plaintext block.
func (c *ccm) begin(nonce, additionalData []byte, size int) {
	if len(nonce) != int(c.nonceSize) {
		panic("dtls: wrong nonce length given to ccm")
	}
	lengthSize := 15 - len(nonce)
	if uint64(size) > c.maxPlaintext() {
		panic("dtls: message too long for ccm")
	}

	// RFC 3610, Section 2.3: A_0, whose counter field is zero.
	c.counter = [blockSize]byte{0: byte(lengthSize - 1)}
	copy(c.counter[1:], nonce)

	// RFC 3610, Section 2.2: B_0. The nonce is written last: it covers the
	// leading zeros of a length that is narrower than eight bytes.
	c.mac = [blockSize]byte{}
	binary.BigEndian.PutUint64(c.mac[8:], uint64(size))
	copy(c.mac[1:], nonce)
	c.mac[0] = (c.tagSize-2)/2<<3 | byte(lengthSize-1)
	if len(additionalData) > 0 {
		c.mac[0] |= 1 << 6
	}
	c.block.Encrypt(c.mac[:], c.mac[:])
	c.authenticate(additionalData)
}

// maxPlaintext is 2^(8L) - 1 bytes, and never so long that a 32-bit block count wraps.
func (c *ccm) maxPlaintext() uint64 {
	return 1<<min(8*(15-int(c.nonceSize)), 35) - 1
}

// authenticate adds the additional data to the MAC, its length first and zeros
// at the end: RFC 3610, Section 2.2.
func (c *ccm) authenticate(data []byte) {
	if len(data) == 0 {
		return
	}
	var buf [10]byte
	length := encodeLength(buf[:0], uint64(len(data)))
	subtle.XORBytes(c.mac[:], c.mac[:], length)
	n := subtle.XORBytes(c.mac[len(length):], c.mac[len(length):], data)
	c.block.Encrypt(c.mac[:], c.mac[:])
	c.absorb(data[n:])
}

// encodeLength appends the length of the additional data, in the shortest of
// the three forms of RFC 3610, Section 2.2.
func encodeLength(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<16-1<<8:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, 0xff, 0xfe), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xff, 0xff), n)
	}
}

// encrypt seals src into dst, which are the same bytes or apart.
func (c *ccm) encrypt(dst, src []byte) {
	for len(src) > 0 {
		stream := c.keyStream(len(src))
		c.absorb(src[:len(stream)])
		n := subtle.XORBytes(dst, src, stream)
		dst, src = dst[n:], src[n:]
	}
}

// decrypt is encrypt the other way: the MAC is over what comes out.
func (c *ccm) decrypt(dst, src []byte) {
	for len(src) > 0 {
		n := subtle.XORBytes(dst, src, c.keyStream(len(src)))
		c.absorb(dst[:n])
		dst, src = dst[n:], src[n:]
	}
}

// keyStream returns the next bytes of E(A_1) | E(A_2) | ...: as many as wanted
// or the whole buffer, whichever is less. The counter is L bytes wide; its
// low four never overflow into the nonce, by maxPlaintext.
func (c *ccm) keyStream(want int) []byte {
	stream := c.stream[:min(want, len(c.stream))]
	low := c.counter[blockSize-4:]
	for i := 0; i < len(stream); i += blockSize {
		binary.BigEndian.PutUint32(low, binary.BigEndian.Uint32(low)+1)
		c.block.Encrypt(c.stream[i:], c.counter[:])
	}
	return stream
}

// absorb runs data through the MAC, zeros filling its last block.
func (c *ccm) absorb(data []byte) {
	for len(data) > 0 {
		n := subtle.XORBytes(c.mac[:], c.mac[:], data)
		c.block.Encrypt(c.mac[:], c.mac[:])
		data = data[n:]
	}
}

// finish turns the MAC into the tag: RFC 3610, Section 2.3: T XOR first-M-bytes(E(A_0)).
func (c *ccm) finish() {
	clear(c.counter[1+c.nonceSize:])
	c.block.Encrypt(c.stream[:], c.counter[:])
	subtle.XORBytes(c.mac[:], c.mac[:], c.stream[:])
}

// forget zeroes what the message left in the working blocks.
func (c *ccm) forget() {
	clear(c.mac[:])
	clear(c.stream[:])
}

// extend grows dst by n bytes, and returns the whole and its new tail.
func extend(dst []byte, n int) (whole, tail []byte) {
	total := len(dst) + n
	if cap(dst) >= total {
		whole = dst[:total]
	} else {
		whole = make([]byte, total)
		copy(whole, dst)
	}
	return whole, whole[len(dst):]
}
