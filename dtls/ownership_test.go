package dtls

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// owned lists, by directory, the structs whose fields are written in one file
// only: the one that declares the struct. Other files call its methods.
var owned = map[string][]string{
	".": {
		// Parts of the Engine and of its handshake.
		"closing", "credit", "events", "flight", "keyUpdate", "outMessage", "outbox", "path", "pathMTU", "plaintextACKs", "phase", "reception", "restartWatch", "sentDatagram", "tracer", "transmission",
		// Parts of a Conn.
		"alarm", "ending", "news", "opening", "snapshot", "turn",
		// Parts of what shares a socket.
		"books", "members", "shard", "standing",
	},
	"../internal/acks":   {"Ledger", "Owed", "Record"},
	"../internal/alert":  {"Queue"},
	"../internal/alarms": {"Alarm", "Group"},
	"../internal/handshake": {
		"Handshake", "Keys", "Received", "Result", "Session", "applicationSecrets", "choice12", "choice13", "complete", "negotiated12", "offeredPSK",
		// The states.
		"awaitCertificateVerify12", "awaitClientCertificate12", "awaitClientCertificate13", "awaitClientCertificateVerify13",
		"awaitClientFinished12", "awaitClientFinished13", "awaitClientHello", "awaitClientKeyExchange12",
		"awaitEncryptedExtensions13", "awaitSecondHello13", "awaitServerCertificate12", "awaitServerCertificate13",
		"awaitServerCertificateVerify13", "awaitServerFinished12", "awaitServerFinished13", "awaitServerHelloDone12",
		"awaitServerKeyExchange12",
		"SessionCache", "Spent",
	},
	"../internal/deadline":   {"Pair", "one"},
	"../internal/door":       {"Fragments", "Job", "Jobs", "Rate", "ReplyWriter", "load"},
	"../internal/epochs":     {"Epochs", "readEpoch", "sealEpoch"},
	"../internal/recordsize": {"Limits"},
	"../internal/reassembly": {"Joiner", "Message", "partial"},
	"../internal/quotes":     {"Hellos", "Ring"},
	"../internal/suspicion":  {"Suspicion"},
	"../internal/timing":     {"Pacer", "Timer"},
	"../internal/ring":       {"FIFO", "Queue", "Ring"},
	"../internal/roster":     {"Backlog", "Crowd", "Entry", "Roster", "Table", "entries", "group", "shrinkingMap"},
}

// TestOwnership: no field of an owned struct is written from a second file.
//
// With FLIGHTPATH_OWNERSHIP_DIR, a directory, and FLIGHTPATH_OWNERSHIP_STRUCTS,
// names separated by commas, it reports on another tree.
func TestOwnership(t *testing.T) {
	packages := owned
	if dir := os.Getenv("FLIGHTPATH_OWNERSHIP_DIR"); dir != "" {
		packages = map[string][]string{dir: strings.Split(os.Getenv("FLIGHTPATH_OWNERSHIP_STRUCTS"), ",")}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		s, err := loadSources(dir)
		if err != nil {
			t.Fatal(err)
		}
		complaints := s.foreignWrites(packages[dir])
		for _, c := range complaints {
			t.Error(c)
		}
		if len(complaints) > 0 {
			t.Errorf("%s: %d fields", dir, len(complaints))
		}
	}
}

// foreignWrites returns a sentence for each field of the named structs that is
// written outside the file that declares the struct.
//
// A write is an assignment to the field or to an element of it, ++ and --,
// clear, copy and delete, and taking its address. Where the field is itself a
// struct type of the package, a write to a field of that struct counts there:
// each struct answers for its own fields. Replacing a whole struct through a
// pointer (*p = …) writes all of it.
//
// Composite literals and zero values are no writes: a struct that is being made
// has nothing to keep consistent yet. Nor are calls of the methods of a field:
// these belong to the file of the field's type.
func (s *sources) foreignWrites(structs []string) (complaints []string) {
	type field struct{ owner, name string }
	home := map[string]string{}         // of each struct
	fields := map[*types.Var]field{}    // of all of them
	writes := map[field][]token.Pos{}   // from other files
	whole := map[*types.TypeName]bool{} // the structs themselves
	for _, name := range structs {
		obj, ok := s.pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			complaints = append(complaints, fmt.Sprintf("%s has no type %s: correct the list of owned structs", s.pkg.Path(), name))
			continue
		}
		str, ok := obj.Type().Underlying().(*types.Struct)
		if !ok {
			complaints = append(complaints, fmt.Sprintf("%s is no struct: correct the list of owned structs", name))
			continue
		}
		home[name], whole[obj] = s.file(obj.Pos()), true
		for f := range str.Fields() {
			fields[f] = field{name, f.Name()}
		}
	}
	note := func(f field, pos token.Pos) {
		if s.file(pos) != home[f.owner] {
			writes[f] = append(writes[f], pos)
		}
	}
	var written func(e ast.Expr)
	written = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.ParenExpr:
			written(e.X)
		case *ast.IndexExpr:
			written(e.X)
		case *ast.SliceExpr:
			written(e.X)
		case *ast.StarExpr:
			if obj := s.named(s.info.TypeOf(e)); whole[obj] {
				note(field{obj.Name(), "*"}, e.Pos())
			}
			written(e.X)
		case *ast.SelectorExpr:
			path := s.path(e)
			for _, v := range path {
				if f, ok := fields[v.Origin()]; ok {
					note(f, e.Sel.Pos())
				}
			}
			// A field of a struct of another package, or of one without a
			// name, belongs to what holds the struct.
			if len(path) > 0 && s.named(s.info.TypeOf(e.X)) == nil {
				written(e.X)
			}
		}
	}
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						written(e)
					}
				}
			case *ast.IncDecStmt:
				written(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					written(n.Key)
					written(n.Value)
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					written(n.X)
				}
			case *ast.CallExpr:
				if f, ok := ast.Unparen(n.Fun).(*ast.Ident); ok && len(n.Args) > 0 {
					if _, ok := s.info.Uses[f].(*types.Builtin); ok && slices.Contains([]string{"clear", "copy", "delete"}, f.Name) {
						written(n.Args[0])
					}
				}
			}
			return true
		})
	}
	for f, places := range writes {
		var at []string
		for _, pos := range places {
			at = append(at, s.place(pos))
		}
		slices.Sort(at)
		complaints = append(complaints, fmt.Sprintf("%s.%s is written outside %s: %s", f.owner, f.name, home[f.owner], strings.Join(slices.Compact(at), ", ")))
	}
	slices.Sort(complaints)
	return complaints
}

// path is the fields that a selector goes through: more than one where structs
// are embedded, none where it names a method or another package.
func (s *sources) path(e *ast.SelectorExpr) (fields []*types.Var) {
	selection, ok := s.info.Selections[e]
	if !ok || selection.Kind() != types.FieldVal {
		return nil
	}
	typ := selection.Recv()
	for _, i := range selection.Index() {
		if p, ok := typ.Underlying().(*types.Pointer); ok {
			typ = p.Elem()
		}
		f := typ.Underlying().(*types.Struct).Field(i)
		fields, typ = append(fields, f), f.Type()
	}
	return fields
}

// named is the declaration of a type of this package, or of what a pointer
// points to; nil for other types.
func (s *sources) named(typ types.Type) *types.TypeName {
	if p, ok := types.Unalias(typ).(*types.Pointer); ok {
		typ = p.Elem()
	}
	if n, ok := types.Unalias(typ).(*types.Named); ok && n.Obj().Pkg() == s.pkg {
		return n.Origin().Obj()
	}
	return nil
}
