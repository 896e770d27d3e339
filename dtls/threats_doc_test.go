package dtls

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// laterThreats are rows of THREATS.md that do not concern what is here: stores of
// sessions, connection IDs, early data.
var laterThreats = []int{62, 63, 64, 65, 80, 81, 82, 85}

const lastThreat = 92

var (
	threatRow = regexp.MustCompile(`^\| (\d+) \|`)
	testName  = regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")
)

// TestThreatsDocument holds docs/threats.md against the tests of the
// repository: every row that applies is there once, and every test that it
// names exists.
func TestThreatsDocument(t *testing.T) {
	doc, err := os.ReadFile("../docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := testsOf(t, "..")
	seen := map[int]bool{}
	for _, line := range strings.Split(string(doc), "\n") {
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			if !exists[m[1]] {
				t.Errorf("docs/threats.md names %s, which does not exist", m[1])
			}
		}
		m := threatRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if seen[n] || n < 1 || n > lastThreat || slices.Contains(laterThreats, n) {
			t.Errorf("row %d is there twice, or should not be", n)
		}
		seen[n] = true
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if tests := strings.TrimSpace(cells[len(cells)-1]); !testName.MatchString(tests) && !strings.HasPrefix(tests, "open:") {
			t.Errorf("row %d names no test: %q", n, tests)
		} else if strings.HasPrefix(tests, "open:") {
			t.Logf("row %d is %s", n, tests)
		}
	}
	for n := 1; n <= lastThreat; n++ {
		if !seen[n] && !slices.Contains(laterThreats, n) {
			t.Errorf("row %d is missing", n)
		}
	}
}

// testsOf lists the tests below a directory, in all modules.
func testsOf(t *testing.T, root string) map[string]bool {
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // somebody is writing it; the compiler will say
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSecretsAreNotComparedWithEqual: bytes.Equal gives away where two secrets
// differ. These are all its uses, and none of them is on a secret; MACs and
// Finished messages are compared by hmac.Equal (THREATS 53).
func TestSecretsAreNotComparedWithEqual(t *testing.T) {
	allowed := []string{
		"internal/auth/choose.go ChainSuits",            // names in a certificate
		"internal/handshake/client.go verify",           // a cookie, in the clear both ways
		"internal/handshake/server.go isProven",         // likewise
		"internal/handshake/handshake.go HasCookie",     // likewise
		"internal/handshake/resume12.go resumes12",      // session IDs, in the clear
		"internal/handshake/negotiate_retry.go repeats", // the hash of a hello, in the clear
		"internal/door/retry13.go checkRetry",           // the same
		"internal/dtlstest/keylog.go ReadKeyLog",        // lines of a test's key log
		"internal/reassembly/joiner.go agrees",          // fragments of a peer with each other
		"internal/antechamber/page.go contradicts",      // likewise
	}
	var found []string
	for _, dir := range []string{"dtls", "record", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(f, func(n ast.Node) bool {
					sel, ok := n.(*ast.SelectorExpr)
					if !ok || sel.Sel.Name != "Equal" && sel.Sel.Name != "Compare" {
						return true
					}
					if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "bytes" {
						found = append(found, filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))+" "+f.Name.Name)
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, use := range found {
		if !slices.Contains(allowed, use) {
			t.Errorf("bytes.Equal in %s", use)
		}
	}
	for _, use := range allowed {
		if !slices.Contains(found, use) {
			t.Errorf("no bytes.Equal in %s any more: take it off the list", use)
		}
	}
}
