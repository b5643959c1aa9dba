package curfew_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/guard-imports.txt")

const module = "github.com/curfew-id/curfew"

// room is one row of the plan in doc.go. Everything below floor is open to it,
// unless except closes it; of its own floor only what sideways lists.
type room struct {
	floor    int
	sideways []string
	except   []string // prefixes of rooms that stay closed though they lie below
}

// Rooms on the far side are for other people's programs and for the CLI.
var farSide = []string{"guard/guardtest", "internal/client", "internal/term", "internal/store/storetest"}

// A surface asks verbs, never the store or the keys behind them.
var behindVerbs = []string{"internal/store", "internal/keys"}

func surface(sideways ...string) room {
	return room{floor: 4, sideways: sideways, except: append(behindVerbs, farSide...)}
}

// portalRoom is a room that serves pages of the portal.
func portalRoom(sideways ...string) room {
	return surface(append(sideways, webkit, "internal/web/portal/desk", "internal/web/portal/figure", "internal/web/portal/registry")...)
}

func verb(sideways ...string) room { return room{floor: 3, sideways: sideways, except: farSide} }

var throughServer = []string{"internal/store", "internal/keys", "internal/revoke", "internal/access", "internal/signin", "internal/issue", "internal/manage", "internal/relay", "internal/review", "internal/deliver", "internal/device", "internal/deed", "internal/watch", "internal/federate", "internal/factor", "internal/govern", "internal/web/", "guard/guardtest"}

var webkit = "internal/web/webkit"

