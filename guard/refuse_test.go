package guard_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/guard/guardtest"
)

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, _ := guard.FromContext(r.Context())
	io.WriteString(w, c.User)
})

var challengeForm = regexp.MustCompile(`^Bearer ([a-z_]+="[^",]*")(, [a-z_]+="[^",]*")*$`)

// params takes a challenge apart the way the least careful client does: split
// at commas. It demands the form that every known client reads.
func params(t *testing.T, resp *http.Response) map[string]string {
	t.Helper()
	values := resp.Header.Values("WWW-Authenticate")
	if len(values) != 1 || !challengeForm.MatchString(values[0]) {
		t.Fatalf("challenge %q", values)
	}
	p := map[string]string{}
	for _, part := range strings.Split(strings.TrimPrefix(values[0], "Bearer "), ", ") {
		name, v, _ := strings.Cut(part, "=")
		if _, twice := p[name]; twice {
			t.Errorf("%s twice", name)
		}
		p[name] = strings.Trim(v, `"`)
	}
	if exposed := resp.Header.Values("Access-Control-Expose-Headers"); len(exposed) != 1 || exposed[0] != "WWW-Authenticate" {
		t.Errorf("exposed headers %q", exposed)
	}
	if realm, ok := p["realm"]; !ok || realm != "" {
		t.Error("realm must be there and empty")
	}
	return p
}

type body struct {
	Error struct {
		Code, Message string
		Since         *time.Time
		InnerError    struct{ Date string }
	}
}

func read(t *testing.T, resp *http.Response) body {
	t.Helper()
	var b body
	if err := json.NewDecoder(resp.Body).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("content type %q, cache control %q", ct, resp.Header.Get("Cache-Control"))
	}
	if _, err := time.Parse("2006-01-02T15:04:05", b.Error.InnerError.Date); err != nil || b.Error.Message == "" {
		t.Errorf("body %+v", b)
	}
	return b
}

func TestRevokedTokenOfACapableClientGetsAClaimsChallenge(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		h := g.Middleware(ok)
		capable := []string{
			srv.Token(guardtest.Token{User: ada, CP1: true}),
			srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"xms_cc": []string{"other", "cp1"}}}),
		}
		plain := []string{
			srv.Token(guardtest.Token{User: ada}),
			srv.Token(guardtest.Token{User: ada, Claims: map[string]any{"xms_cc": []string{"cp2"}}}),
		}
		if resp := get(h, "Bearer "+capable[0]); resp.StatusCode != 200 {
			t.Fatalf("before: %d", resp.StatusCode)
		}
		srv.CutUser(ada)
		time.Sleep(658 * time.Second)
		for _, token := range capable {
			resp := get(h, "Bearer "+token)
			p := params(t, resp)
			if resp.StatusCode != 401 || p["error"] != "insufficient_claims" || p["authorization_uri"] != srv.URL+"/"+guardtest.Tenant+"/oauth2/v2.0/authorize" {
				t.Errorf("%d %v", resp.StatusCode, p)
			}
			for _, word := range []string{"TokenIssuedBeforeRevocationTimestamp", "InteractionRequired"} {
				if !strings.Contains(p["error_description"], word) {
					t.Errorf("description %q lacks %s", p["error_description"], word)
				}
			}
			if len(p["claims"])%4 != 0 {
				t.Error("claims are not padded")
			}
			claims, err := base64.StdEncoding.Strict().DecodeString(p["claims"])
			if wantClaims := fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, time.Now().Unix()); err != nil || string(claims) != wantClaims {
				t.Errorf("claims %s, %v; want %s", claims, err, wantClaims)
			}
			if b := read(t, resp); b.Error.Code != "InvalidAuthenticationToken" || !strings.Contains(b.Error.Message, "TokenIssuedBeforeRevocationTimestamp") {
				t.Errorf("body %+v", b)
			}
		}
		for _, token := range plain {
			resp := get(h, "Bearer "+token)
			p := params(t, resp)
			if _, has := p["claims"]; resp.StatusCode != 401 || p["error"] != "invalid_token" || has {
				t.Errorf("%d %v", resp.StatusCode, p)
			}
			if b := read(t, resp); b.Error.Code != "InvalidAuthenticationToken" {
				t.Errorf("body %+v", b)
			}
		}
	})
}

