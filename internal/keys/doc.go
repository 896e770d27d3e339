// Package keys is the TLS 1.2 key schedule as DTLS 1.2 uses it: everything
// that is computed from a handshake's secrets, and nothing that decides when.
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
// Each arrow is the PRF of RFC 5246, Section 5 with a label of its own. The
// hash of the PRF is the cipher suite's: SHA-256 or SHA-384 in practice.
//
// [Transcript] collects the handshake messages that the session hash, the
// Finished messages and a client's CertificateVerify are computed over.
//
// Secrets are returned in fresh slices. Their owner calls [Wipe] when they have
// served. What the standard library keeps inside its hash states is out of
// reach.
package keys
