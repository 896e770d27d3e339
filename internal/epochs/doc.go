// Package epochs keeps the keys of an association, by epoch:
//
//	DTLS 1.2  0 without protection, then one more with each handshake (RFC 6347, Section 4.1)
//	DTLS 1.3  0 without protection, 1 for early data, 2 for the handshake, 3 and up for
//	          data, one more with each KeyUpdate (RFC 9147, Section 6.1)
package epochs
