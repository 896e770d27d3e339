package auth

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PSSPublicKey is an RSA key that its certificate restricts to RSASSA-PSS (RFC
// 4055, Section 1.2). Such a key signs with the rsa_pss_pss schemes only, an
// ordinary RSA key never with them (RFC 8446, Section 4.2.3).
//
// crypto/x509 does not know the restriction: it leaves such a certificate's
// PublicKey nil, and takes no such key for a CA's.
type PSSPublicKey struct {
	RSA  *rsa.PublicKey
	Hash crypto.Hash // the only hash allowed, 0: any
}

// allows reports whether the key may be used with a hash.
func (k *PSSPublicKey) allows(h crypto.Hash) bool { return k.Hash == 0 || k.Hash == h }

// publicKey returns the key of a certificate, nil if its type is unknown.
func publicKey(cert *x509.Certificate) (crypto.PublicKey, error) {
	if cert.PublicKey != nil {
		return cert.PublicKey, nil
	}
	spki := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	var bits asn1.BitString
	if !spki.ReadASN1(&spki, cryptobyteasn1.SEQUENCE) ||
		!spki.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!spki.ReadASN1BitString(&bits) || !spki.Empty() {
		return nil, errors.New("malformed public key")
	}
	if !oid.Equal(oidPSS) {
		return nil, nil
	}
	key, err := parseRSAPublicKey(bits)
	if err != nil {
		return nil, err
	}
	pss := &PSSPublicKey{RSA: key}
	if !algorithm.Empty() {
		if pss.Hash, err = parsePSSParams(algorithm); err != nil {
			return nil, err
		}
	}
	return pss, nil
}

var (
	oidPSS  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10} // id-RSASSA-PSS
	oidMGF1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}  // id-mgf1

	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
)

// parseRSAPublicKey reads an RSAPublicKey (RFC 8017, Appendix A.1.1).
func parseRSAPublicKey(bits asn1.BitString) (*rsa.PublicKey, error) {
	if bits.BitLength%8 != 0 {
		return nil, errors.New("malformed RSA key")
	}
	der := cryptobyte.String(bits.Bytes)
	key := &rsa.PublicKey{N: new(big.Int)}
	if !der.ReadASN1(&der, cryptobyteasn1.SEQUENCE) ||
		!der.ReadASN1Integer(key.N) || key.N.Sign() <= 0 ||
		!der.ReadASN1Integer(&key.E) || key.E <= 0 || !der.Empty() {
		return nil, errors.New("malformed RSA key")
	}
	return key, nil
}

// parsePSSParams reads the RSASSA-PSS-params of a public key (RFC 4055, Section
// 3.1) and returns the hash they leave:
//
//	RSASSA-PSS-params ::= SEQUENCE {
//	    hashAlgorithm     [0] HashAlgorithm DEFAULT sha1,
//	    maskGenAlgorithm  [1] MaskGenAlgorithm DEFAULT mgf1SHA1,
//	    saltLength        [2] INTEGER DEFAULT 20,
//	    trailerField      [3] INTEGER DEFAULT 1 }
//
// The TLS schemes use one hash for the message and the mask, and a salt of its
// length. Parameters that rule this out, SHA-1 above all, are an error: no
// scheme could ever use the key.
func parsePSSParams(der cryptobyte.String) (crypto.Hash, error) {
	tag := func(n uint8) cryptobyteasn1.Tag {
		return cryptobyteasn1.Tag(n).Constructed().ContextSpecific()
	}
	var params, hashAlgorithm, maskAlgorithm, mask cryptobyte.String
	var hasHash, hasMask bool
	saltLength, trailer := 20, 1
	var maskOID asn1.ObjectIdentifier
	if !der.ReadASN1(&params, cryptobyteasn1.SEQUENCE) || !der.Empty() ||
		!params.ReadOptionalASN1(&hashAlgorithm, &hasHash, tag(0)) ||
		!params.ReadOptionalASN1(&maskAlgorithm, &hasMask, tag(1)) ||
		!params.ReadOptionalASN1Integer(&saltLength, tag(2), 20) ||
		!params.ReadOptionalASN1Integer(&trailer, tag(3), 1) || !params.Empty() {
		return 0, errors.New("malformed RSASSA-PSS parameters")
	}
	if !hasHash || !hasMask {
		return 0, errors.New("RSASSA-PSS parameters with SHA-1")
	}
	hash, ok := readHash(&hashAlgorithm)
	if !ok || !hashAlgorithm.Empty() {
		return 0, errors.New("RSASSA-PSS parameters with an unknown hash")
	}
	if !maskAlgorithm.ReadASN1(&mask, cryptobyteasn1.SEQUENCE) || !maskAlgorithm.Empty() ||
		!mask.ReadASN1ObjectIdentifier(&maskOID) || !maskOID.Equal(oidMGF1) {
		return 0, errors.New("RSASSA-PSS parameters with an unknown mask")
	}
	if maskHash, ok := readHash(&mask); !ok || maskHash != hash || !mask.Empty() {
		return 0, errors.New("RSASSA-PSS parameters with two hashes")
	}
	// RFC 4055, Section 3.3: in a key's parameters the length is a minimum.
	if saltLength < 0 || saltLength > hash.Size() || trailer != 1 {
		return 0, errors.New("RSASSA-PSS parameters that TLS cannot keep")
	}
	return hash, nil
}

// readHash reads the AlgorithmIdentifier of a hash. Its parameters are absent or
// NULL (RFC 4055, Section 2.1).
func readHash(der *cryptobyte.String) (crypto.Hash, bool) {
	var algorithm, null cryptobyte.String
	var oid asn1.ObjectIdentifier
	var hasNull bool
	if !der.ReadASN1(&algorithm, cryptobyteasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!algorithm.ReadOptionalASN1(&null, &hasNull, cryptobyteasn1.NULL) ||
		!null.Empty() || !algorithm.Empty() {
		return 0, false
	}
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256, true
	case oid.Equal(oidSHA384):
		return crypto.SHA384, true
	case oid.Equal(oidSHA512):
		return crypto.SHA512, true
	default:
		return 0, false
	}
}
