package signins

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Server serves the pages of sign-ins. Desk, Review and File are needed.
type Server struct {
	*desk.Desk
	Review *review.Service
	// File writes sign-ins as a file, jsonl or csv: whatever each gives to its function.
	// It answers itself, or returns an error before it has.
	File func(w http.ResponseWriter, format string, each func(func(*review.Entry) error) error) error
}

// Register adds the routes to a mux that webkit.Browser wraps.
func (s *Server) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+desk.PathSignIns, s.Page(desk.SectionSignIns, s.getSignIns))
	mux.HandleFunc("GET "+desk.PathSignIns+"/{id}", s.Page(desk.SectionSignIns, s.getSignIn))
	mux.HandleFunc("GET "+desk.PathSignIns+"/export/{format}", s.Page(desk.SectionSignIns, s.getFile))
}

// The buttons that take the list along.
var (
	AsLines = desk.Verb{Slug: "jsonl", Label: "JSON lines", Icon: "down", Form: true}
	AsSheet = desk.Verb{Slug: "csv", Label: "CSV", Icon: "down", Form: true}
)

// option is one value of a filter.
type option struct {
	word, text string
	set        func(*review.Query, time.Time)
}

func truth(b bool) *bool { return &b }

func within(d time.Duration) func(*review.Query, time.Time) {
	return func(q *review.Query, now time.Time) { q.From = now.Add(-d) }
}

// pills are the filters with a few values, by their name in the address.
var pills = []struct {
	name, label string
	options     []option
}{
	{"time", "Time", []option{{"1h", "Last hour", within(time.Hour)}, {"24h", "Last 24 hours", within(24 * time.Hour)}, {"7d", "Last 7 days", within(7 * 24 * time.Hour)}}},
	{"result", "Result", []option{{"success", "Success", func(q *review.Query, _ time.Time) { q.Success = truth(true) }}, {"failure", "Failure", func(q *review.Query, _ time.Time) { q.Success = truth(false) }}}},
	{"kind", "Kind", []option{{"interactive", "Interactive", kind(review.Interactive)}, {"silent", "Not interactive", kind(review.Silent)}, {"itself", "Application as itself", kind(review.AsItself)}}},
	{"access", "Conditional access", []option{{"passed", "Passed", status(review.Passed)}, {"failed", "Refused or asked", status(review.Failed)}, {"none", "Did not apply", status(review.NotApplied)}}},
}

func kind(k review.Kind) func(*review.Query, time.Time) {
	return func(q *review.Query, _ time.Time) { q.Kind = k }
}

func status(x review.Status) func(*review.Query, time.Time) {
	return func(q *review.Query, _ time.Time) { q.Status = x }
}

// asked is what an address asks the log for: the same for the list and for the file.
type asked struct {
	review.Query
	path   string
	fields url.Values // those that are set, without the page
	chosen map[string]option
}

// with is the address with one field changed, from the first page.
func (a *asked) with(name, value string) string {
	u := url.Values{}
	for k, v := range a.fields {
		u[k] = v
	}
	u.Set(name, value)
	if value == "" {
		u.Del(name)
	}
	return strings.TrimSuffix(a.path+"?"+u.Encode(), "?")
}

// ask reads the filters of the address. What is no value of a filter is left out, and
// does not stand in the links either.
func (s *Server) ask(v *desk.Visit, path string) *asked {
	a := &asked{path: path, fields: url.Values{}, chosen: map[string]option{}}
	for _, p := range pills {
		for _, o := range p.options {
			if v.Q.Get(p.name) == o.word {
				o.set(&a.Query, v.Now().UTC())
				a.fields.Set(p.name, o.word)
				a.chosen[p.name] = o
			}
		}
	}
	if app := v.Q.Get("app"); app != "" {
		a.App = directory.AppID(app)
		a.fields.Set("app", app)
	}
	if q := strings.TrimSpace(v.Q.Get("q")); q != "" {
		if ip, err := netip.ParseAddr(q); err == nil {
			a.IP = ip.String()
		} else {
			a.UserName = q
		}
		a.fields.Set("q", q)
	}
	return a
}

// steps bounds how often the log is asked for one page: each looks at part of it.
const steps = 4

