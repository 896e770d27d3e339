package interop

import (
	"fmt"
	"net"
	"strconv"
	"testing"
)

// LibCoAP drives coap-server and coap-client, with one TLS library or the
// other: "openssl" or "gnutls".
type LibCoAP string

func (p LibCoAP) Name() string { return "libcoap-" + string(p) }

// Limits: the examples have no option for the MTU.
func (LibCoAP) Limits() Limits { return Limits{MTU: 1472} }

func (p LibCoAP) Serve(t testing.TB, o Options) (Endpoint, string) {
	t.Helper()
	port := freePort(t) // for CoAP in the clear; DTLS is on the next one
	for {
		next := freePort(t)
		if next == port+1 {
			break
		}
		port = next
	}
	args := []string{"-A", "127.0.0.1", "-p", strconv.Itoa(port)}
	if o.PSK != nil {
		args = append(args, "-k", string(o.PSK.Key), "-h", string(o.PSK.Hint))
	}
	if o.Chain != nil {
		f := files(t, o.Chain)
		args = append(args, "-n", "-c", f.Chain, "-j", f.Key)
	}
	e := start(t, "libcoap3-bin", "coap-server-"+string(p), args...)
	e.waitBound(t, port+1)
	return e, net.JoinHostPort("127.0.0.1", strconv.Itoa(port+1))
}

// Dial starts a client that asks once for lamps/7 and ends with the answer.
func (p LibCoAP) Dial(t testing.TB, addr string, o Options) Endpoint {
	t.Helper()
	args := []string{"-m", "get", "-B", "60"}
	if o.PSK != nil {
		args = append(args, "-u", string(o.PSK.Identity), "-k", string(o.PSK.Key))
	}
	if o.Roots != nil {
		args = append(args, "-R", files(t, o.Roots).Root)
	}
	return start(t, "libcoap3-bin", "coap-client-"+string(p), append(args, fmt.Sprintf("coaps://%s/lamps/7", addr))...)
}