// The plan. Change it together with doc.go; a room that is not one of the first
// design needs a page in docs/decisions, named in later.
var plan = map[string]room{
	"internal/web/device":         surface(webkit, "internal/web/pages"),
	"internal/web/graph/devices":  surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/device":             verb("internal/revoke", "internal/manage", "internal/deed"),
	"internal/deed":               verb("internal/revoke", "internal/manage"),
	"internal/store/internal/raw": {floor: 2},
	"internal/web/portal/risk":    portalRoom("internal/web/portal/receipt"),
	"internal/web/graph/risk":     surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/risk":               {floor: 1, sideways: []string{"internal/policy"}},
	"internal/watch":              verb("internal/manage", "internal/deed"),
	"internal/store/risks":        {floor: 2, sideways: []string{"internal/store", "internal/store/internal/raw"}, except: append([]string{"guard"}, farSide...)},
	"internal/store/devices":      {floor: 2, sideways: []string{"internal/store", "internal/store/internal/raw"}, except: append([]string{"guard"}, farSide...)},
	"":                            {floor: 0}, // doc.go itself
	"cutoff":                      {floor: 0},
	"internal/fault":              {floor: 0},
	"internal/config":             {floor: 0, sideways: []string{"internal/fault"}},
	"internal/egress":             {floor: 0, sideways: []string{"internal/fault"}},

	"internal/directory":   {floor: 1},
	"internal/role":        {floor: 1, sideways: []string{"internal/directory"}},
	"internal/policy":      {floor: 1, sideways: []string{"internal/directory"}},
	"internal/policy/wire": {floor: 1, sideways: []string{"internal/directory", "internal/policy"}},
	"internal/grant":       {floor: 1, sideways: []string{"internal/directory", "internal/policy"}},
	"internal/audit":       {floor: 1, sideways: []string{"internal/directory"}},
	"internal/standing":    {floor: 1, sideways: []string{"internal/directory", "internal/policy", "internal/grant"}},
	"internal/secevent":    {floor: 1},
	"internal/proof":       {floor: 1},

	"internal/issue/claims":    {floor: 1, sideways: []string{"internal/grant"}},
	"internal/manage/manifest": {floor: 1, sideways: []string{"internal/directory", "internal/role"}},

	"guard":                {floor: 1, sideways: []string{"guard/internal/jose", "guard/internal/dpop", "guard/internal/wire", "guard/internal/again", "guard/internal/where"}, except: []string{"internal/"}},
	"guard/internal/jose":  {floor: 1, except: []string{"internal/"}},
	"guard/internal/dpop":  {floor: 1, sideways: []string{"guard/internal/jose"}, except: []string{"internal/"}},
	"guard/internal/wire":  {floor: 1, except: []string{"internal/"}},
	"guard/internal/again": {floor: 1, except: []string{"internal/"}},
	"guard/internal/where": {floor: 1, except: []string{"internal/"}},
	"guard/guardtest":      {floor: 1, sideways: []string{"guard"}, except: []string{"internal/"}},
	"internal/client":      {floor: 1},
	"internal/term":        {floor: 1, except: []string{"internal/", "cutoff"}},

	"internal/store":           {floor: 2, sideways: []string{"internal/store/engine", "internal/store/internal/raw"}, except: append([]string{"guard"}, farSide...)},
	"internal/store/journal":   {floor: 2, sideways: []string{"internal/store/engine"}, except: append([]string{"guard"}, farSide...)},
	"internal/store/engine":    {floor: 2, except: append([]string{"guard"}, farSide...)},
	"internal/store/storetest": {floor: 2, sideways: []string{"internal/store"}},
	"internal/mail":            {floor: 2, except: append([]string{"guard"}, farSide...)},
	"internal/upstream":        {floor: 2, except: append([]string{"guard"}, farSide...)},
	"internal/geo":             {floor: 2, except: append([]string{"guard"}, farSide...)},

	"internal/keys":       verb(),
	"internal/clientauth": verb(),
	"internal/revoke":     verb(),
	"internal/access":     verb(),
	"internal/signin":     verb("internal/revoke", "internal/access"),
	"internal/issue":      verb("internal/revoke", "internal/keys", "internal/clientauth", "internal/access"),
	"internal/recheck":    verb("internal/issue", "internal/access"),
	"internal/manage":     verb("internal/revoke"),
	"internal/review":     verb(),
	"internal/rotate":     verb("internal/keys", "internal/revoke"),
	"internal/relay":      verb("internal/keys"),
	"internal/deliver":    verb("internal/keys"),
	"internal/govern":     verb("internal/access", "internal/manage"),
	"internal/factor":     verb("internal/keys", "internal/revoke", "internal/signin", "internal/manage", "internal/deed"),
	"internal/federate":   verb("internal/keys", "internal/revoke", "internal/signin", "internal/manage", "internal/deed"),

	webkit:                            surface(),
	"internal/web/webkit/webkittest":  surface(webkit),
	"internal/web/graph/odata":        surface(),
	"internal/web/oidc":               surface(webkit),
	"internal/web/pages":              surface(webkit),
	"internal/web/account":            surface(webkit, "internal/web/pages"),
	"internal/web/graph":              surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/own":          surface(webkit, "internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/registration": surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/signins":      surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/access":       surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/methods":      surface("internal/web/graph/api", "internal/web/graph/odata"),
	"internal/web/graph/api":          surface(webkit, "internal/web/graph/odata"),
	"internal/web/federation":         surface(webkit),
	"internal/web/scim":               surface(webkit),
	"internal/web/ssf":                surface(webkit),
	"internal/web/feed":               surface(webkit),
	"internal/web/portal":             portalRoom("internal/web/portal/receipt"),
	"internal/web/portal/deliveries":  portalRoom("internal/web/portal/receipt"),
	"internal/web/portal/desk":        surface(webkit, "internal/web/portal/receipt", "internal/web/portal/registry"),
	"internal/web/portal/figure":      surface(webkit),
	"internal/web/portal/receipt":     surface(webkit, "internal/web/portal/figure"),
	"internal/web/portal/registry":    surface(webkit, "internal/web/portal/figure"),
	"internal/web/portal/policies":    portalRoom("internal/web/portal/receipt"),
	"internal/web/portal/person":      portalRoom("internal/web/portal/receipt"),
	"internal/web/portal/signins":     portalRoom(),
	"internal/web/portal/portaltest":  {floor: 4, sideways: []string{webkit, "internal/web/webkit/webkittest", "internal/web/portal/desk"}, except: farSide},
	"internal/gateway": {floor: 4, except: []string{"internal/directory", "internal/role", "internal/policy", "internal/grant", "internal/audit", "internal/standing", "internal/secevent", "internal/proof", "internal/upstream", "internal/deliver",
		"internal/device", "internal/risk", "internal/watch", "internal/geo", "internal/client", "internal/term", "internal/store", "internal/keys", "internal/revoke", "internal/signin", "internal/issue", "internal/manage", "internal/relay", "internal/review", "internal/federate", "internal/factor", "internal/govern", "guard/guardtest"}},

	"internal/server": {floor: 5, except: farSide},

	// The CLI and the demo reach verbs, store, keys and surfaces through server,
	// which is the only package that knows every room.
	"cmd/curfew":      {floor: 6, sideways: []string{"internal/demo"}, except: throughServer},
	"internal/demo":   {floor: 6, except: throughServer},
	"e2e":             {floor: 7},
	"e2e/conformance": {floor: 7},
	"e2e/lifecycle":   {floor: 7},
}