func TestOtherRefusals(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		h := g.Middleware(ok)
		good := srv.Token(guardtest.Token{CP1: true})
		expired := srv.Token(guardtest.Token{CP1: true, Life: -time.Hour})
		for _, c := range []struct {
			name   string
			header []string
			status int
			error  string
		}{
			{"none", nil, 401, ""},
			{"another scheme", []string{"Basic dTpw"}, 401, ""},
			{"DPoP", []string{"DPoP " + good}, 401, ""},
			{"empty", []string{"Bearer"}, 401, "invalid_token"},
			{"spaces only", []string{"Bearer   "}, 401, "invalid_token"},
			{"garbage", []string{"Bearer x"}, 401, "invalid_token"},
			{"expired", []string{"Bearer " + expired}, 401, "invalid_token"},
			{"list of two", []string{"Bearer " + good + ", Bearer " + good}, 401, "invalid_token"},
			{"two headers", []string{"Bearer " + good, "Bearer " + good}, 400, "invalid_request"},
			{"good and other", []string{"Bearer " + good, "Basic dTpw"}, 400, "invalid_request"},
			{"lower case", []string{"bearer " + good}, 200, ""},
		} {
			resp := get(h, c.header...)
			if resp.StatusCode != c.status {
				t.Errorf("%s: status %d, want %d", c.name, resp.StatusCode, c.status)
				continue
			}
			if c.status == 200 {
				continue
			}
			p := params(t, resp)
			if _, has := p["error"]; p["error"] != c.error || has != (c.error != "") {
				t.Errorf("%s: %v, want %q", c.name, p, c.error)
			}
			read(t, resp)
		}
		r := httptest.NewRequest("POST", "https://mail.contoso.example/?access_token="+good, strings.NewReader("access_token="+good))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("token in the query or a form: %d", w.Code)
		}
	})
}

func TestClosedGuardSaysSinceWhen(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		h := g.Middleware(ok)
		token := "Bearer " + srv.Token(guardtest.Token{CP1: true})
		srv.Silence(true)
		time.Sleep(3 * time.Minute)
		for _, header := range [][]string{{token}, nil} {
			resp := get(h, header...)
			b := read(t, resp)
			if resp.StatusCode != 503 || b.Error.Code != "ServiceUnavailable" || resp.Header.Get("Retry-After") == "" || resp.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%d %v %+v", resp.StatusCode, resp.Header, b)
			}
			since := time.Now().Add(-3*time.Minute + 10*time.Second)
			if b.Error.Since == nil || b.Error.Since.Sub(since).Abs() > time.Second || !strings.Contains(b.Error.Message, b.Error.Since.Format(time.RFC3339)) {
				t.Errorf("since %v, want about %v: %s", b.Error.Since, since, b.Error.Message)
			}
		}
	})
}

func TestRequireScopes(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		h := g.Middleware(g.Require("Mail.Read", "Mail.Send")(ok))
		for scopes, status := range map[string]int{"Mail.Read Mail.Send User.Read": 200, "Mail.Read": 403, "": 403, "mail.read mail.send": 403} {
			resp := get(h, "Bearer "+srv.Token(guardtest.Token{Scopes: strings.Fields(scopes)}))
			if resp.StatusCode != status {
				t.Errorf("%q: %d, want %d", scopes, resp.StatusCode, status)
			}
			if status == 403 {
				if p := params(t, resp); p["error"] != "insufficient_scope" || p["scope"] != "Mail.Read Mail.Send" {
					t.Errorf("%v", p)
				}
				if b := read(t, resp); b.Error.Code != "Authorization_RequestDenied" {
					t.Errorf("%+v", b)
				}
			}
		}
		if resp := get(g.Require("a")(ok)); resp.StatusCode != 401 {
			t.Errorf("without Middleware in front: %d", resp.StatusCode)
		}
		g2 := srv.Guard(t)
		if resp := get(g2.Middleware(g.Require()(ok)), "Bearer "+srv.Token(guardtest.Token{})); resp.StatusCode != 401 {
			t.Errorf("behind another guard's middleware: %d", resp.StatusCode)
		}
	})
}

