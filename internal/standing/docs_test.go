package standing_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/standing"
)

var update = flag.Bool("update", false, "rewrite the table in docs/lifecycle.md")

// docs/lifecycle.md holds the table between these two lines.
const begins, ends = "<!-- printed: go test ./internal/standing -update -->\n", "<!-- end of what is printed -->\n"

func TestThePageHasTheTable(t *testing.T) {
	const page = "../../docs/lifecycle.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begins)
	have, after, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	want := printed()
	if *update {
		if err := os.WriteFile(page, []byte(before+begins+want+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
		have = want
	}
	if have != want {
		t.Fatalf("%s is not what the table says; run go test ./internal/standing -update", page)
	}
}

func printed() string {
	var b strings.Builder
	b.WriteString("| event | browser sessions | grants, with their refresh tokens | access tokens | what is half-done | who is told |\n|---|---|---|---|---|---|\n")
	for _, r := range standing.Table {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Text, sessions(r), grants(r), tokens(r), halfDone(r), told(r))
	}
	b.WriteString("\n| setting | when | value | what ends then |\n|---|---|---|---|\n")
	for _, r := range standing.Table {
		for _, x := range r.Wider() {
			fmt.Fprintf(&b, "| `lifecycle.%s` | %s | `%s` | %s |\n", r.Event, r.Text, x.Name, x.Text)
		}
	}
	return b.String()
}

// cell joins what each part of a row says; a dash when none says anything.
func cell(r standing.Row, word func(standing.Part) string) string {
	var all []string
	for _, p := range r.Ends {
		if w := word(p); w != "" && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return strings.Join(all, ", ")
}

func sessions(r standing.Row) string {
	if r.Spares {
		return "end, all but the current one, whose cookie gets a new value"
	}
	return cell(r, func(p standing.Part) string {
		if p.Reach != cutoff.Everything {
			return ""
		}
		return map[standing.Whose]string{standing.Everybodys: "everybody's end", standing.TheUsers: "end", standing.TheSessions: "that one ends", standing.TheDevices: "those on that device end"}[p.Whose]
	})
}

func grants(r standing.Row) string {
	if r.Spares {
		return "end, but for those of the current session"
	}
	return cell(r, func(p standing.Part) string {
		if p.Reach == cutoff.Judge {
			return "" // judged at each use, as ever
		}
		return map[standing.Whose]string{standing.Everybodys: "everybody's end", standing.TheUsers: "end", standing.TheSessions: "those of that session without `offline_access` end",
			standing.GivenInIt: given(r), standing.TheGrants: "that one ends, and what was made from it", standing.TheApps: "those of that application end", standing.TheUsersIn: "those of that person in that application end",
			standing.TheDevices: "those of that device end"}[p.Whose]
	})
}

// given are grants that a row ends one by one.
func given(r standing.Row) string {
	if r.Has(standing.TheDevices) {
		return "and those given there before it was known"
	}
	return "those with it end"
}

func tokens(r standing.Row) string {
	if r.Spares {
		return "end; those of the current session are renewed by refresh"
	}
	return cell(r, func(p standing.Part) string {
		if p.Reach == cutoff.Judge {
			return map[standing.Whose]string{standing.Everybodys: "everybody's are", standing.TheUsers: "are", standing.TheDevices: "those of that device are"}[p.Whose] + " judged again, each at its next use"
		}
		if p.Whose == standing.TheIdentitys {
			return "those that the application has as itself end"
		}
		return map[bool]string{true: "as grants"}[p.Whose == standing.TheSessions || p.Whose == standing.GivenInIt || p.Whose == standing.TheGrants || p.Whose == standing.TheUsersIn || p.Whose == standing.TheDevices] +
			map[standing.Whose]string{standing.Everybodys: "everybody's end", standing.TheUsers: "end", standing.TheApps: "those of that application end, its own too"}[p.Whose]
	})
}

func halfDone(r standing.Row) string {
	return cell(r, func(p standing.Part) string {
		if p.Reach != cutoff.Everything {
			return ""
		}
		return map[standing.Whose]string{standing.Everybodys: "everybody's ends", standing.TheUsers: "ends", standing.TheSessions: "codes of that session end",
			standing.TheApps: "codes of that application end", standing.TheUsersIn: "codes of that person for that application end", standing.TheDevices: "codes of sessions on that device end"}[p.Whose]
	})
}

func told(r standing.Row) string {
	if len(r.Ends) == 0 {
		return "guards, of a number"
	}
	if slices.ContainsFunc(r.Ends, func(p standing.Part) bool { return p.Reach == cutoff.Everything && p.Whose != standing.TheIdentitys }) {
		return "guards; applications, by back-channel logout"
	}
	return "guards"
}
