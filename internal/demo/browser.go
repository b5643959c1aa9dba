package demo

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Browser is a browser without a screen: cookies, redirects and forms.
type Browser struct {
	http  *http.Client
	base  string // curfew's address: only its forms are filled in
	asked int    // how often a password was asked for
}

// Page is a page as it came.
type Page struct {
	URL    *url.URL
	status int
	body   string
}

// NewBrowser returns a browser without cookies. base is curfew's address, without a slash.
func NewBrowser(base string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no options that could be wrong
	}
	return &Browser{base: base, http: &http.Client{Jar: jar, Transport: &http.Transport{}, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// open asks for an address and follows redirects; one that leaves curfew only
// with leave, else the address it leads to is the result.
func (b *Browser) open(ctx context.Context, method, addr string, form url.Values, leave bool) (*Page, error) {
	for range 15 {
		r, err := http.NewRequestWithContext(ctx, method, addr, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := b.http.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		to, err := resp.Location()
		if errors.Is(err, http.ErrNoLocation) {
			return &Page{r.URL, resp.StatusCode, string(body)}, nil
		}
		if err != nil {
			return nil, err
		}
		method, addr, form = http.MethodGet, to.String(), nil
		if !leave && !strings.HasPrefix(addr, b.base+"/") {
			return &Page{to, resp.StatusCode, ""}, nil
		}
	}
	return nil, errors.New("redirected in a circle")
}

// SignIn opens an address and fills in curfew's forms on the way: name and
// password, consent, a device's code.
func (b *Browser) SignIn(ctx context.Context, addr, user, password string, leave bool) (*Page, error) {
	p, err := b.open(ctx, http.MethodGet, addr, nil, leave)
	for range 6 {
		if err != nil || !strings.HasPrefix(p.URL.String(), b.base+"/") {
			return p, err
		}
		if p.status >= http.StatusBadRequest {
			return p, fmt.Errorf("%d %s", p.status, p.problem())
		}
		action, fields := p.form()
		if action == "" {
			return p, nil
		}
		if fields.Has("password") {
			b.asked++
			fields.Set("username", user)
			fields.Set("password", password)
			fields.Del("kmsi")
		}
		to, perr := p.URL.Parse(action)
		if perr != nil {
			return nil, perr
		}
		p, err = b.open(ctx, http.MethodPost, to.String(), fields, leave)
	}
	return p, errors.Join(err, errors.New("one form after another"))
}

var (
	formTag  = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	fieldTag = regexp.MustCompile(`<(?:input|button)\b([^>]*)>`)
	attrs    = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
	alert    = regexp.MustCompile(`(?s)role="alert".*?<li>(.*?)</li>`)
	tags     = regexp.MustCompile(`<[^>]*>`)
)

// form reads the page's first form. Of buttons with the same name the first
// counts, which is the one that lets in.
func (p *Page) form() (action string, fields url.Values) {
	f := formTag.FindStringSubmatch(p.body)
	if f == nil {
		return "", nil
	}
	fields = url.Values{}
	for _, tag := range fieldTag.FindAllStringSubmatch(f[2], -1) {
		if a := attributes(tag[1]); a["name"] != "" && !fields.Has(a["name"]) {
			fields.Set(a["name"], a["value"])
		}
	}
	return attributes(f[1])["action"], fields
}

func attributes(tag string) map[string]string {
	out := map[string]string{}
	for _, a := range attrs.FindAllStringSubmatch(tag, -1) {
		out[a[1]] = html.UnescapeString(a[2])
	}
	return out
}

// problem is the sentence with which the page refused.
func (p *Page) problem() string {
	if m := alert.FindStringSubmatch(p.body); m != nil {
		return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(m[1], " "))), " ")
	}
	return "without a word"
}
