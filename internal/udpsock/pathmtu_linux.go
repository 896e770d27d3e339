package udpsock

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkMTU asks the kernel for the MTU of the path to peer, an IP packet.
func (s *Socket) linkMTU(peer netip.AddrPort) (mtu int, ok bool) {
	if !s.remote.IsValid() {
		return s.kernel.queries.linkMTU(peer)
	}
	err := s.raw.Control(func(fd uintptr) { mtu, ok = pathMTU(int(fd), peer.Addr()) })
	return mtu, ok && err == nil
}

// pathMTU is the path MTU of a connected socket.
func pathMTU(fd int, peer netip.Addr) (int, bool) {
	level, opt := unix.SOL_IPV6, unix.IPV6_MTU
	if peer.Is4() {
		level, opt = unix.SOL_IP, unix.IP_MTU
	}
	mtu, err := unix.GetsockoptInt(fd, level, opt)
	return mtu, err == nil
}

// queries answer for sockets that are not connected, which have no path. One
// socket for each family is connected to the peer in question, which sends
// nothing, and disconnected again, so that nothing is received on it.
type queries struct {
	mu     sync.Mutex
	ip4    query
	ip6    query
	traits traits
	closed bool
}

type query struct {
	fd     int // if opened
	opened bool
	failed bool // to open; not tried again
}

// traits are those of a socket that decide about its routes.
type traits struct {
	device, mark int
	netns        uint64 // 0: an old kernel does not say
}

func traitsOf(fd uintptr) (t traits) {
	// What a kernel does not know is zero.
	t.device, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	t.mark, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK)
	t.netns, _ = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return t
}

// like makes later queries take the routes of a socket.
func (q *queries) like(fd uintptr) { q.traits = traitsOf(fd) }

func (q *queries) linkMTU(peer netip.AddrPort) (mtu int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || !peer.IsValid() {
		return 0, false
	}
	one, family := &q.ip6, unix.AF_INET6
	if peer.Addr().Is4() {
		one, family = &q.ip4, unix.AF_INET
	}
	if !one.opened && !one.failed {
		one.open(family, q.traits)
	}
	if one.failed {
		return 0, false
	}
	return one.ask(peer)
}

func (q *queries) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, one := range []*query{&q.ip4, &q.ip6} {
		if one.opened {
			_ = unix.Close(one.fd)
			one.opened = false
		}
	}
}

// open makes a socket that takes the same routes, or fails.
func (one *query) open(family int, t traits) {
	one.failed = true
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return
	}
	if t.device != 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, t.device)
	}
	if t.mark != 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, t.mark)
	}
	// A socket belongs to the network namespace of the thread that makes it,
	// which need not be that of the socket in question.
	if traitsOf(uintptr(fd)) != t {
		_ = unix.Close(fd)
		return
	}
	*one = query{fd: fd, opened: true}
}

func (one *query) ask(peer netip.AddrPort) (mtu int, ok bool) {
	var sa unix.Sockaddr
	if peer.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(peer.Port()), Addr: peer.Addr().As4()}
	} else {
		sa = &unix.SockaddrInet6{Port: int(peer.Port()), Addr: peer.Addr().As16(), ZoneId: zoneIndex(peer.Addr().Zone())}
	}
	if err := unix.Connect(one.fd, sa); err == nil { // else: no route
		mtu, ok = pathMTU(one.fd, peer.Addr())
	}
	one.disconnect() // in any case: connect may fail with a port bound
	return mtu, ok
}

// disconnect forgets the peer, and the address and port that were chosen for
// it; otherwise the next peer would be asked about with this one's source.
// connect(2): "by connecting to an address with the sa_family member of sockaddr
// set to AF_UNSPEC".
func (one *query) disconnect() {
	sa := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(one.fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if errno != 0 {
		_ = unix.Close(one.fd)
		*one = query{} // a new one next time
	}
}

func zoneIndex(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}