// later names, for each room added after the first design, the page in
// docs/decisions that says why.
var later = map[string]string{
	"internal/web/device":             "0020-rooms-of-conditional-access.md",
	"internal/web/graph/devices":      "0020-rooms-of-conditional-access.md",
	"internal/deed":                   "0020-rooms-of-conditional-access.md",
	"internal/device":                 "0020-rooms-of-conditional-access.md",
	"internal/store/internal/raw":     "0020-rooms-of-conditional-access.md",
	"internal/web/portal/risk":        "0020-rooms-of-conditional-access.md",
	"internal/web/graph/risk":         "0020-rooms-of-conditional-access.md",
	"internal/risk":                   "0020-rooms-of-conditional-access.md",
	"internal/watch":                  "0020-rooms-of-conditional-access.md",
	"internal/store/risks":            "0020-rooms-of-conditional-access.md",
	"internal/store/devices":          "0020-rooms-of-conditional-access.md",
	"internal/web/graph/odata":        "0002-rooms-after-the-first-design.md",
	"internal/web/graph/api":          "0013-rooms-of-the-api.md",
	"internal/web/graph/registration": "0013-rooms-of-the-api.md",
	"internal/web/graph/own":          "0013-rooms-of-the-api.md",
	"internal/web/webkit/webkittest":  "0002-rooms-after-the-first-design.md",
	"internal/egress":                 "0006-rooms-of-the-lifecycle.md",
	"internal/proof":                  "0006-rooms-of-the-lifecycle.md",
	"internal/upstream":               "0006-rooms-of-the-lifecycle.md",
	"internal/deliver":                "0006-rooms-of-the-lifecycle.md",
	"internal/manage/manifest":        "0011-registrations.md",
	"internal/web/portal/figure":      "0002-rooms-after-the-first-design.md",
	"internal/web/portal/receipt":     "0014-what-is-registered-in-a-page.md",
	"internal/web/portal/registry":    "0014-what-is-registered-in-a-page.md",
	"internal/web/portal/desk":        "0020-rooms-of-conditional-access.md",
	"internal/web/portal/deliveries":  "0020-rooms-of-conditional-access.md",
	"internal/web/portal/signins":     "0020-rooms-of-conditional-access.md",
	"internal/web/portal/person":      "0020-rooms-of-conditional-access.md",
	"internal/web/portal/policies":    "0020-rooms-of-conditional-access.md",
	"internal/web/portal/portaltest":  "0020-rooms-of-conditional-access.md",
	"e2e/conformance":                 "0006-rooms-of-the-lifecycle.md",
	"e2e/lifecycle":                   "0010-what-ends-what.md",
	"internal/clientauth":             "0003-budgets.md",
	"guard/internal/jose":             "0003-budgets.md",
	"guard/internal/dpop":             "0020-rooms-of-conditional-access.md",
	"guard/internal/wire":             "0020-rooms-of-conditional-access.md",
	"guard/internal/again":            "0021-judge-again.md",
	"guard/internal/where":            "0021-judge-again.md",
	"internal/federate":               "0009-sign-in-through-others.md",
	"internal/web/federation":         "0009-sign-in-through-others.md",
	"internal/demo":                   "0012-the-demo-and-the-terminal.md",
	"internal/term":                   "0012-the-demo-and-the-terminal.md",
	"internal/web/account":            "0020-rooms-of-conditional-access.md",
	"internal/access":                 "0020-rooms-of-conditional-access.md",
	"internal/issue/claims":           "0020-rooms-of-conditional-access.md",
	"internal/review":                 "0020-rooms-of-conditional-access.md",
	"internal/web/graph/signins":      "0020-rooms-of-conditional-access.md",
	"internal/rotate":                 "0020-rooms-of-conditional-access.md",
	"internal/govern":                 "0020-rooms-of-conditional-access.md",
	"internal/web/graph/access":       "0020-rooms-of-conditional-access.md",
	"internal/policy/wire":            "0018-policies-and-what-is-not-known.md",
	"internal/recheck":                "0021-judge-again.md",
	"internal/store/journal":          "0020-rooms-of-conditional-access.md",
	"internal/store/engine":           "0020-rooms-of-conditional-access.md",
	"internal/web/graph/methods":      "0020-rooms-of-conditional-access.md",
	"internal/mail":                   "0020-rooms-of-conditional-access.md",
	"internal/factor":                 "0020-rooms-of-conditional-access.md",
	"internal/geo":                    "0020-rooms-of-conditional-access.md",
}

