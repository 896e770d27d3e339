package record

import "errors"

// What [Next] and [NextUnified] find wrong with a datagram. The rest of it is
// dropped.
var (
	ErrShortHeader = errors.New("dtls: datagram ends within a record header")
	ErrLength      = errors.New("dtls: record length runs past the datagram")
	ErrLayout      = errors.New("dtls: record header is of another layout")
)

// Why an [Opener12] or [Opener13] drops a record: count, and go on. Anyone on the
// path can cause all of them but ErrInner, so they are no offence of the peer.
var (
	ErrEpoch    = errors.New("dtls: record number is not of this epoch")
	ErrShort    = errors.New("dtls: record too short for its protection")
	ErrTooLong  = errors.New("dtls: record longer than the protocol allows")
	ErrReplayed = errors.New("dtls: record number was received before")
	ErrStale    = errors.New("dtls: record number is older than the replay window")
	ErrBadMAC   = errors.New("dtls: record is not authentic")

	// ErrInner is the peer's fault, authenticated, and yet RFC 9147, Section
	// 4.5.2 has the record dropped. A [Sealer13] makes no such record.
	ErrInner = errors.New("dtls: protected record without a content type of DTLS 1.3")
)

// What an [Opener12] or [Opener13] finds that ends the association.
var (
	// ErrOverflow is the peer's fault, authenticated: the alert is record_overflow.
	ErrOverflow = errors.New("dtls: authentic record carries more than 2^14 bytes")

	// ErrForgeryLimit means that the keys have refused as many forgeries as is
	// safe: close, or change to new keys.
	ErrForgeryLimit = errors.New("dtls: too many forged records for these keys")
)

// What a [Sealer12] or [Sealer13] cannot do. All are found before anything is written.
var (
	ErrPayloadTooLong    = errors.New("dtls: record payload longer than 2^14 bytes")
	ErrLimit             = errors.New("dtls: keys have protected as many records as is safe")
	ErrSequenceExhausted = errors.New("dtls: sequence numbers of the epoch are used up")
	ErrSkipBack          = errors.New("dtls: sequence numbers only go forward")
)

// ErrWiped is the answer of a half of an epoch whose keys are gone.
var ErrWiped = errors.New("dtls: record keys were wiped")
