package curfew_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A name in docs/walks.md: `room.Func`, `room.Type` or `room.Type.Method`, the
// room by the end of its path.
var walkName = regexp.MustCompile("`([a-z][a-z0-9]*(?:/[a-z][a-z0-9]*)*)\\.([A-Za-z_]\\w*)(?:\\.([A-Za-z_]\\w*))?`")

// TestWalksNameWhatExists reads docs/walks.md and looks up in the source every
// function and type it names.
func TestWalksNameWhatExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "walks.md"))
	if err != nil {
		t.Fatal(err)
	}
	// Each walk: its heading, then numbered steps.
	for _, walk := range []struct {
		name  string
		steps int // no more than these; raise it only with a reason in the commit
		names int // at least these, so that the walk does not turn into prose
	}{{"Revoke", 8, 10}, {"Refresh", 6, 7}} {
		t.Run(walk.name, func(t *testing.T) {
			_, rest, ok := strings.Cut(string(text), "\n## "+walk.name+"\n")
			if !ok {
				t.Fatalf("docs/walks.md has no section %q", walk.name)
			}
			section, _, _ := strings.Cut(rest, "\n## ")
			if n := len(regexp.MustCompile(`(?m)^\d+\. `).FindAllString(section, -1)); n == 0 || n > walk.steps {
				t.Errorf("%d steps, at most %d", n, walk.steps)
			}
			names := walkName.FindAllStringSubmatch(section, -1)
			if len(names) < walk.names {
				t.Errorf("names %d functions and types, at least %d", len(names), walk.names)
			}
			for _, m := range names {
				if why := lookUp(t, m[1], m[2], m[3]); why != "" {
					t.Errorf("%s: %s", m[0], why)
				}
			}
		})
	}
}

// lookUp says why room.name (or the method or field member of the type name)
// does not exist, or "".
func lookUp(t *testing.T, roomName, name, member string) string {
	t.Helper()
	var dirs []string
	for dir := range plan {
		if dir == roomName || strings.HasSuffix(dir, "/"+roomName) {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) != 1 {
		return "no such room, or more than one: " + strings.Join(dirs, ", ")
	}
	paths, err := filepath.Glob(filepath.Join(dirs[0], "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if declares(d, name, member) {
				return ""
			}
		}
	}
	return "not found in " + dirs[0]
}

// TestDocsNameTestsThatExist looks up every test that a document offers as
// evidence.
func TestDocsNameTestsThatExist(t *testing.T) {
	exists := map[string]bool{}
	for dir := range plan {
		paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					exists[fn.Name.Name] = true
				}
			}
		}
	}
	if !exists["TestDocsNameTestsThatExist"] {
		t.Fatal("does not find itself")
	}
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "SECURITY.md", "CHANGELOG.md", "README.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			if doc != "README.md" || !os.IsNotExist(err) {
				t.Error(err)
			}
			continue
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)").FindAllStringSubmatch(string(text), -1) {
			if !exists[m[1]] {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
	}
}

func declares(d ast.Decl, name, member string) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return member == "" && d.Name.Name == name
		}
		return member == d.Name.Name && receiver(d.Recv.List[0].Type) == name
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.Name == name && member == "" {
				return true
			}
		}
	}
	return false
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr: // generic
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