// roomy are the rooms with a budget of their own, in lines; docs/decisions/0003
// says why each.
var roomy = map[string]int{
	"internal/store":      5700,
	"internal/manage":     4400,
	"internal/issue":      3300,
	"internal/web/portal": 3900,
	"cmd/curfew":          6850,
	"internal/client":     3500,
	"guard":               3200,
	"internal/relay":      2700,
}

var rulesWing = []string{"internal/directory", "internal/role", "internal/policy", "internal/policy/wire", "internal/grant", "internal/risk", "internal/standing", "internal/audit", "internal/secevent"}

// A pkg is what `go list -json` says about one package of this module.
type pkg struct {
	Dir, ImportPath, Name                              string
	GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports, Deps           []string
	Standard                                           bool
	Error                                              *struct{ Err string }
	room                                               string // path below the module, "" for the root
}

// list asks the go command once for every package of the module.
func list(t *testing.T) []*pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=Dir,ImportPath,Name,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports,Deps,Standard,Error", "./...")
	// As the binary is built: files for cgo are not part of it.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []*pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		p := new(pkg)
		if err := dec.Decode(p); err != nil {
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		p.room = below(p.ImportPath)
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 3 {
		t.Fatalf("go list found %d packages: this test would check nothing", len(pkgs))
	}
	return pkgs
}

func below(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

func TestHouse(t *testing.T) {
	pkgs := list(t)
	fset := token.NewFileSet()
	files := map[*pkg][]*source{}
	for _, p := range pkgs {
		for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			files[p] = append(files[p], read(t, fset, p, name))
		}
	}
	t.Run("every room is in the plan", func(t *testing.T) { checkPlan(t, pkgs) })
	t.Run("imports go down", func(t *testing.T) { checkFloors(t, pkgs) })
	t.Run("hard walls", func(t *testing.T) { checkWalls(t, pkgs) })
	t.Run("the rules wing is pure", func(t *testing.T) { checkPure(t, pkgs, files) })
	t.Run("the guard's imports are the ones on file", func(t *testing.T) { checkGuard(t, pkgs) })
	t.Run("every package says what it is", func(t *testing.T) { checkComments(t, pkgs, files) })
	t.Run("budgets", func(t *testing.T) { checkBudgets(t, pkgs, files) })
	t.Run("no init", func(t *testing.T) { checkInit(t, pkgs, files) })
	t.Run("a to-do has an issue", func(t *testing.T) { checkToDo(t) })
}

func checkPlan(t *testing.T, pkgs []*pkg) {
	plainDoc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for name := range plan {
		if name != "" && !regexp.MustCompile(`(?m)^//.*[ \t]`+regexp.QuoteMeta(name)+`\s`).Match(plainDoc) {
			t.Errorf("doc.go does not show the room %s", name)
		}
	}
	for name, page := range later {
		text, err := os.ReadFile(filepath.Join("docs", "decisions", page))
		if err != nil || !bytes.Contains(text, []byte(name)) {
			t.Errorf("room %s: docs/decisions/%s must exist and name it (%v)", name, page, err)
		}
	}
	banned := []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "pkg", "misc", "base", "lib", "shared"}
	for _, p := range pkgs {
		if _, ok := plan[p.room]; !ok {
			t.Errorf("%s is no room of the house: give it a place in doc.go, in the plan here, and a page in docs/decisions", p.room)
		}
		for part := range strings.SplitSeq(p.room+"/"+p.Name, "/") {
			if slices.Contains(banned, part) {
				t.Errorf("%s: a name that says nothing (%s)", p.ImportPath, part)
			}
		}
	}
}

