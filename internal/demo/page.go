package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
)

//go:embed demo.css demo.js
var embedded embed.FS

// files are what the pages of the demo's applications load.
var files = func() map[string][]byte {
	files := map[string][]byte{"mark.svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#c27e12" d="M5 13.5a7 7 0 0 1 14 0z"/><path fill="none" stroke="#7c8894" stroke-width="2" stroke-linecap="round" d="M2.5 16.5h19M7.5 20.5h9"/></svg>`)}
	for _, name := range []string{"demo.css", "demo.js"} {
		files[name], _ = embedded.ReadFile(name) // embedded: it is there
	}
	return files
}()

const (
	markSVG  = `<svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path class="sun" d="M5 13.5a7 7 0 0 1 14 0z"/><path class="rule" d="M2.5 16.5h19M7.5 20.5h9"/></svg>`
	endedSVG = `<span class="st ended"><svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="7"/><path class="tick" d="M4.8 8.2l2.2 2.3 4.2-4.6"/></svg><b>ended</b></span>`
)

// page writes a page. body is markup; all else is text.
func (a *app) page(w http.ResponseWriter, status int, s *session, title, scripts, body string) {
	who := ""
	if s != nil {
		who = `<span class="who">` + html.EscapeString(s.name) + `</span><form method="post" action="/signout"><button class="b">Sign out</button></form>`
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s – %s</title>
<link rel="icon" href="/mark.svg">
<link rel="stylesheet" href="/demo.css">
%s</head>
<body>
<header>%s<span class="app">%s</span><span class="dir">contoso.example</span>%s</header>
<main>
%s
</main>
</body>
</html>
`, html.EscapeString(title), a.name, scripts, markSVG, a.name, who, body)
}

func (a *app) message(w http.ResponseWriter, status int, title, text string) {
	a.page(w, status, nil, title, "", `<h1>`+html.EscapeString(title)+`</h1><p class="sub">`+html.EscapeString(text)+`</p><p><a class="b primary" href="/signin">Sign in</a></p>`)
}

// liveHead keeps a page up to date: at once with a script, else within 2 s.
const liveHead = `<noscript><meta http-equiv="refresh" content="2"></noscript>
<script src="/demo.js" defer></script>
`

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	s := a.session(r)
	if s == nil {
		a.message(w, http.StatusOK, a.name, map[bool]string{
			true:  a.name + " has a guard: access that is taken away ends here at once, and within 10 s even if the guard hears nothing.",
			false: a.name + " has no guard: it checks the signature and the end of a token, and nothing else.",
		}[a.guard != nil])
		return
	}
	rows, err := a.use(r.Context(), s)
	s.mu.Lock()
	over, expires := s.over, s.expires
	s.mu.Unlock()
	switch {
	case errors.Is(err, errClosed):
		a.page(w, http.StatusServiceUnavailable, s, "Closed", liveHead, `<h1>`+a.name+` is closed for now</h1><p class="sub">Its guard cannot confirm that nobody's access was taken away, and refuses everyone until it can.</p>`)
	case err != nil:
		a.page(w, http.StatusBadGateway, s, "No answer", liveHead, `<h1>No answer</h1><p class="sub">`+a.name+` could not ask its own API, or curfew. It tries again.</p>`)
	case len(over) > 0:
		a.ended(w, s, over)
	default:
		a.list(w, s, rows, expires)
	}
}

