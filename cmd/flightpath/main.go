// Command flightpath shows and tries out DTLS associations from the command
// line.
//
//	flightpath demo                            a handshake over a path that refuses large datagrams
//	flightpath demo -blackhole                 … over one that swallows them in silence
//	flightpath demo -mtu 300 -loss 20 -v       … smaller, and lossy, datagram by datagram
//	flightpath listen :4433                    a server that echoes, with a certificate it makes
//	flightpath connect -insecure -trace localhost:4433
//	flightpath help connect                    all flags
//
// SIGINT and SIGTERM end connect and listen with a close_notify to each peer.
//
// It exits 0 if what was asked for happened, 1 if not, and 2 if it did not
// understand the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := execute(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
