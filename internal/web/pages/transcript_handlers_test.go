package pages_test

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

// transcript writes down what a browser meets: status, the headers that mean
// something, and of a page its title, heading and form. How a page looks is tested
// elsewhere.
type transcript struct {
	s *site
	b strings.Builder
}

var random = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(tenant), "{tenant}"},
	{regexp.MustCompile(`(curfew_proof=|flow=|id_token_hint=)[^&\s]+`), "$1{…}"},
	{regexp.MustCompile(`__Host-curfew=[\w-]+`), "__Host-curfew={cookie}"},
	{regexp.MustCompile(`\bcode=[\w-]{43}`), "code={code}"},
	{regexp.MustCompile(`posted=[\w-]{43}`), "posted={request}"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "{uuid}"},
	{regexp.MustCompile(`user_code(=|%3D)[A-Z]{4}-[A-Z]{4}`), "user_code$1{user code}"},
	{regexp.MustCompile(`token=[\w-]{43}`), "token={link}"},
}

func (x *transcript) scrub(v string) string {
	v = strings.ReplaceAll(v, x.s.srv.URL, "{base}")
	v = strings.ReplaceAll(v, url.QueryEscape(x.s.srv.URL), "{base}")
	for _, r := range random {
		v = r.what.ReplaceAllString(v, r.name)
	}
	return v
}

// note writes down an exchange and returns its page.
func (x *transcript) note(title, request string, p *page) *page {
	x.b.WriteString("== " + title + "\n> " + x.scrub(request) + "\n< " + strconv.Itoa(p.status) + "\n")
	for _, n := range []string{"Allow", "Cache-Control", "Content-Security-Policy", "Content-Type", "Location", "Referrer-Policy", "Retry-After", "Set-Cookie", "X-Content-Type-Options", "X-Frame-Options"} {
		for _, v := range p.header.Values(n) {
			x.b.WriteString("< " + n + ": " + x.scrub(v) + "\n")
		}
	}
	if strings.Contains(string(p.body), "<title>") {
		d := webkittest.Parse(p.t, p.body)
		x.b.WriteString("  page " + strconv.Quote(d.All("title")[0].Text) + "\n")
		for _, h := range d.All("h1") {
			x.b.WriteString("  heading " + strconv.Quote(h.Text) + "\n")
		}
		for _, e := range d.Elements {
			if strings.Contains(e.Attr["class"], "problem") {
				x.b.WriteString("  problem " + strconv.Quote(e.Text) + "\n")
			}
			if e.Attr["class"] == "trace" {
				x.b.WriteString("  trace " + strconv.Quote(traceID.ReplaceAllString(e.Text, "Request {id} At {time}")) + "\n")
			}
		}
		for _, f := range d.All("form") {
			x.b.WriteString("  form " + f.Attr["method"] + " " + x.scrub(f.Attr["action"]) + "\n")
		}
		var fields []string
		for _, e := range d.Elements {
			if n := e.Attr["name"]; n != "" && e.Name != "meta" {
				fields = append(fields, n)
			}
		}
		if len(fields) > 0 {
			x.b.WriteString("  fields " + strings.Join(slices.Compact(fields), " ") + "\n")
		}
	}
	x.b.WriteString("\n")
	return p
}

var traceID = regexp.MustCompile(`Request [A-Z2-7]{16} At [0-9:]{8}`)

func (x *transcript) get(title string, b *browser, path string) *page {
	x.s.t.Helper()
	return x.note(title, "GET "+path, b.get(path))
}

func (x *transcript) post(title string, b *browser, path string, f url.Values, header ...string) *page {
	x.s.t.Helper()
	shown := url.Values{}
	for n, v := range f {
		shown[n] = v
		if strings.HasPrefix(n, "password") || n == "current" {
			shown[n] = []string{"…"}
		}
	}
	return x.note(title, "POST "+path+"\n> "+shown.Encode(), b.post(path, f, header...))
}

func (x *transcript) submit(title string, b *browser, p *page, fill ...string) *page {
	x.s.t.Helper()
	action, f := p.form()
	for i := 0; i+1 < len(fill); i += 2 {
		f.Set(fill[i], fill[i+1])
	}
	return x.post(title, b, action, f)
}

func play(t *testing.T, name string, f func(*transcript)) {
	t.Parallel()
	playOn(t, open(t), name, f)
}

