package record

import "errors"

// What [Next] finds wrong with a datagram. The rest of it is dropped.
var (
	ErrShortHeader = errors.New("dtls: datagram ends within a record header")
	ErrLength      = errors.New("dtls: record length runs past the datagram")
	ErrLayout      = errors.New("dtls: record header has a connection ID or is a unified header")
)

// Why an [Opener12] drops a record. None of them is an offence of the peer, as
// anyone on the path can cause them all: count, and go on.
var (
	ErrEpoch    = errors.New("dtls: record number is not of this epoch")
	ErrShort    = errors.New("dtls: record shorter than its nonce and tag")
	ErrTooLong  = errors.New("dtls: record longer than the protocol allows")
	ErrReplayed = errors.New("dtls: record number was received before")
	ErrStale    = errors.New("dtls: record number is older than the replay window")
	ErrBadMAC   = errors.New("dtls: record is not authentic")
)

// What an [Opener12] finds that ends the association.
var (
	// ErrOverflow is the peer's fault, authenticated: the alert is record_overflow.
	ErrOverflow = errors.New("dtls: authentic record carries more than 2^14 bytes")

	// ErrForgeryLimit means that the keys have refused as many forgeries as is
	// safe: close, or change to new keys.
	ErrForgeryLimit = errors.New("dtls: too many forged records for these keys")
)

// What a [Sealer12] cannot do. All are found before anything is written.
var (
	ErrPayloadTooLong    = errors.New("dtls: record payload longer than 2^14 bytes")
	ErrLimit             = errors.New("dtls: keys have protected as many records as is safe")
	ErrSequenceExhausted = errors.New("dtls: sequence numbers of the epoch are used up")
	ErrSkipBack          = errors.New("dtls: sequence numbers only go forward")
)

// ErrWiped is the answer of a [Sealer12] or [Opener12] whose keys are gone.
var ErrWiped = errors.New("dtls: record keys were wiped")
