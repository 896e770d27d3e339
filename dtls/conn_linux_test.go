package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a kernel in memory cannot tell: that Linux does what we think it does.

// ownNetwork takes the test into a network of its own, whose loopback takes
// packets of mtu bytes. What ICMP tells the kernel there is known nowhere else.
// It needs root. Subtests would run outside.
func ownNetwork(t *testing.T, mtu uint32) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network of our own: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint32(mtu)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, lo); err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// tapped is a client's transport that shows what it reads.
type tapped struct {
	net.Conn
	mu   sync.Mutex
	last []byte
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = bytes.Clone(p[:n])
	return n, err
}

func (c *tapped) seen() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// overLoopback is an association between a listener on address and a client that
// calls it at host.
func overLoopback(t *testing.T, address, host string) (client, server *Conn, tap *tapped) {
	t.Helper()
	clientConfig, serverConfig := quickConfigs()
	l, err := Listen("udp", address, serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	transport, err := net.Dial("udp", net.JoinHostPort(host, fmt.Sprint(addrOf(l.Addr()).Port())))
	if err != nil {
		t.Fatal(err)
	}
	tap = &tapped{Conn: transport}
	client = Client(tap, clientConfig)
	t.Cleanup(func() { client.Close() })
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	server = (&listening{Listener: l}).accept(t)
	t.Cleanup(func() { server.Close() })
	return client, server, tap
}

// ---- addresses -------------------------------------------------------------------

// TestAnswersFromTheAddressCalled: a server on all addresses, called at several,
// also for what it says by itself much later.
func TestAnswersFromTheAddressCalled(t *testing.T) {
	clientConfig, serverConfig := quickConfigs()
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		l, err := Listen("udp", address, serverConfig)
		if err != nil {
			t.Logf("no %s here: %v", address, err)
			continue
		}
		var servers []*Conn
		for i := range 4 {
			called := net.JoinHostPort(fmt.Sprint("127.0.0.", 1+i), fmt.Sprint(addrOf(l.Addr()).Port()))
			client, err := Dial("udp", called, clientConfig)
			if err != nil {
				t.Fatalf("%s, called at %s: %v", address, called, err)
			}
			defer client.Close()
			server := (&listening{Listener: l}).accept(t)
			if got := server.LocalAddr().String(); got != called || client.RemoteAddr().String() != called {
				t.Errorf("%s: called at %s, the server says %s", address, called, got)
			}
			servers = append(servers, server)
			for _, c := range servers { // in turn with others
				mustWrite(t, c, "hello")
			}
			mustRead(t, client, "hello")
		}
		closeAll(servers...)
		l.Close()
	}
}

// ---- errors ------------------------------------------------------------------------

// TestClosedPortsDisturbNobody: one client is gone without a word, and each
// datagram for it comes back as an error for the next call, which is for the
// other.
func TestClosedPortsDisturbNobody(t *testing.T) {
	clientConfig, serverConfig := quickConfigs()
	l, err := Listen("udp", "127.0.0.1:0", serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var clients, servers [2]*Conn
	for i := range clients {
		if clients[i], err = Dial("udp", l.Addr().String(), clientConfig); err != nil {
			t.Fatal(err)
		}
		defer clients[i].Close()
		servers[i] = (&listening{Listener: l}).accept(t)
		defer servers[i].Close()
	}
	if err := clients[0].NetConn().Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		text := fmt.Sprint("number ", i)
		if _, err := servers[0].Write([]byte(text)); err != nil {
			t.Fatalf("to the one that is gone, %d: %v", i, err)
		}
		mustWrite(t, servers[1], text)
		mustRead(t, clients[1], text)
	}
}

