// Package message turns handshake messages into Go values and back.
//
// A handshake message travels as one or more fragments, each with a 12-byte [Header]. [NextFragment] takes fragments off
// a record; whoever joins them hands the whole body to [Parse], and what comes back is already legal: the lengths
// match, nothing trails, no extension appears twice, and no value is one the RFC forbids outright. What this package
// cannot know, namely whether a value was offered or fits the moment, is for the handshake to judge.
//
// Messages that DTLS 1.2 and 1.3 write differently under one type have a Go type each, the latter with 13 in its name;
// the [KeyExchange] given to [Parse] decides. Both hellos serve both versions. Of an extension that we have a name for,
// parsing also checks that it may stand in its message of DTLS 1.3.
//
// Strangers are cheap: [PeekClientHello] reads the start of a ClientHello and [ScanClientHello] a whole one without
// allocating. An ACK, which is no handshake message but speaks of their records, is read by [ParseACK].
//
// # Reading the code beside the RFC
//
// There is one message per file, with parse and append side by side and the fields in the order of the RFC's struct. The
// presentation language of RFC 5246, Section 4 maps onto method calls one to one:
//
//	opaque session_id<0..32>;          m.SessionID = r.vector("session_id", 0, 32)
//	CipherSuite cipher_suites<2..2^16-2>;  m.CipherSuites = r.list("cipher_suites", 2, max16-1).uint16s()
//
// # Errors
//
// Every error is an [*alert.Error]: decode_error for syntax, illegal_parameter for a duplicate or a forbidden value,
// missing_extension for one that must be there, unexpected_message for a message that cannot stand here. A message of ours
// that cannot be written is our own fault and fails with internal_error before a byte of it leaves.
//
// # Memory
//
// A parsed message may alias the body it came from: keep the body unchanged for as long as the message is in use. Slices
// are cut to their capacity, so appending to one never writes into its neighbour.
package message
