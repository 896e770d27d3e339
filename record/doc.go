// Package record is the record layer of DTLS: record headers, record numbers,
// record protection, replay windows and the arithmetic of overhead. It knows
// nothing of handshakes, sockets or clocks, and is usable alone: by packet
// tools, gateways and tests.
//
// # A record
//
// A datagram holds one or more records. RFC 6347, Section 4.1 gives each a
// header of 13 bytes:
//
//	 0      1        3        5                 11       13
//	+------+--------+--------+-----------------+--------+------------------+
//	| type | version| epoch  | sequence number | length | fragment ...     |
//	+------+--------+--------+-----------------+--------+------------------+
//
// In epoch 0 the fragment is the plaintext. In a protected epoch it is what the
// AEAD made of it, after an explicit nonce where the cipher suite has one:
//
//	| explicit nonce, 8 or 0 bytes | ciphertext, as long as the plaintext | tag, 16 or 8 bytes |
//
// # Reading
//
// [Next] cuts a datagram into records; an [Opener12] per epoch turns fragments
// into plaintexts, in place:
//
//	for len(datagram) > 0 {
//		h, fragment, rest, err := record.Next(datagram)
//		if err != nil {
//			break // the remainder is not a record: drop it
//		}
//		datagram = rest
//		plaintext, err := opener.Open(h, fragment)
//		…
//	}
//
// # Writing
//
// A [Sealer12] per epoch appends records to a datagram. [AEAD.MaxData12] tells
// how many bytes of data fit a datagram of a given size.
//
// # Rules
//
// Three sizes are told apart: the datagram is a UDP payload, the record is one
// header with its fragment, the fragment is what follows the header. All are in
// bytes. Types and functions with the suffix 12 hold rules of DTLS 1.2 alone.
//
// Nothing here locks: a Sealer12, an Opener12 or a [Window] belongs to one
// goroutine at a time. The two halves of an epoch share nothing, so one may
// write while another reads. Sealing into a buffer with room, opening, and
// every refusal to do either allocate nothing.
package record
