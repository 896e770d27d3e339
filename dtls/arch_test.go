package dtls

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// fronts are the files that may know sockets, locks, contexts and clocks, by
// the beginning of their names. Everything else in this package is the engine.
var fronts = []string{"conn", "deadline", "demux", "dial", "endpoint", "listener", "transport", "errors_front", "config", "params"}

func isFront(file string) bool {
	for _, prefix := range fronts {
		if strings.HasPrefix(file, prefix) {
			return true
		}
	}
	return strings.HasSuffix(file, "_test.go")
}

// TestEngineDoesNoIO holds the engine's files to what makes it testable: no
// sockets, files, locks, contexts or goroutines, and the time only as an
// argument.
func TestEngineDoesNoIO(t *testing.T) {
	forbidden := map[string]string{
		"net":         "addresses are netip, sockets belong to the fronts",
		"os":          "the engine does no I/O",
		"sync":        "an engine is used by one goroutine at a time",
		"sync/atomic": "an engine is used by one goroutine at a time",
		"context":     "contexts end in the fronts, callbacks come as plain functions",
		"syscall":     "what the kernel said is translated by the fronts",
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range files {
		if isFront(name) {
			continue
		}
		checked++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			if why, bad := forbidden[path]; bad {
				t.Errorf("%s imports %q: %s", name, path, why)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine in the engine", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok || x.Name != "time" {
					break
				}
				switch n.Sel.Name {
				case "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick":
					t.Errorf("%s: the engine asks no clock, now is a parameter (time.%s)", set.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
	if checked < 15 {
		t.Fatalf("only %d engine files found", checked)
	}
}

// TestImportsFlowOneWay: dtls → internal → record, suite, alert → std. record
// is a leaf that programs can use alone.
func TestImportsFlowOneWay(t *testing.T) {
	const module = "github.com/flightpath-dtls/flightpath/"
	allowed := map[string][]string{
		"record":               {"internal/ccm"},
		"internal/ccm":         {},
		"internal/alert":       {},
		"internal/interval":    {},
		"internal/antechamber": {"internal/interval"},
		"internal/message":     {"internal/alert", "record"},
		"internal/suite":       {"internal/message", "record"},
		"internal/keys":        {},
		"internal/kex":         {"internal/alert"},
		"internal/auth":        {"internal/alert"},
		"internal/cookie":      {},
		"internal/timerheap":   {},
		"internal/udpsock":     {},
	}
	for dir, may := range allowed {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files (%v)", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				path, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
				if !ours {
					continue
				}
				ok := false
				for _, m := range may {
					ok = ok || m == path
				}
				if !ok {
					t.Errorf("%s imports %s; from %s only %v", name, path, dir, may)
				}
			}
		}
	}
}
