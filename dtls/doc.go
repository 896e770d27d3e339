// Package dtls speaks DTLS 1.3 (RFC 9147) and 1.2 (RFC 6347) over UDP and anything
// else that keeps message boundaries.
//
// # Fronts
//
// Dial and Listen are used like their namesakes in crypto/tls; Client and
// Server run over a net.Conn of the caller, NewListener over a net.PacketConn,
// and an Endpoint dials and listens on one. All give a Conn, a net.Conn on which
// each Write is one record and one datagram, and each Read returns one record.
//
// # A handshake that can be repeated
//
// Conn.Handshake is a step that is called until it returns nil. In between it
// may say
//
//	ErrAgain             the deadline passed
//	ErrInterrupted       the context ended
//	*AlertError          with Warning: the peer sent a warning alert
//	*LargePacketError    a datagram did not fit the path: SetMTU, then go on
//
// none of which is fatal; IsFatal tells, and Conn.Direction says what the
// handshake waits for. State belongs to the association, not to the call: the
// next call goes on with the next datagram of the same flight.
//
// # Path MTU
//
// One unit everywhere: bytes of UDP payload in one datagram. Handshakes begin
// at 1232, which every path that carries IPv6 can take. Flights are kept as
// messages and cut when they are sent, so that a new limit counts from the next
// datagram on. Config.MTUMode says who may lower the limit:
//
//	MTUAuto    refusals of the transport, validated hints, and silence
//	MTUKernel  refusals and hints
//	MTUManual  the caller alone, told by ErrLargePacket
//
// Conn.MaxData is the largest Write that fits, exact to the byte.
//
// # No I/O
//
// Engine is the protocol alone: datagrams and the time go in; datagrams, events
// and the next time-out come out. Door is what stands before it on a server, in
// the same manner: it asks strangers for cookies, keeps nothing of them but the
// fragments of their hellos, for a second in a fixed pool, and says who may come
// in. The fronts are thin loops around these two;
// event loops, simulators and custom transports use them directly.
package dtls
