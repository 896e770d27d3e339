// Package keys is the key schedules of DTLS 1.2 and 1.3: everything that is
// computed from a handshake's secrets, and nothing that decides when.
//
// In DTLS 1.2 each arrow is the PRF of RFC 5246, Section 5 with a label of its
// own:
//
//	premaster secret            (EC)DHE result, or PSKPremaster of a PSK
//	      |
//	      |  ExtendedMasterSecret12 over the session hash   (RFC 7627), or
//	      |  MasterSecret12 over the two randoms            (RFC 5246)
//	      v
//	master secret, 48 bytes
//	      |
//	      +--> KeyBlock12      write keys and IVs of both sides
//	      +--> VerifyData12    the Finished messages
//	      +--> Exporter12      keys for SRTP and others      (RFC 5705)
//	      +--> KeyLogLine      so that a capture can be read
//
// In DTLS 1.3 it is the schedule of TLS 1.3 over HKDF (RFC 8446, Section 7) with
// another label prefix (RFC 9147, Section 5.9):
//
//	PSK, (EC)DHE result, hashes of the transcript
//	      |
//	      v
//	Schedule13 --> binder key ----------------> VerifyData13   PSK binders
//	      +------> handshake traffic secrets -> VerifyData13   the Finished messages
//	      |                                +--> TrafficKeys13  keys of an epoch
//	      +------> application traffic secrets > TrafficKeys13
//	      |                                +--> NextTraffic13  after a KeyUpdate
//	      +------> exporter secret -----------> Exporter13     keys for SRTP and others
//	      +------> resumption secret ---------> TicketPSK13    a PSK for the next time
//
// The hash of either is the cipher suite's: SHA-256 or SHA-384 in practice.
//
// [Transcript] collects the handshake messages that are hashed or signed.
//
// Secrets are returned in fresh slices. Their owner calls [Wipe] when they have
// served. What the standard library keeps inside its hash states is out of
// reach. Nothing here branches on a secret or indexes by one; who compares two
// of them does it with hmac.Equal.
package keys
