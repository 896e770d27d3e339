// Package record is the record layer of DTLS 1.2 and 1.3: record headers, record
// numbers, record protection, replay windows and the arithmetic of overhead. It
// knows nothing of handshakes, sockets or clocks, and is usable alone: by packet
// tools, gateways and tests.
//
// # A record
//
// A datagram holds one or more records. There are two layouts. RFC 6347, Section
// 4.1 has a header of 13 bytes, for all records of DTLS 1.2 and for the plaintext
// of DTLS 1.3:
//
//	 0      1        3        5                 11       13
//	+------+--------+--------+-----------------+--------+------------------+
//	| type | version| epoch  | sequence number | length | fragment ...     |
//	+------+--------+--------+-----------------+--------+------------------+
//
// In epoch 0 the fragment is the plaintext. In a protected epoch of DTLS 1.2 it
// is what the AEAD made of it, after an explicit nonce where the cipher suite has
// one:
//
//	| explicit nonce, 8 or 0 bytes | ciphertext, as long as the plaintext | tag, 16 or 8 bytes |
//
// RFC 9147, Section 4 has the unified header, for the protected records of DTLS
// 1.3. Its first byte says what follows: with C a connection ID, with S two bytes
// of sequence number instead of one, with L a length. EE are the low bits of the
// epoch. The number is encrypted.
//
//	+----------+- - - - - - - -+--------+- - - - +----------------------+
//	| 001CSLEE | connection ID | number | length | encrypted_record ... |
//	+----------+- - - - - - - -+--------+- - - - +----------------------+
//
// The encrypted record is made of the content, its type and any number of zeros
// which hide the length of the content:
//
//	| ciphertext of: content | type | zeros | tag, 16 or 8 bytes |
//
// # Reading
//
// [Next] and [NextUnified] cut a datagram into records; [IsUnified] tells which
// of them is for the next one. An [Opener12] or [Opener13] per epoch turns a
// record into its plaintext, in place:
//
//	for len(datagram) > 0 {
//		if record.IsUnified(datagram[0]) {
//			u, rest, err := record.NextUnified(datagram, cidLen)
//			if err != nil {
//				break // the remainder is not a record: drop it
//			}
//			datagram = rest
//			contentType, plaintext, number, err := openers[u.EpochBits].Open(u)
//			…
//			continue
//		}
//		h, fragment, rest, err := record.Next(datagram)
//		if err != nil {
//			break
//		}
//		datagram = rest
//		plaintext, err := opener.Open(h, fragment)
//		…
//	}
//
// # Writing
//
// A [Sealer12] or [Sealer13] per epoch appends records to a datagram.
// [AEAD.MaxData12] and [AEAD.MaxData13] tell how many bytes of data fit a
// datagram of a given size.
//
// # Rules
//
// Three sizes are told apart: the datagram is a UDP payload, the record is one
// header with its fragment, the fragment is what follows the header. All are in
// bytes. Types and functions with the suffix 12 or 13 hold rules of one version.
//
// Nothing here locks: a half of an epoch or a [Window] belongs to one goroutine
// at a time. The two halves of an epoch share nothing, so one may write while
// another reads. Sealing into a buffer with room, opening, and every refusal to
// do either allocate nothing.
package record
