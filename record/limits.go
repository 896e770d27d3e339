package record

import "math"

// How often one key may be used. RFC 9147, Section 4.5.3 asks that any suite
// used with DTLS has a limit on the records it protects and a limit on the
// records it refuses, since DTLS goes on after a forgery where TLS ends. That
// reasoning is about the AEADs, not about the version, and holds for DTLS 1.2.
const (
	// unlimited leaves the end to the sequence numbers.
	unlimited = math.MaxUint64

	// RFC 9846, Section 5.5: 2^24.5 full-size records under AES-GCM, for an
	// advantage of 2^-60 against confidentiality. Keys MUST be replaced before.
	gcmConfidentiality = 23_726_566

	// RFC 9147, Appendix B.1: (2l * q)^2 / 2^128 <= 2^-60 with records of
	// l = 2^10 blocks gives q <= 2^23. The length of the tag plays no part.
	ccmConfidentiality = 1 << 23

	// RFC 9147, Section 4.5.3: 2^36 for AES-GCM and ChaCha20-Poly1305.
	defaultIntegrity = 1 << 36

	// RFC 9147, Appendix B.2: v + q <= 2^24.5 for an advantage of 2^-57, and so
	// v <= 2^23.5 beside q = 2^23.
	ccmIntegrity = 11_863_283

	// RFC 9147, Appendix B.3: v / 2^64 <= 2^-57 gives v <= 2^7. A stranger who
	// can guess addresses, ports and a fresh number reaches this with 128
	// datagrams and so can end an association. We accept this rather than a
	// forgery: an association can be built again. A deployment that keeps
	// strangers out by other means (a closed radio network, a filter in
	// front) may raise it with SetLimit, by its own reckoning of v / 2^64. The
	// suites are for such deployments, and no default offers them.
	ccm8Integrity = 1 << 7
)

// ConfidentialityLimit is the number of records one key may protect. For
// [ChaCha20Poly1305] and [None] sequence numbers run out first (RFC 9846,
// Section 5.5), which the largest uint64 stands for.
func (a AEAD) ConfidentialityLimit() uint64 {
	switch a {
	case AES128GCM, AES256GCM:
		return gcmConfidentiality
	case AES128CCM, AES256CCM, AES128CCM8, AES256CCM8:
		return ccmConfidentiality
	case None, ChaCha20Poly1305:
		return unlimited
	default:
		return 0
	}
}

// IntegrityLimit is the number of records that fail authentication after which
// one key must no longer be used. [None] authenticates nothing and has no
// limit, which the largest uint64 stands for.
func (a AEAD) IntegrityLimit() uint64 {
	switch a {
	case AES128GCM, AES256GCM, ChaCha20Poly1305:
		return defaultIntegrity
	case AES128CCM, AES256CCM:
		return ccmIntegrity
	case AES128CCM8, AES256CCM8:
		return ccm8Integrity
	case None:
		return unlimited
	default:
		return 0
	}
}