// TestNarrowLink: the kernel refuses what its link does not take, and says what
// it takes. No timer fires.
func TestNarrowLink(t *testing.T) {
	ownNetwork(t, 1000)
	clientConfig, serverConfig := largeConfigs()
	repeated := make(chan RetransmissionInfo, 100)
	serverConfig.Trace = &Trace{Retransmission: func(r RetransmissionInfo) { repeated <- r }}
	// However slow the machine is.
	clientConfig.Retransmit.Initial, serverConfig.Retransmit.Initial = time.Minute, time.Minute
	clientConfig.Retransmit.Min, serverConfig.Retransmit.Min = time.Minute, time.Minute
	clientConfig.HandshakeTimeout = 30 * time.Second
	l, err := Listen("udp4", "127.0.0.1:0", serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := Dial("udp4", l.Addr().String(), clientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := (&listening{Listener: l}).accept(t)
	defer server.Close()
	if info := server.PathMTU(); info.MTU != 972 || info.Source != FromKernel || len(repeated) > 0 {
		t.Errorf("%+v, %d flights repeated", info, len(repeated))
	}
}

// ---- forgeries ---------------------------------------------------------------------

// forger sends ICMP messages, as any router or liar may.
type forger struct {
	t       *testing.T
	fd      int
	to      unix.Sockaddr
	quoting netip.Addr // the address of both ends
}

func newForger(t *testing.T, addr netip.Addr) *forger {
	f := &forger{t: t, quoting: addr}
	family, proto := unix.AF_INET6, unix.IPPROTO_ICMPV6
	f.to = &unix.SockaddrInet6{Addr: addr.As16()}
	if addr.Is4() {
		family, proto = unix.AF_INET, unix.IPPROTO_ICMP
		f.to = &unix.SockaddrInet4{Addr: addr.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW, proto)
	if err != nil {
		t.Skipf("no raw sockets: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	f.fd = fd
	return f
}

// tooBig says that the path carries packets of link bytes, about a datagram from
// one port to another.
func (f *forger) tooBig(link int, from, to uint16, payload []byte) {
	f.t.Helper()
	var icmp []byte
	addr := f.quoting.AsSlice()
	if f.quoting.Is4() {
		icmp = []byte{3, 4, 0, 0, 0, 0, byte(link >> 8), byte(link)}
		// The packet that was too big: IPv4 header, UDP header, payload.
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, unix.IPPROTO_UDP, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
		icmp = append(icmp, ip...)
	} else {
		icmp = binary.BigEndian.AppendUint32([]byte{2, 0, 0, 0}, uint32(link))
		ip := []byte{0x60, 0, 0, 0, 0, 0, unix.IPPROTO_UDP, 64}
		binary.BigEndian.PutUint16(ip[4:], uint16(8+len(payload)))
		icmp = append(icmp, ip...)
	}
	icmp = append(append(icmp, addr...), addr...)
	icmp = binary.BigEndian.AppendUint16(icmp, from)
	icmp = binary.BigEndian.AppendUint16(icmp, to)
	icmp = binary.BigEndian.AppendUint16(icmp, uint16(8+len(payload)))
	icmp = append(append(icmp, 0, 0), payload...)
	if f.quoting.Is4() {
		binary.BigEndian.PutUint16(icmp[2:], internetChecksum(icmp))
	}
	if err := unix.Sendto(f.fd, icmp, 0, f.to); err != nil {
		f.t.Fatal(err)
	}
}

// internetChecksum is that of RFC 1071.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestForgedICMP through the kernel: only a message that quotes bytes of ours
// lowers the limit, although all of them are in the route's cache.
func TestForgedICMP(t *testing.T) {
	ownNetwork(t, 65536)
	client, server, tap := overLoopback(t, "0.0.0.0:0", "127.0.0.1")
	f := newForger(t, netip.MustParseAddr("127.0.0.1"))
	ours, theirs := addrOf(server.LocalAddr()).Port(), addrOf(server.RemoteAddr()).Port()

	large := make([]byte, server.MaxData())
	mustWrite(t, server, string(large))
	mustRead(t, client, string(large))
	datagram := tap.seen()
	if len(datagram) != defaultMTU {
		t.Fatalf("the datagram has %d bytes", len(datagram))
	}
	for _, forged := range []struct {
		name   string
		link   int
		to     uint16
		quoted []byte
	}{
		{"what can be guessed", 928, theirs, append(bytes.Clone(datagram[:21]), make([]byte, 500)...)},
		{"zeros", 928, theirs, make([]byte, 500)},
		{"nothing", 928, theirs, nil},
		{"68", 68, theirs, datagram[:520]},
		{"0", 0, theirs, datagram[:520]},
		{"about another peer", 928, theirs ^ 1, datagram[:520]},
	} {
		f.tooBig(forged.link, ours, forged.to, forged.quoted)
		mustWrite(t, server, "still") // whoever hears first, the reader or this, it is heard now
		mustRead(t, client, "still")
		if server.MTU() != defaultMTU {
			t.Fatalf("%s: the limit is %d", forged.name, server.MTU())
		}
	}
	f.tooBig(928, ours, theirs, datagram[:520])
	for deadline := time.Now().Add(time.Minute); server.MTU() != 900; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the true one: the limit is %d", server.MTU())
		}
	}
}

// TestForgedICMPv6: nothing below 1280, whatever it quotes.
func TestForgedICMPv6(t *testing.T) {
	ownNetwork(t, 65536)
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	probe.Close()
	client, server, tap := overLoopback(t, "[::]:0", "::1")
	f := newForger(t, netip.IPv6Loopback())
	ours, theirs := addrOf(server.LocalAddr()).Port(), addrOf(server.RemoteAddr()).Port()
	if err := server.SetMTU(1400); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, server.MaxData())
	mustWrite(t, server, string(large))
	mustRead(t, client, string(large))
	datagram := tap.seen()
	for _, link := range []int{0, 68, 900, 1279} {
		f.tooBig(link, ours, theirs, datagram[:1000])
		mustWrite(t, server, "still")
		mustRead(t, client, "still")
		if server.MTU() != 1400 {
			t.Fatalf("%d: the limit is %d", link, server.MTU())
		}
	}
	f.tooBig(1280, ours, theirs, datagram[:1000])
	for deadline := time.Now().Add(time.Minute); server.MTU() != 1232; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the true one: the limit is %d", server.MTU())
		}
	}
}
