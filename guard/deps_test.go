package guard_test

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite deps.txt")

// Whoever imports guard imports all of deps.txt, and nothing else. A change of
// that list is a change people who review dependencies want to see.
func TestDependenciesAreTheCheckedInOnes(t *testing.T) {
	t.Parallel()
	const module = "github.com/curfew-id/curfew/"
	list := func(format string, args ...string) []string {
		cmd := exec.Command("go", append([]string{"list", "-deps", "-f", format}, args...)...)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		names := strings.Fields(string(out))
		slices.Sort(names)
		return names
	}
	// What is public of the standard library; its own internals change with
	// every release and are not our business.
	all := list("{{.ImportPath}}", ".")
	got := slices.DeleteFunc(slices.Clone(all), func(p string) bool {
		return strings.Contains("/"+p+"/", "/internal/") || strings.HasPrefix(p, "vendor/")
	})
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile("deps.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile("deps.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text != string(was) {
		t.Errorf("dependencies changed; look at them, then run go test ./guard -run Dependencies -update\ngot:\n%s", text)
	}
	for _, p := range list("{{if not .Standard}}{{.ImportPath}}{{end}}", ".", "./guardtest") {
		if p != module+"cutoff" && p != module+"guard" && p != module+"guard/guardtest" && !strings.HasPrefix(p, module+"guard/internal/") {
			t.Errorf("%s is neither cutoff nor the standard library", p)
		}
	}
	if slices.Contains(all, "html/template") || slices.Contains(all, "testing") {
		t.Error("guard brings along what no service needs")
	}
}
