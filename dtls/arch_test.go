package dtls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fronts are the files that know sockets, locks, contexts and clocks, by the
// beginning of their names. The linter has the same list.
var fronts = []string{"conn", "deadline", "dial", "endpoint", "errors_front", "listener", "shard", "transport"}

// settings are the files that may name what is net's or context's, since the
// public Config and the errors do, and that the engine may use all the same.
var settings = []string{"config", "errors", "params"}

func hasPrefix(file string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(file, p) })
}

func isFront(file string) bool { return hasPrefix(file, fronts) }

// isEngine reports whether a file is one of the engine's: neither a front nor
// settings nor a test.
func isEngine(file string) bool {
	return !isFront(file) && !hasPrefix(file, settings) && !strings.HasSuffix(file, "_test.go")
}

// TestNoArrowIntoTheFronts: neither a file of the engine nor the params it reads
// use what a front declares. The public Config may: its callbacks get a *Conn.
func TestNoArrowIntoTheFronts(t *testing.T) {
	s, err := loadSources(".")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{} // arrow → where from
	for id, obj := range s.info.Uses {
		from := s.file(id.Pos())
		if obj.Pkg() != s.pkg || !isFront(s.file(obj.Pos())) || isFront(from) || strings.HasPrefix(from, "config") {
			continue
		}
		found[from+" → "+obj.Name()] = fmt.Sprintf("%s uses %s of %s", s.place(id.Pos()), obj.Name(), s.place(obj.Pos()))
	}
	for _, arrow := range slices.Sorted(maps.Keys(found)) {
		t.Errorf("%s: the engine knows no front; declare it below, or pass it as an argument", found[arrow])
	}
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
		if !isEngine(name) {
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
// is a leaf that programs can use alone. Every package of the library is here,
// with the packages of the library that it may import.
func TestImportsFlowOneWay(t *testing.T) {
	const module = "github.com/flightpath-dtls/flightpath/"
	allowed := map[string][]string{
		"record":               {"internal/ccm"},
		"internal/ccm":         {},
		"internal/alarms":      {"internal/timerheap"},
		"internal/acks":        {"internal/message", "record"},
		"internal/alert":       {},
		"internal/interval":    {},
		"internal/antechamber": {"internal/interval"},
		"internal/message":     {"internal/alert", "record"},
		"internal/suite":       {"internal/message", "record"},
		"internal/keys":        {},
		"internal/kex":         {"internal/alert"},
		"internal/auth":        {"internal/alert"},
		"internal/cookie":      {},
		"internal/ticket":      {},
		"internal/timerheap":   {},
		"internal/transport":   {"internal/udpsock"},
		"internal/udpsock":     {},
		"internal/dtlstest":    {}, // for tests only
		"internal/ring":        {},
		"internal/tally":       {},
		"internal/roster":      {},
		"internal/deadline":    {},
		"internal/epochs":      {"internal/keys", "internal/suite", "record"},
		"internal/recordsize":  {"record"},
		"internal/outcome":     {},
		"internal/quotes":      {},
		"internal/suspicion":   {},
		"internal/timing":      {},
		"internal/timeout":     {},
		"internal/reassembly":  {"internal/interval", "internal/message"},
		"internal/handshake": {
			"internal/alert", "internal/antechamber", "internal/auth", "internal/kex", "internal/keys",
			"internal/message", "internal/suite", "internal/ticket", "record",
		},
		"internal/door": {
			"internal/alert", "internal/antechamber", "internal/cookie", "internal/handshake", "internal/kex",
			"internal/message", "internal/reassembly", "internal/suite", "record",
		},
	}
	inside := []string{"record"}
	entries, err := os.ReadDir("../internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			inside = append(inside, "internal/"+e.Name())
		}
	}
	for _, dir := range inside {
		may, ok := allowed[dir]
		if !ok {
			t.Errorf("%s is a new package: say here which others it may import", dir)
			continue
		}
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
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
				if ours && !slices.Contains(may, path) {
					t.Errorf("%s imports %s; from %s only %v", name, path, dir, may)
				}
			}
		}
	}
}

// TestLinterKnowsTheFronts: .golangci.yml has the fronts and settings twice.
func TestLinterKnowsTheFronts(t *testing.T) {
	text, err := os.ReadFile("../.golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	ours := slices.Sorted(slices.Values(append(slices.Clone(fronts), settings...)))
	var files []string
	for _, m := range regexp.MustCompile(`"!\*\*/dtls/(\w+)\*\.go"`).FindAllSubmatch(text, -1) {
		files = append(files, string(m[1]))
	}
	slices.Sort(files)
	if !slices.Equal(files, ours) {
		t.Errorf("depguard leaves out %v, the tests %v", files, ours)
	}
	m := regexp.MustCompile(`dtls/\(\(([\w|]+)\)\[\^/\]\*`).FindSubmatch(text)
	if m == nil {
		t.Fatal("no list of files beside forbidigo")
	}
	if clocks := slices.Sorted(strings.SplitSeq(string(m[1]), "|")); !slices.Equal(clocks, ours) {
		t.Errorf("forbidigo leaves out %v, the tests %v", clocks, ours)
	}
}
