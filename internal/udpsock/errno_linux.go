package udpsock

import "syscall"

var (
	errnosTooLarge = []error{syscall.EMSGSIZE}

	// errnosPending are the other errors that ICMP messages turn into
	// (net/ipv4/icmp.c: icmp_err_convert and icmp_unreach; net/ipv6/icmp.c:
	// icmpv6_err_convert). A host that may send us ICMP chooses among them.
	errnosPending = []error{
		syscall.ECONNREFUSED, // port unreachable
		syscall.EHOSTUNREACH, // host unreachable, prohibited, time exceeded
		syscall.ENETUNREACH,  // network unreachable
		syscall.EHOSTDOWN,    // destination host unknown
		syscall.ENONET,       // source host isolated
		syscall.EPROTO,       // parameter problem
		syscall.ENOPROTOOPT,  // protocol unreachable
		syscall.EOPNOTSUPP,   // source route failed
		syscall.EACCES,       // ICMPv6: prohibited, failed policy, reject route
	}

	errnosRefused = []error{syscall.ECONNREFUSED}

	errnosBusy = []error{
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EINTR,
		syscall.EPERM, // a firewall of our own
	}
)
