// Package roster has the tables of a shared socket: which associations have an
// address, how many an address prefix has, and which of them wait for Accept.
//
// The association is a type parameter. Nothing in here knows sockets, locks or a
// clock; the owner of a value serializes its calls.
package roster
