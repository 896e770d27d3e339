package keys

import "crypto"

// Traffic13 is what protects the records of one side in one epoch.
type Traffic13 struct {
	Key []byte // of the AEAD
	IV  []byte // 12 bytes; the record number is added to it (RFC 8446, Section 5.3)
	SN  []byte // encrypts record numbers (RFC 9147, Section 4.2.3), as long as Key
}

// ivLen13 is iv_length: 12 for every AEAD of DTLS 1.3 (RFC 8446, Section 5.3;
// RFC 5116, Sections 5.1 and 5.3; RFC 8439, Section 2.8).
const ivLen13 = 12

// TrafficKeys13 expands a traffic secret into keys of keyLen bytes.
//
// RFC 8446, Section 7.3; the key for record numbers is DTLS's own, RFC 9147,
// Section 4.2.3.
func TrafficKeys13(h crypto.Hash, secret []byte, keyLen int) Traffic13 {
	e := newExpander13(h, secret)
	return Traffic13{
		Key: e.expand("key", nil, keyLen),
		IV:  e.expand("iv", nil, ivLen13),
		SN:  e.expand("sn", nil, keyLen),
	}
}

// Wipe overwrites the keys. They must have been handed to a cipher before, and
// that cipher must not hold on to the slices.
func (t Traffic13) Wipe() { Wipe(t.Key, t.IV, t.SN) }

// NextTraffic13 returns the traffic secret that a KeyUpdate brings.
//
// RFC 8446, Section 7.2. It goes forward only: once the old secret is wiped, what
// it protected is safe from whoever learns the new one.
func NextTraffic13(h crypto.Hash, secret []byte) []byte {
	return expandLabel13(h, secret, "traffic upd", nil, h.Size())
}

// TicketPSK13 returns the PSK that goes with a NewSessionTicket and its
// ticket_nonce, of 255 bytes at most (RFC 8446, Section 4.6.1).
func TicketPSK13(h crypto.Hash, resumptionMaster, nonce []byte) []byte {
	return expandLabel13(h, resumptionMaster, "resumption", nonce, h.Size())
}
