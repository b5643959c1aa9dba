package portal

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func attempt(name, password string) signin.Attempt {
	return signin.Attempt{Username: name + "@contoso.example", Password: password, IP: "192.0.2.15"}
}

var row = regexp.MustCompile(`<a href="/portal/users/[0-9a-f-]{36}">(.*?)</a></th>`)

// names are the rows of a users page.
func names(p portaltest.Page) (out []string) {
	for _, m := range row.FindAllStringSubmatch(p.Body, -1) {
		out = append(out, html.UnescapeString(strings.NewReplacer("<mark>", "", "</mark>", "").Replace(m[1])))
	}
	return out
}

func link(t *testing.T, d webkittest.Doc, rel string) string {
	t.Helper()
	for _, a := range d.All("a") {
		if a.Attr["rel"] == rel {
			return a.Attr["href"]
		}
	}
	return ""
}

func TestSearchAndFilters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Person("o-neil_50%", "Percy O'Neil-Łódź", "")
	grace := h.As("grace")
	h.Update(func(tx *store.Tx) error {
		_, err := tx.ChangeUser(h.IDs["adele"], store.UserChange{}, func(u *directory.User) error { u.Enabled = false; u.Department = "R&D"; return nil })
		return err
	})
	for query, want := range map[string][]string{
		"q=ad":                       {"Ada Lovelace", "Adele Goldberg"},
		"q=AD&sort=-name":            {"Adele Goldberg", "Ada Lovelace"},
		"q=lovelace":                 {"Ada Lovelace"},
		"q=love+ada":                 {"Ada Lovelace"},
		"q=ada@con":                  {"Ada Lovelace"},
		"q=ada@contoso.example":      {"Ada Lovelace"},
		"q=@":                        nil,
		"q=%25":                      nil,
		"q=_":                        nil,
		"q=%5C%27%22%3C%3E":          nil,
		"q=neil-%C5%81%C3%B3d%C5%BA": {"Percy O'Neil-Łódź"},
		"q=o-neil_50%25@":            {"Percy O'Neil-Łódź"},
		"q=adx":                      nil,
		"status=disabled":            {"Adele Goldberg"},
		"status=disabled&q=lovelace": nil,
		"department=r%26d":           {"Adele Goldberg"},
		"role=any&q=gr":              {"Grace Hopper"},
		"role=62e90394-69f5-4237-9190-012177145e10": {"Anita Borg", "Grace Hopper", "Katherine Johnson"},
		"role=nonsense":                 nil,
		"q=" + strings.Repeat("x", 500): nil,
	} {
		p, _ := grace.Get(desk.PathUsers + "?" + query)
		if got := names(p); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if (want == nil) != strings.Contains(p.Body, "Nobody matches") {
			t.Errorf("%s: the empty list does not say so", query)
		}
	}
	p, _ := grace.Get(desk.PathUsers + "?q=ad&status=disabled&sort=-name")
	portaltest.Want(t, p, `name="status" value="disabled"`, `name="sort" value="-name"`, "Clear Status", "<mark>Ad</mark>ele", "1 found", "9</span>")
}

func TestPagingForwardsAndBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Crowd(72) // and eight of the house
	grace := h.As("grace")
	p, _ := grace.Get(desk.PathUsers + "?size=100")
	all := names(p)
	if len(all) != 80 || !slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }) {
		t.Fatalf("%d names, or not in order", len(all))
	}
	for _, sort := range []string{"", "&sort=-name"} {
		var seen []string
		path, previous := desk.PathUsers+"?size=25"+sort, ""
		pages := []string{"1–25 of 80", "26–50 of 80", "51–75 of 80", "76–80 of 80"}
		for i, says := range pages {
			p, d := grace.Get(path)
			portaltest.Want(t, p, says)
			seen = append(seen, names(p)...)
			path, previous = link(t, d, "next"), link(t, d, "prev")
			if (path == "") != (i == 3) || (previous == "") != (i == 0) {
				t.Fatalf("page %d: next %q, previous %q", i, path, previous)
			}
		}
		expect := slices.Clone(all)
		if sort != "" {
			slices.Reverse(expect)
		}
		if !slices.Equal(seen, expect) {
			t.Errorf("forwards%s: %d rows, or in another order", sort, len(seen))
		}
		for i := 2; i >= 0; i-- {
			p, d := grace.Get(previous)
			portaltest.Want(t, p, pages[i])
			if got := names(p); !slices.Equal(got, expect[25*i:25*i+25]) {
				t.Errorf("back%s to page %d: %q", sort, i, got)
			}
			if previous = link(t, d, "prev"); (previous == "") != (i == 0) || link(t, d, "next") == "" {
				t.Errorf("back on page %d: previous %q", i, previous)
			}
		}
	}
	// A key of another order is none of this one.
	_, d := grace.Get(desk.PathUsers + "?size=25")
	u, err := url.Parse(link(t, d, "next"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("sort", "-name")
	if p := grace.Do(http.MethodGet, desk.PathUsers+"?"+q.Encode(), nil); p.Status != http.StatusBadRequest {
		t.Errorf("a key of the other order: %d", p.Status)
	}
}

// BenchmarkUsersList is the page with 50,000 people, over http, as live search asks
// for it. Set CURFEW_CROWD for another number.
func BenchmarkUsersList(b *testing.B) {
	n := 50000
	if os.Getenv("CURFEW_CROWD") != "" {
		n = 5000
	}
	h := newHouse(b)
	h.Crowd(n)
	for i, name := range []string{"ada", "adele", "joan"} {
		for range i + 1 {
			s := h.As(name)
			h.Open(name, s.Live.Session.ID)
		}
	}
	grace := h.As("grace")
	for _, c := range []struct{ name, path string }{
		{"all", desk.PathUsers}, {"one letter", desk.PathUsers + "?q=b"}, {"two letters", desk.PathUsers + "?q=ad"}, {"name", desk.PathUsers + "?q=lovelace"}, {"address", desk.PathUsers + "?q=ada@contoso.ex"},
		{"nobody", desk.PathUsers + "?q=xyzzy"}, {"disabled", desk.PathUsers + "?status=disabled"}, {"profile", desk.UserPath(h.IDs["ada"].String())}, {"overview", desk.PathOverview},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if p := grace.Do(http.MethodGet, c.path, nil); p.Status != http.StatusOK {
					b.Fatal(p.Status)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