func playOn(t *testing.T, s *site, name string, f func(*transcript)) {
	x := &transcript{s: s}
	f(x)
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(x.b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, h := strings.Split(x.b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(h)) {
		if i >= len(g) || i >= len(h) || g[i] != h[i] {
			t.Fatalf("%s line %d:\n got %s\nwant %s\n(-update rewrites it)", path, i+1, append(g, make([]string, len(h)+1)...)[i], append(h, make([]string, len(g)+1)...)[i])
		}
	}
}

func TestAuthorizeTranscript(t *testing.T) {
	play(t, "authorize", func(x *transcript) {
		b := x.s.browser()
		b.c.CheckRedirect = never
		p := x.get("nobody is signed in", b, request())
		x.submit("a wrong password", b, p, "username", "ada@contoso.example", "password", "not this one")
		p = x.submit("signed in, kept", b, p, "username", "ada@contoso.example", "password", password, "kmsi", "1")
		p = x.get("back at the request: consent", b, p.to.String())
		x.submit("not allowed", b, p, "decision", "deny")
		x.submit("allowed", b, p, "decision", "allow")
		x.get("again, at the plain issuer", b, "/oauth2/authorize?"+params().Encode())
		x.get("fragment", b, request("response_mode", "fragment"))
		x.get("form_post", b, request("response_mode", "form_post"))
		x.get("form_post for prompt=none", b, request("response_mode", "form_post", "prompt", "none"))
		x.get("prompt=login", b, request("prompt", "login"))
		x.get("prompt=select_account", b, request("prompt", "select_account"))
		x.get("a scope that needs an administrator", b, request("scope", "openid api://mail/Mail.Purge"))
		x.get("an unknown client", b, request("client_id", "nobody"))
		x.get("an address that is not registered", b, request("redirect_uri", "https://evil.example/"))
		x.get("another tenant", b, "/fabrikam.example/oauth2/v2.0/authorize?client_id=tripboard")
		x.get("no challenge", b, request("code_challenge", "", "code_challenge_method", ""))
		x.get("a token at once", b, request("response_type", "token"))
		x.get("an unknown scope", b, request("scope", "api://nowhere/x"))
		x.post("posted from another site", b, "/common/oauth2/v2.0/authorize", params(), "Sec-Fetch-Site", "cross-site")
		x.post("a sign-in posted from another site", b, "/signin", url.Values{"username": {"ada@contoso.example"}, "password": {password}}, "Sec-Fetch-Site", "cross-site")
		x.get("prompt=none, nobody", x.s.browser(), request("prompt", "none"))
	})
}

func TestLogoutTranscript(t *testing.T) {
	play(t, "logout", func(x *transcript) {
		x.s.consented(x.s.Ada)
		b := x.s.browser()
		q := b.signIn(b.get(request()), "ada").answer()
		_, tokens := x.s.redeem(q.Get("code"))
		b.c.CheckRedirect = never
		hint := url.Values{"id_token_hint": {tokens["id_token"].(string)}, "post_logout_redirect_uri": {goodbye}, "state": {"s"}}
		x.get("an address that is not registered", b, "/common/oauth2/v2.0/logout?post_logout_redirect_uri=https%3A%2F%2Fevil.example&client_id=tripboard")
		x.get("nothing said: ask", b, "/common/oauth2/v2.0/logout")
		x.post("posted from another site", b, "/oauth2/logout", hint, "Sec-Fetch-Site", "cross-site")
		x.get("with this session's token", b, "/common/oauth2/v2.0/logout?"+hint.Encode())
		x.get("again", b, "/common/oauth2/v2.0/logout")
	})
}

func TestDevicePageTranscript(t *testing.T) {
	play(t, "device", func(x *transcript) {
		res, err := x.s.srv.Client().PostForm(x.s.srv.URL+"/oauth2/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {"openid"}})
		if err != nil {
			t.Fatal(err)
		}
		user := decode(t, res.Body)["user_code"].(string)
		b := x.s.browser()
		b.c.CheckRedirect = never
		x.get("nobody is signed in", b, "/device?user_code="+user)
		b.signIn(b.get("/signin"), "ada")
		p := x.get("the code is filled in", b, "/device?user_code="+user)
		x.submit("not a code", b, p, "user_code", "BCDF-GHJK")
		p = x.submit("the code", b, p)
		p = x.submit("allowed: consent", b, p, "decision", "allow")
		x.submit("consented", b, p, "decision", "allow")
		x.submit("once more", b, p, "decision", "allow")
	})
}

func TestSetUp(t *testing.T) {
	t.Parallel()
	s := empty(t)
	link, err := s.signin.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	playOn(t, s, "setup", func(x *transcript) {
		b := x.s.browser()
		b.c.CheckRedirect = never
		p := x.get("the link", b, "/setup?token="+link)
		good := []string{"name", "Root", "username", "root@contoso.example", "password", "granite lantern 58 owl", "password2", "granite lantern 58 owl"}
		x.submit("two passwords", b, p, append(good, "password2", "x")...)
		x.submit("a short one", b, p, append(good, "password", "short", "password2", "short")...)
		x.submit("no domain yet", b, p, append(good, "username", "root")...)
		x.submit("made", b, p, good...)
		x.submit("the link is used up", x.s.browser(), p, good...)
		x.get("signed in", b, "/account")
	})
}
