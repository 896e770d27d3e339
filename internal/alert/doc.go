// Package alert names the alerts of TLS and DTLS and makes them the one way an error says what the peer is told.
//
// A fault is described where it is found, with the alert that answers it:
//
//	return nil, alert.Errorf(alert.IllegalParameter, "key_share for group %#04x, which was not offered", group)
//
// Layers above may wrap that error with their own words. One place at the top asks [Of] which alert to send. The text
// of an [Error] answers the first question of whoever reads a log, namely whose fault it was: the peer misbehaved
// (it broke a rule of the RFC), the peer is incompatible (it kept the rules, and there is no common ground), the
// peer is not trusted (its certificate or key was refused), or we failed ourselves.
package alert
