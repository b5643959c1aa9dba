package webkittest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Parameters returns the names of the request parameters that a function of the
// package under test reads, itself or in what it calls, sorted: those that it
// hands to one of readers, such as "f.get", "one" or "q[]" (an index), as a
// literal, or in a loop over a list of literals. A name that cannot be found out
// fails the test: a table of parameters that is compared with the sources must
// not have holes.
func Parameters(tb testing.TB, root string, readers ...string) []string {
	tb.Helper()
	found := map[string]bool{}
	funcs := declared(tb)
	todo, seen := []string{root}, map[string]bool{root: true}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if len(funcs[name]) == 0 {
			tb.Fatalf("there is no function %s", name)
		}
		for _, f := range funcs[name] {
			looped := loops(f)
			ast.Inspect(f.Body, func(n ast.Node) bool {
				var named []ast.Expr
				switch n := n.(type) {
				case *ast.CallExpr:
					if slices.Contains(readers, spelled(n.Fun)) {
						named = n.Args
					}
				case *ast.IndexExpr:
					if slices.Contains(readers, spelled(n.X)+"[]") {
						named = []ast.Expr{n.Index}
					}
				case *ast.Ident:
					if len(funcs[n.Name]) > 0 && !seen[n.Name] {
						seen[n.Name] = true
						todo = append(todo, n.Name)
					}
				}
				hit := len(named) == 0
				for _, e := range named {
					switch e := e.(type) {
					case *ast.BasicLit:
						s, err := strconv.Unquote(e.Value)
						found[s], hit = true, err == nil
					case *ast.Ident:
						for _, s := range looped[e.Name] {
							found[s], hit = true, true
						}
						// The readers themselves pass a name on.
						hit = hit || slices.ContainsFunc(readers, func(r string) bool { return r == name || strings.HasSuffix(r, "."+name) })
					}
				}
				if !hit {
					tb.Errorf("%s reads a parameter whose name stands nowhere", name)
				}
				return true
			})
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// declared are the package's functions and methods by their names.
func declared(tb testing.TB) map[string][]*ast.FuncDecl {
	tb.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string][]*ast.FuncDecl{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				out[fn.Name.Name] = append(out[fn.Name.Name], fn)
			}
		}
	}
	return out
}

// loops are the names that stand for elements of a literal list or for keys of a
// literal map in a function, with what they take in turn.
func loops(f *ast.FuncDecl) map[string][]string {
	out := map[string][]string{}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		r, ok := n.(*ast.RangeStmt)
		if !ok {
			return true
		}
		list, ok := r.X.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, e := range list.Elts {
			by := r.Value
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				e, by = kv.Key, r.Key
			}
			lit, isLit := e.(*ast.BasicLit)
			id, isName := by.(*ast.Ident)
			if !isLit || !isName || lit.Kind != token.STRING {
				continue
			}
			if s, err := strconv.Unquote(lit.Value); err == nil {
				out[id.Name] = append(out[id.Name], s)
			}
		}
		return true
	})
	return out
}

// spelled is how a function or value is written: "one", "f.get".
func spelled(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return spelled(e.X) + "." + e.Sel.Name
	}
	return ""
}