func TestRequireACR(t *testing.T) {
	bubble(t, func(t *testing.T, srv *guardtest.Server) {
		g := srv.Guard(t)
		now := time.Now().Unix()
		for _, c := range []struct {
			name   string
			maxAge time.Duration
			values []string
			claims map[string]any
			status int
		}{
			{"right", time.Hour, []string{"2", "3"}, map[string]any{"acr": "3"}, 200},
			{"weak", 0, []string{"2", "3"}, map[string]any{"acr": "1"}, 401},
			{"no acr", 0, []string{"2"}, map[string]any{"acr": nil}, 401},
			{"age at the limit", 5 * time.Minute, nil, map[string]any{"auth_time": now - 300}, 200},
			{"too old", 5 * time.Minute, nil, map[string]any{"auth_time": now - 301}, 401},
			{"no auth_time", 5 * time.Minute, nil, map[string]any{"auth_time": nil}, 401},
			{"any", 0, nil, map[string]any{"acr": nil, "auth_time": nil}, 200},
			{"strong but old", 5 * time.Minute, []string{"2"}, map[string]any{"acr": "2", "auth_time": now - 301}, 401},
		} {
			resp := get(g.Middleware(g.RequireACR(c.maxAge, c.values...)(ok)), "Bearer "+srv.Token(guardtest.Token{Claims: c.claims}))
			if resp.StatusCode != c.status {
				t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
			}
			if c.status == 200 {
				continue
			}
			p := params(t, resp)
			age := ""
			if c.maxAge > 0 {
				age = strconv.Itoa(int(c.maxAge.Seconds()))
			}
			if p["error"] != "insufficient_user_authentication" || p["acr_values"] != strings.Join(c.values, " ") || p["max_age"] != age {
				t.Errorf("%s: %v", c.name, p)
			}
		}
	})
}

func TestWhatCannotStandInAChallengePanics(t *testing.T) {
	t.Parallel()
	g, err := guard.New(guardtest.New(t).Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"", "a b", `a"b`, `a\b`, "a,b", "ä", "a\n"} {
		for _, f := range []func(){func() { g.Require(s) }, func() { g.RequireACR(0, s) }} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%q was taken", s)
					}
				}()
				f()
			}()
		}
	}
}

func TestRefuseTellsNothingOfForeignErrors(t *testing.T) {
	t.Parallel()
	srv := guardtest.New(t)
	g := srv.Guard(t)
	w := httptest.NewRecorder()
	g.Refuse(w, context.DeadlineExceeded)
	if w.Code != 401 || strings.Contains(w.Body.String(), "deadline") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, ok := guard.FromContext(t.Context()); ok {
		t.Error("claims out of nowhere")
	}
	for k, name := range map[guard.Kind]string{0: "unknown", guard.StepUp: "step up", 200: "unknown"} {
		if k.String() != name {
			t.Errorf("kind %d prints as %q", k, k)
		}
	}
	if (&guard.Refusal{}).Error() == "" {
		t.Error("a refusal without words")
	}
}

func TestSecretPrintsAsDots(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cfg := guard.Config{ClientSecret: "hunter2"}
	j, err := json.Marshal(map[string]any{"s": cfg.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("x", "secret", cfg.ClientSecret, "config", fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.ClientSecret, cfg.ClientSecret))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", cfg.ClientSecret)
	if s := out.String() + string(j); strings.Contains(s, "hunter2") || !strings.Contains(s, "•") {
		t.Errorf("printed: %s", s)
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	t.Parallel()
	good := guard.Config{Issuer: "https://login.contoso.example/", ClientID: "mail", ClientSecret: "s", Audience: "api://mail"}
	if _, err := guard.New(good); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*guard.Config){
		"no issuer":           func(c *guard.Config) { c.Issuer = "" },
		"http":                func(c *guard.Config) { c.Issuer = "http://login.contoso.example" },
		"http, looks like it": func(c *guard.Config) { c.Issuer = "http://localhost.contoso.example" },
		"user info":           func(c *guard.Config) { c.Issuer = "https://u:p@login.contoso.example" },
		"query":               func(c *guard.Config) { c.Issuer = "https://login.contoso.example/?x=1" },
		"comma":               func(c *guard.Config) { c.Issuer = "https://login.contoso.example/a,b" },
		"relative":            func(c *guard.Config) { c.Issuer = "login" },
		"not a URL":           func(c *guard.Config) { c.Issuer = "https://[" },
		"no client":           func(c *guard.Config) { c.ClientID = "" },
		"no secret":           func(c *guard.Config) { c.ClientSecret = "" },
		"no audience":         func(c *guard.Config) { c.Audience = "" },
		"half a clock":        func(c *guard.Config) { c.Now = time.Now },
		"staleness too small": func(c *guard.Config) { c.MaxStaleness = time.Millisecond },
		"staleness too large": func(c *guard.Config) { c.MaxStaleness = time.Hour },
		"leeway too large":    func(c *guard.Config) { c.ExpiryLeeway = 6 * time.Minute },
		"leeway negative":     func(c *guard.Config) { c.ExpiryLeeway = -1 },
		"nbf leeway":          func(c *guard.Config) { c.NotBeforeLeeway = time.Hour },
		"cache":               func(c *guard.Config) { c.CacheSize = -1 },
	} {
		c := good
		f(&c)
		if _, err := guard.New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, u := range []string{"http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "http://a.localhost"} {
		c := good
		c.Issuer = u
		if _, err := guard.New(c); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
}
