// Package browser runs the library against the DTLS of browsers: BoringSSL in
// Chromium, NSS in Firefox. A page opens a WebRTC data channel with a Go program
// made of pion/ice, our Conn, pion/sctp and pion/datachannel.
//
// The page does not know what is tested. It makes an offer, applies the answer,
// and tells what it saw; [stage] is the web server for it. The answer gives the
// browser its DTLS role, so one page serves for both.
//
// Browsers do not gather candidates of the loopback interface, and would ask the
// network for much else. So TestMain starts the tests once more in a network
// namespace with one address of its own and no way out.
//
// Nothing here skips. A missing program is a failed test whose message names
// the package to install.
package browser
