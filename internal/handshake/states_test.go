package handshake

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/auth"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// states are all states of the handshake, with the data that changes what they
// expect.
func states() map[string]State {
	ecdhe := &negotiated12{suite: suite.Lookup(0xc02b)}
	psk := &negotiated12{suite: suite.Lookup(0x00a8)}
	ecdhePSK := &negotiated12{suite: suite.Lookup(0xd001)}
	return map[string]State{
		"client awaitServerHello":                       awaitServerHello{},
		"client awaitServerCertificate12":               awaitServerCertificate12{},
		"client awaitServerKeyExchange12 ECDHE":         awaitServerKeyExchange12{n: ecdhe},
		"client awaitServerKeyExchange12 ECDHE_PSK":     awaitServerKeyExchange12{n: ecdhePSK},
		"client awaitServerKeyExchange12 PSK":           awaitServerKeyExchange12{n: psk},
		"client awaitServerHelloDone12":                 awaitServerHelloDone12{n: ecdhe, certified: true},
		"client awaitServerHelloDone12 PSK":             awaitServerHelloDone12{n: psk},
		"client awaitServerHelloDone12 after a request": awaitServerHelloDone12{n: ecdhe, certified: true, request: &message.CertificateRequest{}},
		"client awaitServerFinished12":                  awaitServerFinished12{},
		"server awaitClientHello":                       awaitClientHello{},
		"server awaitClientCertificate12":               awaitClientCertificate12{},
		"server awaitClientKeyExchange12":               awaitClientKeyExchange12{},
		"server awaitClientKeyExchange12 certified":     awaitClientKeyExchange12{chain: &auth.Chain{}},
		"server awaitCertificateVerify12":               awaitCertificateVerify12{},
		"server awaitClientFinished12":                  awaitClientFinished12{},
		"client awaitEncryptedExtensions13":             awaitEncryptedExtensions13{},
		"client awaitServerCertificate13":               awaitServerCertificate13{},
		"client awaitServerCertificate13 requested":     awaitServerCertificate13{request: &message.CertificateRequest13{}},
		"client awaitServerCertificateVerify13":         awaitServerCertificateVerify13{},
		"client awaitServerFinished13":                  awaitServerFinished13{},
		"server awaitSecondHello13":                     awaitSecondHello13{},
		"server awaitClientCertificate13":               awaitClientCertificate13{},
		"server awaitClientCertificateVerify13":         awaitClientCertificateVerify13{},
		"server awaitClientFinished13":                  awaitClientFinished13{},
		"complete":                                      complete{},
	}
}

// TestStates is the whole state machine: what each state takes. Everything else
// is an unexpected_message. A change of the protocol is a change here.
func TestStates(t *testing.T) {
	const want = `
client awaitEncryptedExtensions13: encrypted_extensions
client awaitServerCertificate12: certificate
client awaitServerCertificate13 requested: certificate
client awaitServerCertificate13: certificate or certificate_request
client awaitServerCertificateVerify13: certificate_verify
client awaitServerFinished12: finished
client awaitServerFinished13: finished
client awaitServerHello: server_hello or hello_verify_request
client awaitServerHelloDone12 PSK: server_hello_done
client awaitServerHelloDone12 after a request: server_hello_done
client awaitServerHelloDone12: certificate_request or server_hello_done
client awaitServerKeyExchange12 ECDHE: server_key_exchange
client awaitServerKeyExchange12 ECDHE_PSK: server_key_exchange
client awaitServerKeyExchange12 PSK: server_key_exchange or server_hello_done
complete: no message
server awaitCertificateVerify12: certificate_verify
server awaitClientCertificate12: certificate
server awaitClientCertificate13: certificate
server awaitClientCertificateVerify13: certificate_verify
server awaitClientFinished12: finished
server awaitClientFinished13: finished
server awaitClientHello: client_hello
server awaitClientKeyExchange12 certified: client_key_exchange
server awaitClientKeyExchange12: client_key_exchange
server awaitSecondHello13: client_hello
`
	var lines []string
	for name, s := range states() {
		lines = append(lines, name+": "+s.Expects().String())
	}
	slices.Sort(lines)
	if got := "\n" + strings.Join(lines, "\n") + "\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
}

// TestStatesAreListed: no state escapes the list above.
func TestStatesAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, s := range states() {
		listed[strings.TrimPrefix(fmt.Sprintf("%T", s), "handshake.")] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Name.Name != "Expects" || f.Recv == nil {
				continue
			}
			typ, ok := f.Recv.List[0].Type.(*ast.Ident)
			if !ok {
				continue // the handshake, which asks its state
			}
			found++
			if !listed[typ.Name] {
				t.Errorf("%s is a state and not listed", typ.Name)
			}
		}
	}
	if found != len(listed) {
		t.Errorf("%d states in the source, %d listed", found, len(listed))
	}
}
