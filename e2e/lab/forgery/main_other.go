//go:build !linux

// Command forgery needs the network namespaces and the packet sockets of Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "forgery: needs the network namespaces of Linux")
	os.Exit(1)
}
