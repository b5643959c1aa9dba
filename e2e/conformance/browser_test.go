package conformance_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// page says what is done on the pages that begin at a matching address.
type page struct {
	Match string
	Tasks []struct {
		Task     string
		Match    string
		Optional bool
		Commands [][]any
	}
}

// A browser is the suite's: no scripts, cookies kept for one module, and on each
// page what the configuration says. One goroutine at a time.
type browser struct {
	p     *provider
	pages []page
	http  *http.Client

	user   string // instead of the one in the configuration; empty: that one
	at     *url.URL
	status int
	doc    webkittest.Doc    // empty while outside the server
	typed  map[string]string // by id
	posted url.Values        // what the callback was posted
	// seen are the headings for which a screenshot would have been taken.
	seen []string
}

// browser opens one for a module.
func (p *provider) browser(t *testing.T, module string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{p: p, pages: p.conf.Browser, http: &http.Client{Jar: jar, Transport: p.transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if o, ok := p.conf.Override[module]; ok {
		b.pages = o.Browser
	}
	return b
}

// as signs in as somebody else.
func (b *browser) as(name string) { b.user = name }

// matches is the suite's pattern: * stands for anything.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(s)
}

// visit goes to an address and does what the configuration says for it.
func (b *browser) visit(t *testing.T, addr string) { b.send(t, http.MethodGet, addr, nil) }

// send is visit with a form, when there is one.
func (b *browser) send(t *testing.T, method, addr string, form url.Values) {
	t.Helper()
	b.seen = nil
	b.load(t, method, addr, form)
	for _, pg := range b.pages {
		if !matches(pg.Match, addr) {
			continue
		}
		for _, task := range pg.Tasks {
			if !matches(task.Match, b.at.String()) {
				if !task.Optional {
					t.Fatalf("%q: the browser is at %s (%d)\n%s", task.Task, b.at, b.status, b.words())
				}
				continue
			}
			for _, c := range task.Commands {
				b.do(t, task.Task, c)
			}
		}
		return
	}
	t.Fatalf("docs/conformance.md does not say what to do at %s", addr)
}

func (b *browser) words() string {
	if b.inside() {
		return b.doc.Text()
	}
	return ""
}

func (b *browser) inside() bool { return strings.HasPrefix(b.at.String(), b.p.base+"/") }

// do is one command.
func (b *browser) do(t *testing.T, task string, c []any) {
	t.Helper()
	word := func(i int) string {
		if i >= len(c) {
			return ""
		}
		s, _ := c[i].(string)
		return s
	}
	if !b.inside() { // the suite's own page has what is waited for
		return
	}
	e := b.find(word(1), word(2))
	optional := word(len(c)-1) == "optional"
	switch {
	case e == nil && optional:
	case e == nil:
		t.Fatalf("%q: there is no %s %s at %s (%d)\n%s", task, word(1), word(2), b.at, b.status, b.words())
	case word(0) == "text":
		text := word(3)
		if text == user && b.user != "" {
			text = b.user
		}
		b.typed[e.Attr["id"]] += text // what stands there stays, as with keys
	case word(0) == "click":
		b.click(t, e)
	case word(0) == "wait":
		if text := word(4); text != "" {
			if !regexp.MustCompile(text).MatchString(e.Text) {
				t.Fatalf("%q: %q is not %s\n%s", task, e.Text, text, b.words())
			}
			b.seen = append(b.seen, e.Text)
		}
	default:
		t.Fatalf("%q: no command %v", task, c)
	}
}

func (b *browser) find(by, what string) *webkittest.Element {
	for _, e := range b.doc.Elements {
		if by == "id" && e.Attr["id"] == what || by == "name" && e.Attr["name"] == what || by == "xpath" && what == "//"+e.Name {
			return e
		}
	}
	return nil
}

// click presses a button: its form is sent, with what was typed.
func (b *browser) click(t *testing.T, button *webkittest.Element) {
	t.Helper()
	var form *webkittest.Element
	fields := url.Values{}
	for _, e := range b.doc.Elements {
		switch {
		case e.Name == "form":
			form, fields = e, url.Values{}
		case e == button:
			if e.Attr["name"] != "" {
				fields.Set(e.Attr["name"], e.Attr["value"])
			}
			to, err := b.at.Parse(form.Attr["action"])
			if err != nil {
				t.Fatal(err)
			}
			for _, later := range b.rest(button) { // fields may stand behind the button
				b.fill(fields, later)
			}
			b.load(t, http.MethodPost, to.String(), fields)
			return
		default:
			b.fill(fields, e)
		}
	}
}

func (b *browser) rest(from *webkittest.Element) (out []*webkittest.Element) {
	found := false
	for _, e := range b.doc.Elements {
		if found && e.Name == "form" {
			break
		}
		if found {
			out = append(out, e)
		}
		found = found || e == from
	}
	return out
}

func (b *browser) fill(fields url.Values, e *webkittest.Element) {
	if e.Name != "input" || e.Attr["name"] == "" || e.Has("disabled") || e.Attr["type"] == "checkbox" && !e.Has("checked") {
		return
	}
	fields.Set(e.Attr["name"], e.Attr["value"]+b.typed[e.Attr["id"]])
}

// load gets a page and follows redirects, to the first address outside the server.
func (b *browser) load(t *testing.T, method, addr string, form url.Values) {
	t.Helper()
	b.typed, b.posted = map[string]string{}, nil
	u, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		b.at, b.status, b.doc = u, 0, webkittest.Doc{}
		if !b.inside() {
			b.posted = form
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		r, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		res, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		b.status = res.StatusCode
		if to, err := res.Location(); err == nil {
			if res.StatusCode == http.StatusTemporaryRedirect {
				t.Errorf("%s answered 307: a form with a password would be sent on (RFC 9700 §4.12)", u)
			}
			method, u, form = http.MethodGet, to, nil
			continue
		}
		b.doc = webkittest.Check(t, text)
		return
	}
	t.Fatal("one redirect after another")
}

// The configuration printed for the suite names modules that there are.
func TestOverridesAreOfModulesThatExist(t *testing.T) {
	t.Parallel()
	var c suiteConfig
	if err := json.Unmarshal([]byte(block(t, "json")), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Override) == 0 {
		t.Fatal("no override: this test would check nothing")
	}
	for name := range c.Override {
		if !known(name) {
			t.Errorf("docs/conformance.md overrides %s, which is no module", name)
		}
	}
}
