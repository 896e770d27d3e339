// Package timing decides when a flight is sent again (RFC 6347, Section 4.2.4.1; RFC 9147,
// Section 5.8.2), and how its datagrams follow each other (Section 5.8.3).
package timing
