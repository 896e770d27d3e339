// Package dissect has Wireshark read sessions of ours: full ones, resumed ones,
// those with a HelloRetryRequest or new keys, decrypted with what KeyLogWriter
// was told. Two engines speak with each other under a clock of their own, so that
// the captures are the same each time but for their keys.
//
// Wireshark is the one that runs in Node.js, the npm module @goodtools/wiregasm:
// that of Debian 12 does not know the records of DTLS 1.3.
package dissect