func checkFloors(t *testing.T, pkgs []*pkg) {
	for _, p := range pkgs {
		from, ok := plan[p.room]
		if !ok {
			continue // reported by checkPlan
		}
		for _, imp := range p.Imports {
			if ours(imp) {
				if why := from.closed(below(imp)); why != "" {
					t.Errorf("%s imports %s: %s", p.room, below(imp), why)
				}
			}
		}
		// Tests may look sideways and into the far side, never up.
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if to, ok := plan[below(imp)]; ours(imp) && ok && to.floor > from.floor && below(imp) != "internal/store/storetest" {
				t.Errorf("a test of %s (floor %d) imports %s (floor %d): imports go down only", p.room, from.floor, below(imp), to.floor)
			}
		}
	}
}

// closed says why a room may not import to, or "".
func (r room) closed(to string) string {
	target, ok := plan[to]
	switch {
	case !ok:
		return "not in the plan"
	case slices.ContainsFunc(r.except, func(e string) bool { return e == to || strings.HasPrefix(to, strings.TrimSuffix(e, "/")+"/") }):
		return "closed to it (see the plan)"
	case target.floor > r.floor:
		return fmt.Sprintf("imports go down only (floor %d to floor %d)", r.floor, target.floor)
	case target.floor == r.floor && !slices.Contains(r.sideways, to):
		return "same floor, and not one of the allowed sideways imports"
	}
	return ""
}

func checkWalls(t *testing.T, pkgs []*pkg) {
	only := map[string][]string{
		"html/template": {"internal/web/webkit", "internal/web/pages"},
	}
	for _, p := range pkgs {
		for _, imp := range p.Imports {
			if rooms, walled := only[imp]; walled && !slices.Contains(rooms, p.room) {
				t.Errorf("%s imports %s: only %s may", p.room, imp, strings.Join(rooms, ", "))
			}
			// Anything that speaks to a database.
			for _, sql := range []string{"database/sql", "github.com/jackc/pgx", "modernc.org/sqlite"} {
				if strings.HasPrefix(imp+"/", sql+"/") && !strings.HasPrefix(p.room+"/", "internal/store/") {
					t.Errorf("%s imports %s: all SQL lives under internal/store", p.room, imp)
				}
			}
		}
		if public(p.room) {
			for _, dep := range p.Deps {
				first, _, _ := strings.Cut(dep, "/")
				if !public(below(dep)) && (ours(dep) || strings.Contains(first, ".")) {
					t.Errorf("%s depends on %s: only cutoff and the standard library", p.room, dep)
				}
			}
		}
		if slices.Contains(rulesWing, p.room) {
			for _, dep := range p.Deps {
				if dep == "net/http" || dep == "database/sql" {
					t.Errorf("%s depends on %s: rules know neither network nor database", p.room, dep)
				}
			}
		}
	}
}

