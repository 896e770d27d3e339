// Package reassembly joins the fragments of handshake messages (RFC 6347, Section
// 4.2.3; RFC 9147, Section 5.5). Fragments may overlap, repeat each other and come
// in any order. Memory follows the bytes received, never the length announced.
package reassembly
