package world

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser is a person at a browser without scripts: it keeps cookies, follows
// redirects, and fills in the server's forms with its user's name and password, and
// with codes of the authenticator app that the person sets up when told to. One
// goroutine at a time.
type Browser struct {
	User   string
	Asked  int // how often a password was asked for
	Agreed int // how often consent was asked for and given
	Coded  int // how often a code of the app was asked for

	w    *World
	http *http.Client
}

// End is where a visit came to rest.
type End struct {
	URL  *url.URL
	Form url.Values // what an application was posted, if it was
	Body string     // of the server's last page
}

// Value is a parameter of the answer to an application, from wherever it stands.
func (e *End) Value(name string) string {
	if e.Form != nil {
		return e.Form.Get(name)
	}
	return e.URL.Query().Get(name)
}

// Browser opens a browser with no cookies.
func (w *World) Browser(t *testing.T, user string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := w.client(jar)
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Browser{User: user, w: w, http: c}
}

func (b *Browser) ours(u *url.URL) bool { return strings.HasPrefix(u.String(), b.w.Base+"/") }

// Visit opens an address and does what the pages ask for, until there is no form
// left or the way leads out of the server. A loopback address with a port is gone
// to, because a client listens there; others are only reported.
func (b *Browser) Visit(t *testing.T, addr string) *End {
	t.Helper()
	return b.visit(t, addr, "")
}

// Device signs in at the page for devices, types a code and allows the device.
func (b *Browser) Device(t *testing.T, addr, code string) {
	t.Helper()
	if end := b.visit(t, addr, code); !strings.Contains(end.Body, "Device connected") {
		t.Fatalf("the device was not let in:\n%s", end.Body)
	}
}

func (b *Browser) visit(t *testing.T, addr, code string) *End {
	t.Helper()
	method, form := http.MethodGet, url.Values(nil)
	u, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if !b.ours(u) && (u.Hostname() != "localhost" || u.Port() == "") {
			return &End{URL: u, Form: form}
		}
		r, err := http.NewRequestWithContext(t.Context(), method, u.String(), strings.NewReader(form.Encode()))
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
		body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !b.ours(u) {
			return &End{URL: u, Form: form, Body: string(body)}
		}
		if res.StatusCode >= http.StatusBadRequest {
			t.Fatalf("%s %s answered %d:\n%s", method, u, res.StatusCode, body)
		}
		if to, err := res.Location(); err == nil {
			method, u, form = http.MethodGet, to, nil
			continue
		}
		doc, err := html.Parse(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if key := find(doc, func(n *html.Node) bool { return attr(n, "id") == "key" }); key != nil {
			b.w.keep(b.User, text(key))
		}
		f := find(doc, func(n *html.Node) bool { return n.Data == "form" })
		if on := find(doc, func(n *html.Node) bool { return attr(n, "id") == "go-on" && n.Data == "a" }); f == nil && on != nil {
			if u, err = u.Parse(attr(on, "href")); err != nil {
				t.Fatal(err)
			}
			method, form = http.MethodGet, nil
			continue
		}
		if f == nil {
			return &End{URL: u, Body: string(body)}
		}
		if u, err = u.Parse(attr(f, "action")); err != nil {
			t.Fatal(err)
		}
		method, form = http.MethodPost, b.fill(f, code)
	}
	t.Fatal("one page after another")
	return nil
}

// fill does with a form what its person would do: of several buttons it presses
// the one with its name on it, else the first, which is the one that lets in.
func (b *Browser) fill(f *html.Node, code string) url.Values {
	out := url.Values{}
	var buttons []*html.Node
	walk(f, func(n *html.Node) {
		name := attr(n, "name")
		switch {
		case n.Data == "button" && name != "":
			buttons = append(buttons, n)
		case n.Data != "input" || name == "" || has(n, "disabled"):
		case name == "username":
			out.Set(name, b.User)
		case name == "password":
			b.Asked++
			out.Set(name, Password)
		case name == "user_code" && attr(n, "type") != "hidden":
			out.Set(name, code)
		case name == "code" && attr(n, "type") != "hidden":
			b.Coded++
			out.Set(name, b.w.code(b.User))
		case attr(n, "type") == "checkbox" && !has(n, "checked"):
		default:
			out.Set(name, attr(n, "value"))
		}
	})
	if len(buttons) == 0 {
		return out
	}
	press := buttons[0]
	if attr(press, "name") == "account" {
		press = buttons[len(buttons)-1] // another account
	}
	for _, n := range buttons {
		if strings.Contains(text(n), b.User) {
			press = n
		}
	}
	if attr(press, "name") == "decision" {
		b.Agreed++
	}
	out.Set(attr(press, "name"), attr(press, "value"))
	return out
}

func walk(n *html.Node, visit func(*html.Node)) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			visit(d)
		}
	}
}

func find(n *html.Node, ok func(*html.Node) bool) (found *html.Node) {
	walk(n, func(d *html.Node) {
		if found == nil && ok(d) {
			found = d
		}
	})
	return found
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
