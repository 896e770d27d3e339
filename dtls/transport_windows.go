package dtls

import "syscall"

// Windows Sockets error codes. Package syscall invents other numbers for the
// POSIX names.
const (
	wsaEINTR          syscall.Errno = 10004
	wsaEACCES         syscall.Errno = 10013
	wsaEWOULDBLOCK    syscall.Errno = 10035
	wsaEMSGSIZE       syscall.Errno = 10040
	wsaENOPROTOOPT    syscall.Errno = 10042
	wsaENETDOWN       syscall.Errno = 10050
	wsaENETUNREACH    syscall.Errno = 10051
	wsaENETRESET      syscall.Errno = 10052
	wsaECONNRESET     syscall.Errno = 10054 // port unreachable, on UDP
	wsaENOBUFS        syscall.Errno = 10055
	wsaECONNREFUSED   syscall.Errno = 10061
	wsaEHOSTDOWN      syscall.Errno = 10064
	wsaEHOSTUNREACH   syscall.Errno = 10065
	errorMoreData     syscall.Errno = 234  // ERROR_MORE_DATA
	errorPortUnreach  syscall.Errno = 1234 // ERROR_PORT_UNREACHABLE
	errorHostUnreach  syscall.Errno = 1232 // ERROR_HOST_UNREACHABLE
	errorNetUnreach   syscall.Errno = 1231 // ERROR_NETWORK_UNREACHABLE
	errorProtoUnreach syscall.Errno = 1233 // ERROR_PROTOCOL_UNREACHABLE
)

// Custom transports may use the POSIX names.
var (
	errnosTooLarge = []error{wsaEMSGSIZE, syscall.EMSGSIZE}

	errnosPending = []error{
		wsaECONNRESET, wsaECONNREFUSED, wsaEHOSTUNREACH, wsaENETUNREACH, wsaENETRESET, wsaENETDOWN, wsaEHOSTDOWN,
		wsaENOPROTOOPT, wsaEACCES, errorMoreData, errorPortUnreach, errorHostUnreach, errorNetUnreach, errorProtoUnreach,
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN,
		syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EACCES,
	}

	errnosBusy = []error{
		wsaENOBUFS, wsaEWOULDBLOCK, wsaEINTR,
		syscall.ENOBUFS, syscall.EAGAIN, syscall.EINTR, syscall.EPERM, syscall.ENOMEM,
	}
)
