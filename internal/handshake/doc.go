// Package handshake has the handshakes of DTLS 1.2 and 1.3, of clients and servers, without records, flights and timers.
//
// A [Handshake] has one [State] at a time: a value with the data that is known in it, which lists the messages that may
// come next and returns the state after each. The association around it gives it whole messages of the peer, in order
// ([Handshake.Take]), and does what it asks for through a [Link]: number messages and put them into a flight, send the
// flight, put keys in force. What the handshake agrees on is in its Info while it runs; secrets leave it as a [Result] when
// it is complete.
//
// A message that fails changes nothing. In plaintext that matters, since anybody can forge one: the association may put the
// error aside, and give the genuine message to the same state.
//
//	link.go        the seam to the association
//	config.go      what a handshake reads of a Config; Info and Result
//	handshake.go   the Handshake and what all states share
//	client.go      the client until the version is agreed on, then client12.go, client13.go
//	server.go      the server likewise, then server12.go, server13.go
//	negotiate*.go  what a server chooses: by one view of a ClientHello for a door and a handshake
//	keys12.go      the key schedule, Finished and signatures, and keys13.go
//	psk13.go       pre-shared keys of DTLS 1.3; session.go and tickets.go have those of earlier associations, session_check.go what makes them good
//
// Another handshake may be made in the same association: nothing here is global, and the keys of DTLS 1.2 are those of the
// epoch that follows, which the link knows.
package handshake
