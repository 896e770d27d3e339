//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/flightpath-dtls/flightpath/record"
)

// shot is a forged notice: a datagram that the target sent to its peer was too
// big for a link of Size bytes.
type shot struct {
	ToServer bool
	Size     int // 0…65535
	Quote    quote
}

// quote is what a shot shows of that datagram.
type quote string

const (
	nothing   quote = "nothing"   // not even an IP header
	headers   quote = "headers"   // IP and UDP, as old routers do
	zeros     quote = "zeros"     // with a payload of zeros
	noise     quote = "noise"     // of random bytes
	guess     quote = "guess"     // of a record with a guessed number
	otherPort quote = "otherPort" // the true datagram, of another client
	seen      quote = "seen"      // the true datagram
)

// shots are every size and quote, against both ends.
func shots() (list []shot) {
	for _, toServer := range []bool{false, true} {
		for _, q := range []quote{nothing, headers, zeros, noise, guess, otherPort, seen} {
			for _, size := range []int{0, 68, 227, 228, 256, 300, 548, 552, 575, 576, 900, 1000, 1259, 1260, 1279, 1280, 65535} {
				list = append(list, shot{toServer, size, q})
			}
		}
	}
	return list
}

// forger makes notices and knows the last large datagram of either end.
type forger struct {
	family
	socket net.PacketConn

	mu   sync.Mutex
	last map[bool][]byte // IP packets, by whether the server sent them
}

// forge shoots what its standard input says and reports each; with -all it
// shoots everything that needs no datagram again and again.
func forge(args []string) error {
	flags := flag.NewFlagSet("forge", flag.ContinueOnError)
	v6, all := flags.Bool("6", false, ""), flags.Bool("all", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f := &forger{family: ipv4, last: map[bool][]byte{}}
	network := "ip4:icmp"
	if *v6 {
		f.family, network = ipv6, "ip6:ipv6-icmp"
	}
	var err error
	if f.socket, err = net.ListenPacket(network, ""); err != nil {
		return err
	}
	sniffer, err := f.sniffer()
	if err != nil {
		return err
	}
	go f.sniff(sniffer)
	if err := (report{}).print(); err != nil {
		return err
	}
	if *all {
		return f.shootAll()
	}
	for shots := json.NewDecoder(os.Stdin); ; {
		var s shot
		if err := shots.Decode(&s); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var r report
		if err := f.shoot(s); err != nil {
			r.Error = err.Error()
		}
		if err := r.print(); err != nil {
			return err
		}
	}
}

// shootAll goes on until the standard input ends.
func (f *forger) shootAll() error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for {
		for _, s := range shots() {
			if ctx.Err() != nil {
				return nil
			}
			if s.Quote == seen || s.Quote == otherPort {
				continue
			}
			if err := f.shoot(s); err != nil {
				return err
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func (f *forger) shoot(s shot) error {
	quoted, err := f.quoted(s)
	if err != nil {
		return err
	}
	target := f.client
	if s.ToServer {
		target = f.server
	}
	_, err = f.socket.WriteTo(f.notice(s.Size, quoted), &net.IPAddr{IP: net.ParseIP(target)})
	return err
}

// notice is "fragmentation needed" (RFC 792, RFC 1191) or "packet too big" (RFC
// 4443, Section 3.2), whose checksum the kernel fills in.
func (f *forger) notice(size int, quoted []byte) []byte {
	b := make([]byte, 8)
	if f.family == ipv6 {
		b[0] = 2
		binary.BigEndian.PutUint32(b[4:], uint32(size))
		return append(b, quoted...)
	}
	b[0], b[1] = 3, 4
	binary.BigEndian.PutUint16(b[6:], uint16(size))
	b = append(b, quoted...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// checksum is the Internet's, RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// payload is how much of a datagram is quoted behind its headers.
const payload = 512

// quoted is the beginning of a datagram from the target to its peer.
func (f *forger) quoted(s shot) ([]byte, error) {
	if s.Quote == nothing {
		return nil, nil
	}
	if s.Quote == seen || s.Quote == otherPort {
		return f.read(s)
	}
	b := f.header(s.ToServer)
	if s.Quote == headers {
		return b, nil
	}
	b = append(b, make([]byte, payload)...)
	body := b[f.headers:]
	if s.Quote != zeros {
		if _, err := rand.Read(body); err != nil {
			return nil, err
		}
	}
	if s.Quote == guess {
		record.AppendHeader(body[:0], record.Header{
			Type: record.TypeApplicationData, Version: record.VersionDTLS12,
			Number: record.Number{Epoch: 1, Seq: 2}, Length: 1200,
		})
	}
	return b, nil
}

// read quotes the datagram that was read last.
func (f *forger) read(s shot) ([]byte, error) {
	f.mu.Lock()
	packet := f.last[s.ToServer]
	f.mu.Unlock()
	if packet == nil {
		return nil, errors.New("no datagram was seen")
	}
	b := bytes.Clone(packet[:min(len(packet), f.headers+payload)])
	if s.Quote == otherPort {
		peer := f.headers - 6 // destination port, behind the source's
		binary.BigEndian.PutUint16(b[peer:], binary.BigEndian.Uint16(b[peer:])+1)
	}
	return b, nil
}

// header is that of a datagram of 1232 bytes, IP and UDP.
func (f *forger) header(fromServer bool) []byte {
	const size = 1232
	from, to := netip.AddrPortFrom(netip.MustParseAddr(f.client), clientPort), netip.AddrPortFrom(netip.MustParseAddr(f.server), serverPort)
	if fromServer {
		from, to = to, from
	}
	b := make([]byte, f.headers)
	if f.family == ipv6 {
		b[0] = 6 << 4
		binary.BigEndian.PutUint16(b[4:], size+8)
		b[6], b[7] = syscall.IPPROTO_UDP, 64
	} else {
		b[0], b[6] = 4<<4|5, 0x40 // don't fragment
		binary.BigEndian.PutUint16(b[2:], size+28)
		b[8], b[9] = 64, syscall.IPPROTO_UDP
	}
	udp := b[f.headers-8:]
	addrs := from.Addr().AsSlice()
	copy(b[f.headers-8-2*len(addrs):], append(addrs, to.Addr().AsSlice()...))
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], size+8)
	return b
}

// sniffer reads all IP packets that pass.
func (f *forger) sniffer() (int, error) {
	protocol := uint16(syscall.ETH_P_IP)
	if f.family == ipv6 {
		protocol = syscall.ETH_P_IPV6
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, int(protocol<<8|protocol>>8))
	if err != nil {
		return 0, fmt.Errorf("sniffer: %w", err)
	}
	return fd, nil
}

func (f *forger) sniff(fd int) {
	const large = 600 // bytes of IP packet
	fromServer := f.header(true)[f.headers-8:][:4]
	fromClient := f.header(false)[f.headers-8:][:4]
	for buf := make([]byte, 4096); ; {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
		if n < large {
			continue
		}
		switch ports := [4]byte(buf[f.headers-8:]); ports {
		case [4]byte(fromServer), [4]byte(fromClient):
			f.mu.Lock()
			f.last[ports == [4]byte(fromServer)] = bytes.Clone(buf[:n])
			f.mu.Unlock()
		}
	}
}
