package interop

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// files writes a chain for a command line. They live until the test ends.
func files(t testing.TB, c *dtlstest.Chain) dtlstest.Files {
	t.Helper()
	f, err := c.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// arguments are those that all programs in ../peers which know certificates take,
// as peer.h says.
func (o Options) arguments(t testing.TB) (args []string) {
	t.Helper()
	if o.Chain != nil {
		f := files(t, o.Chain)
		args = append(args, "cert="+f.Chain, "key="+f.Key)
	}
	if o.Roots != nil {
		args = append(args, "ca="+files(t, o.Roots).Root)
	}
	if o.ALPN != "" {
		args = append(args, "alpn="+o.ALPN)
	}
	return args
}
