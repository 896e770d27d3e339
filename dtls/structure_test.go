package dtls

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The tests of structure, TestOwnership and TestNoArrowIntoTheFronts, read a
// package as the compiler does. Tests and the files of other systems are left
// out.

// sources is a type-checked package.
type sources struct {
	set   *token.FileSet
	files []*ast.File
	pkg   *types.Package
	info  types.Info
}

// loadSources type-checks the package in dir. The types of its imports come
// from the export data of the build cache, so nothing but dir is parsed.
func loadSources(dir string) (*sources, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f",
		"{{if .DepOnly}}export {{.ImportPath}} {{.Export}}{{else}}{{range .GoFiles}}file {{.}}\n{{end}}path {{.ImportPath}}{{end}}", ".")
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%s", dir, err, stderr.String())
	}
	s := &sources{set: token.NewFileSet(), info: types.Info{
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Types:      map[ast.Expr]types.TypeAndValue{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	exports, path := map[string]string{}, ""
	for line := range strings.Lines(string(list)) {
		switch f := strings.Fields(line); {
		case len(f) == 3 && f[0] == "export":
			exports[f[1]] = f[2]
		case len(f) == 2 && f[0] == "path":
			path = f[1]
		case len(f) == 2 && f[0] == "file":
			file, err := parser.ParseFile(s.set, filepath.Join(dir, f[1]), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			s.files = append(s.files, file)
		}
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	config := types.Config{Importer: importer.ForCompiler(s.set, "gc", lookup)}
	s.pkg, err = config.Check(path, s.set, s.files, &s.info)
	return s, err
}

// file is the name of the file that pos is in.
func (s *sources) file(pos token.Pos) string { return filepath.Base(s.set.Position(pos).Filename) }

// place is pos as file:line.
func (s *sources) place(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.file(pos), s.set.Position(pos).Line)
}