// read reads one page, and where the next one begins; zero: there is none.
func (s *Server) read(v *desk.Visit, q review.Query) (all []review.Entry, next review.ID, err error) {
	if text := v.Q.Get("before"); text != "" {
		if err := q.Before.UnmarshalText([]byte(text)); err != nil {
			return nil, next, fault.New(fault.Invalid, "This is not a page of this list.")
		}
	}
	for range steps {
		q.Limit = desk.ListSize - len(all)
		var page []review.Entry
		if page, next, err = s.Review.SignIns(v.Ctx(), v.Actor, q); err != nil {
			return nil, next, err
		}
		all = append(all, page...)
		if next.IsZero() || len(all) == desk.ListSize {
			break
		}
		q.Before = next
	}
	return all, next, nil
}

func (s *Server) getSignIns(v *desk.Visit) error {
	a := s.ask(v, desk.PathSignIns)
	all, next, err := s.read(v, a.Query)
	if err != nil {
		return err
	}
	view := desk.Things{Heading: "Sign-ins", Query: a.fields.Get("q"), Search: "User name or address", ListURL: desk.PathSignIns, Found: -1, FoundText: "Newest first"}
	for _, verb := range []desk.Verb{AsLines, AsSheet} {
		view.Commands = append(view.Commands, desk.Command{Verb: verb, URL: strings.TrimSuffix(desk.PathSignIns+"/export/"+verb.Slug+"?"+a.fields.Encode(), "?")})
	}
	if len(all) == 0 && next.IsZero() && len(a.fields) == 0 {
		view.Nothing = "No sign-ins yet. Each one is written down here, with what the policies said."
	}
	for _, p := range pills {
		f := desk.Filter{Label: p.label}
		if o, ok := a.chosen[p.name]; ok {
			f.Value, f.ClearURL = o.text, a.with(p.name, "")
		} else {
			for _, o := range p.options {
				f.Options = append(f.Options, webkit.Link{Text: o.text, URL: a.with(p.name, o.word)})
			}
		}
		view.Filters = append(view.Filters, f)
	}
	if f := s.appFilter(v, a); f != nil {
		view.Filters = slices.Insert(view.Filters, 1, *f)
	}
	for name, values := range a.fields {
		if name != "q" {
			view.Hidden = append(view.Hidden, desk.Hidden{Name: name, Value: values[0]})
		}
	}
	slices.SortFunc(view.Hidden, func(x, y desk.Hidden) int { return strings.Compare(x.Name, y.Name) })
	view.Table = table(v, all)
	view.Paging = paging(v, a, len(all), next)
	view.Shell = v.Shell("Sign-ins")
	return desk.Show(v, desk.ThingsPage, http.StatusOK, view)
}

func paging(v *desk.Visit, a *asked, n int, next review.ID) (p desk.Paging) {
	if next.IsZero() && v.At() == 1 {
		return p
	}
	p = desk.Paging{From: v.At(), To: v.At() + n - 1, Total: -1, Size: desk.ListSize}
	if !next.IsZero() {
		to := a.with("before", next.String())
		p.NextURL = v.Next(n, to)
	}
	return p
}

// maxApps is how many applications the filter offers.
const maxApps = 30

// appFilter is the filter by application; nil for readers who may not know them.
func (s *Server) appFilter(v *desk.Visit, a *asked) *desk.Filter {
	f := desk.Filter{Label: "Application"}
	apps, err := s.Manage.Apps(v.Ctx(), v.Actor)
	if a.App != "" {
		f.Value, f.ClearURL = string(a.App), a.with("app", "")
	}
	if err != nil && a.App == "" {
		return nil
	}
	slices.SortFunc(apps, func(x, y *directory.App) int { return strings.Compare(registry.Name(x), registry.Name(y)) })
	for i, x := range apps {
		if x.ID == a.App {
			f.Value = registry.Name(x)
		}
		if i < maxApps {
			f.Options = append(f.Options, webkit.Link{Text: registry.Name(x), URL: a.with("app", string(x.ID))})
		}
	}
	if len(f.Options) == 0 && f.Value == "" {
		return nil
	}
	return &f
}

// getFile streams what the filters ask for. Once it has begun, what goes wrong breaks
// the connection off: no file passes for whole that is not.
func (s *Server) getFile(v *desk.Visit) error {
	format := v.R.PathValue("format")
	if format != AsLines.Slug && format != AsSheet.Slug {
		return fault.New(fault.NotFound, "There is no such page.")
	}
	a := s.ask(v, desk.PathSignIns)
	v.W.Header().Set("Cache-Control", "no-store")
	return s.File(v.W, format, func(f func(*review.Entry) error) error { return s.Review.Export(v.Ctx(), v.Actor, a.Query, f) })
}