// list shows what the API gave.
func (a *app) list(w http.ResponseWriter, s *session, rows [][3]string, expires time.Time) {
	until := expires.In(a.zone).Format("15:04:05")
	var b strings.Builder
	fmt.Fprintf(&b, `<h1>%s</h1><p class="sub">of %s</p>`, map[string]string{"mail": "Inbox", "drive": "Files", "legacy": "Expense reports"}[a.id], html.EscapeString(s.name))
	scripts := liveHead
	if a.guard == nil {
		scripts = ""
		fmt.Fprintf(&b, `<p class="tell"><b>No guard.</b> Legacy checks the signature and the end of the access token and nothing else: it lets %s in until %s, whatever curfew says meanwhile.</p>`, html.EscapeString(s.name), until)
	}
	fmt.Fprintf(&b, `<div class="card"><table><caption>%s</caption><thead><tr><th scope="col">%s</th><th scope="col">%s</th><th scope="col" class="when">%s</th></tr></thead><tbody>`, a.name, a.columns[0], a.columns[1], a.columns[2])
	for _, row := range rows {
		fmt.Fprintf(&b, `<tr><td><b>%s</b></td><td>%s</td><td class="when">%s</td></tr>`, html.EscapeString(row[0]), html.EscapeString(row[1]), html.EscapeString(row[2]))
	}
	b.WriteString(`</tbody></table></div>`)
	if a.guard != nil {
		st := a.guard.Status()
		fmt.Fprintf(&b, `<p class="foot">Access token until %s. Guard <code>%s-1</code> stands before it, at ledger %d.</p>`, until, a.id, st.Position)
	}
	a.page(w, http.StatusOK, s, a.name, scripts, b.String())
}

// ended says when access ended and what was refused.
func (a *app) ended(w http.ResponseWriter, s *session, over []refusal) {
	var b strings.Builder
	fmt.Fprintf(&b, `<h1>Access ended at %s</h1><p class="sub">%s was signed in here until then.</p>`, over[0].at.In(a.zone).Format("15:04:05.000"), html.EscapeString(s.name))
	b.WriteString(`<div class="card"><table class="ends"><caption>What was refused</caption><tbody>`)
	for _, x := range over {
		fmt.Fprintf(&b, `<tr><td>%s</td><td><b>%s</b><br>refused by %s</td><td><code>%s</code></td><td class="when">%s</td></tr>`, endedSVG, x.what, html.EscapeString(x.by), html.EscapeString(x.why), x.at.In(a.zone).Format("15:04:05.000"))
	}
	b.WriteString(`</tbody></table></div><p><a class="b primary" href="/signin">Sign in again</a></p>`)
	a.page(w, http.StatusOK, nil, "Access ended", "", b.String())
}

// claims reads the claims of a token without checking it.
func claims(token string, out any) error {
	part := strings.Split(token, ".")
	if len(part) != 3 {
		return errors.New("this is no signed token")
	}
	b, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// legacy protects an API as most do today: signature, issuer, audience, times.
// What happened since the token was issued it cannot know.
func (a *app) legacy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *app) verify(ctx context.Context, token string) error {
	signed, sig, ok := strings.Cut(token, ".")
	payload, sig, more := strings.Cut(sig, ".")
	var head struct{ Alg, Typ, Kid string }
	var c struct {
		Iss, Aud string
		Exp      int64
	}
	b, err := base64.RawURLEncoding.DecodeString(signed)
	signature, serr := base64.RawURLEncoding.DecodeString(sig)
	if !ok || !more || errors.Join(err, serr) != nil || json.Unmarshal(b, &head) != nil || head.Alg != "ES256" || head.Typ != "at+jwt" || len(signature) != 64 {
		return errors.New("this is no access token")
	}
	key, err := a.key(ctx, head.Kid)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(signed + "." + payload))
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return errors.New("the signature is wrong")
	}
	if err := claims(token, &c); err != nil {
		return err
	}
	switch {
	case c.Iss != a.issuer || c.Aud != a.audience:
		return errors.New("the token is for somebody else")
	case time.Now().Unix() >= c.Exp:
		return errors.New("the token has expired")
	}
	return nil
}

// key finds a published key. The demo's server is next door: it is asked each time.
func (a *app) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/oauth2/keys", nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Kid, Crv, X, Y string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		x, xerr := base64.RawURLEncoding.DecodeString(k.X)
		y, yerr := base64.RawURLEncoding.DecodeString(k.Y)
		if k.Kid == kid && k.Crv == "P-256" && errors.Join(xerr, yerr) == nil && len(x) == 32 && len(y) == 32 {
			return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, append(x, y...)...))
		}
	}
	return nil, errors.New("there is no such key")
}
