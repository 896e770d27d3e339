// Package interval keeps track of which bytes of a message are there.
//
// A handshake message travels in fragments, and each fragment names the bytes
// it carries: fragment_offset and fragment_length. Fragments come late, twice,
// in any order and, after a retransmission with a smaller MTU, cut in other
// places (RFC 6347, Section 4.2.3; RFC 9147, Section 5.5). A [Set] answers the
// three questions this raises, and the same type answers them on both sides:
//
//   - the receiver: which bytes have arrived, and is the message complete?
//   - the sender: which bytes have been acknowledged (RFC 9147, Section 7)?
//   - the sender: which bytes are to be sent next?
//
// All offsets are in bytes from the start of the message body, all ranges are
// half-open: [lo, hi) holds lo and does not hold hi.
package interval
