// Package antechamber holds the fragments of ClientHellos whose senders have
// proven nothing yet.
//
// A hello that does not fit into one datagram, as one with a post-quantum key
// share never does, comes in fragments. What answers it or lets it in, its
// cookie above all, may need several of them, and until then anybody may have
// sent them, with any address on the envelope. So there is one [Room] for all
// strangers, and it is fixed, lossy and forgetful:
//
//   - There are places for 1024 hellos of at most 4 KiB. Memory is taken when a
//     place is first used, and then kept; no goroutine and no timer belongs to
//     it.
//   - A hello stays for a second after its first fragment, however many follow.
//   - Every newcomer finds a place. If all are taken somebody loses one, by
//     chance; whoever has brought less loses first.
//
// # Who sits where
//
//	source address, /24 or /56          secret
//	           └───────────┬──────────────┘
//	                    SHA-256
//	                       ▼
//	 bucket   0      1      2    …    127
//	        ┌────┬ ┌────┬ ┌────┬    ┌────┬
//	        │    │ │    │ │ A  │    │    │   eight places each, for hellos told
//	        │    │ │    │ │ A' │    │    │   apart by address, length and
//	        │    │ │    │ │ B  │    │    │   message_seq
//	        └────┴ └────┴ └────┴    └────┴
//
// A sender that cannot forge addresses sits in one bucket, with its neighbours,
// and is a nuisance to those alone. One that can, and floods all buckets, has to
// be quick: with 10 000 forged first fragments a second a place is lost after
// 100 ms on the average, and one that has received a second fragment is not
// lost to any of those.
//
// Fragments may overlap, repeat and come in any order. Bytes that contradict
// those which are here (A, above) begin a hello of their own (A'), and what
// agrees with both goes to both: a forged fragment that wins the race does not
// keep the honest hello out. Record numbers that are too far apart to be one
// client's are a contradiction too.
//
// What is held is given out in two forms: [Hello.Prefix], as far as the bytes
// are contiguous from the start, and, once [Hello.Complete], the whole. What that
// is enough for is the caller's business.
//
// # Answers
//
// An address that has proven nothing gets at most three times the bytes that
// came from it (RFC 9147, Section 5.1). Each datagram is credited to one hello,
// and [Hello.Pay] says whether an answer is covered.
package antechamber
