package risk

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table in docs/risk.md")

const begins, ends = "<!-- printed: go test ./internal/risk -update -->\n", "<!-- end of what is printed -->\n"

func TestThePageHasTheTableOfRules(t *testing.T) {
	t.Parallel()
	const page = "../../docs/risk.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begins)
	have, after, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	var b strings.Builder
	b.WriteString("| rule | finds | weight | about | by default | `riskEventType` |\n|---|---|---|---|---|---|\n")
	for _, r := range Table {
		about, on := "the account", "off"
		if r.SignIn {
			about = "the sign-in and the account"
		}
		if r.On {
			on = "**on**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %d | %s | %s | %s |\n", r.Rule, r.Text, r.Weight, about, on, r.Graph)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+begins+b.String()+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
		have = b.String()
	}
	if have != b.String() {
		t.Fatalf("%s is not what the table says; run go test ./internal/risk -update", page)
	}
}