// checkPure looks for clocks and goroutines in the rules wing.
func checkPure(t *testing.T, pkgs []*pkg, files map[*pkg][]*source) {
	clocks := []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}
	for _, p := range pkgs {
		if !slices.Contains(rulesWing, p.room) {
			continue
		}
		for _, f := range files[p] {
			if f.test {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s starts a goroutine", f.at(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && f.imports[x.Name] == "time" && slices.Contains(clocks, n.Sel.Name) {
						t.Errorf("%s reads a clock (time.%s): take now as an argument", f.at(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// public says of a room that other people's programs bring it along.
func public(room string) bool {
	return room == "cutoff" || room == "guard" || strings.HasPrefix(room, "guard/internal/")
}

// checkGuard compares what guard and cutoff import with the list on file, so
// that a new dependency of other people's programs is seen in review.
func checkGuard(t *testing.T, pkgs []*pkg) {
	const onFile = "docs/guard-imports.txt"
	var got []string
	for _, p := range pkgs {
		if public(p.room) {
			got = append(got, p.Imports...)
		}
	}
	slices.Sort(got)
	text := "# What the public packages guard and cutoff import. Checked by arch_test.go; rewrite with\n# go test -run TestHouse . -update\n" +
		strings.Join(slices.Compact(got), "\n") + "\n"
	if *update {
		if err := os.WriteFile(onFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(onFile); err != nil || string(want) != text {
		t.Errorf("%s is not what guard and cutoff import now (%v):\n%s", onFile, err, text)
	}
}

func checkComments(t *testing.T, pkgs []*pkg, files map[*pkg][]*source) {
	for _, p := range pkgs {
		var with []string
		code := 0
		for _, f := range files[p] {
			if f.test {
				continue
			}
			code++
			if f.ast.Doc != nil {
				with = append(with, filepath.Base(f.path))
			}
		}
		switch {
		case code == 0:
		case len(with) != 1:
			t.Errorf("%s: one file must hold the package comment, found it in %v", p.room, with)
		case code > 1 && with[0] != "doc.go":
			t.Errorf("%s: the package comment belongs in doc.go, not %s", p.room, with[0])
		}
	}
}

func checkBudgets(t *testing.T, pkgs []*pkg, files map[*pkg][]*source) {
	reason := regexp.MustCompile(`(?m)^// Budget: \S.{10,}`)
	interfaces := map[string]bool{}
	for _, p := range pkgs {
		total := 0
		for _, f := range files[p] {
			limit := 500
			// A test file is read case by case; a table may be long.
			if f.test || reason.MatchString(f.header) {
				limit = 800
			}
			if f.lines > limit {
				t.Errorf("%s has %d lines, budget %d (800 with a line \"// Budget: reason\" in its header)", f.path, f.lines, limit)
			}
			if f.test {
				continue
			}
			total += f.lines
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if i, ok := n.(*ast.InterfaceType); ok && slices.ContainsFunc(i.Methods.List, func(m *ast.Field) bool { return len(m.Names) > 0 }) {
					interfaces[f.at(i.Pos())] = true
				}
				return true
			})
		}
		limit := 2500
		if own := roomy[p.room]; own > 0 {
			limit = own
		}
		if total > limit {
			t.Errorf("%s has %d lines without tests, budget %d", p.room, total, limit)
		}
	}
	if len(interfaces) > 12 {
		var at []string
		for i := range interfaces {
			at = append(at, i)
		}
		slices.Sort(at)
		t.Errorf("%d interfaces, budget 12:\n%s", len(at), strings.Join(at, "\n"))
	}
}

func checkInit(t *testing.T, pkgs []*pkg, files map[*pkg][]*source) {
	for _, p := range pkgs {
		for _, f := range files[p] {
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && !f.test && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s: no init(): wiring happens once, in order, in internal/server", f.at(fn.Pos()))
				}
			}
		}
	}
}

// checkToDo reads every text we write, not only Go.
func checkToDo(t *testing.T) {
	word := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	issue := regexp.MustCompile(`#[0-9]+`)
	read := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(d.Name(), ".git") || slices.Contains([]string{"testdata", "vendor", "node_modules", "bin"}, d.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".sql", ".html", ".css", ".js", ".sh", ".md", ".toml", ""}, filepath.Ext(path)) || d.Type()&fs.ModeType != 0 {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		read++
		for i, line := range strings.Split(string(text), "\n") {
			if word.MatchString(line) && !issue.MatchString(line) {
				t.Errorf("%s:%d: without an issue number: %s", path, i+1, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil || read < 10 {
		t.Errorf("read %d files: %v", read, err)
	}
}

// A source is one parsed Go file.
type source struct {
	path    string
	test    bool
	lines   int
	header  string // everything before the package clause
	imports map[string]string
	ast     *ast.File
	fset    *token.FileSet
}

func (f *source) at(p token.Pos) string {
	pos := f.fset.Position(p)
	return fmt.Sprintf("%s:%d", f.path, pos.Line)
}

func read(t *testing.T, fset *token.FileSet, p *pkg, name string) *source {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.room, name)
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	f := &source{path: path, test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(text, []byte("\n")), ast: file, fset: fset, imports: map[string]string{}}
	f.header = string(text[:fset.Position(file.Package).Offset])
	for _, imp := range file.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		local := path[strings.LastIndex(path, "/")+1:]
		if imp.Name != nil {
			local = imp.Name.Name
		}
		f.imports[local] = path
	}
	return f
}
