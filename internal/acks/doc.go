// Package acks has the bookkeeping of acknowledgements in DTLS 1.3 (RFC 9147, Section
// 7): which bytes of a flight went out in which record, and which records of the peer
// an ACK has to name.
package acks
