package oidc_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/oidc"
)

// Attacks on the endpoints of applications and resource servers: one thing shown
// for another, signatures that are none, somebody else's, and again.

const (
	exchangeType = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType   = "urn:ietf:params:oauth:token-type:access_token"
	oboType      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	deviceType   = "urn:ietf:params:oauth:grant-type:device_code"
)

// between lets mailroom prove itself by a pair's key too, and call the drive on
// behalf of people.
func (w *world) between(p *pair) {
	w.t.Helper()
	w.change("mailroom", func(a *directory.App) {
		a.Keys, a.FirstParty, a.Permissions = []directory.AppKey{{JWK: p.jwk()}}, true, []directory.Permission{{Resource: "api://drive", Scopes: []string{"Read"}}}
	})
}

// stranger is another public application, with everything tripboard has.
func (w *world) stranger() {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		return tx.SaveApp(&directory.App{ID: "stranger", Object: directory.NewID[directory.App](w.Clock.Now()), Name: "Stranger", Enabled: true, Public: true, DeviceCode: true,
			RedirectURIs: []string{callback}, Permissions: w.App.Permissions})
	})
}

// approved is a device code that ada has approved.
func (w *world) approved() string {
	w.t.Helper()
	rec := w.post("/common/oauth2/v2.0/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {allScopes}})
	if err := w.issue.DeviceDecide(w.t.Context(), actor(w), text(w.t, rec, "user_code"), true); err != nil {
		w.t.Fatal(err)
	}
	return text(w.t, rec, "device_code")
}

// doors are all places where something can be shown, by what belongs there. Each
// reports whether it opened.
func (w *world) doors(p *pair) map[string]func(shown string) bool {
	at := "/common/oauth2/v2.0/"
	ok := func(rec *httptest.ResponseRecorder) bool {
		if rec.Code == 500 {
			w.t.Errorf("an error of ours: %s", rec.Body)
		}
		return rec.Code < 300
	}
	return map[string]func(string) bool{
		"userinfo": func(x string) bool { return ok(w.do("GET", "/oidc/userinfo", "", "Authorization", "Bearer "+x)) },
		"userinfo, posted": func(x string) bool {
			return ok(w.post("/oidc/userinfo", url.Values{"access_token": {x}}))
		},
		"our own API": func(x string) bool { _, err := w.issue.Own(w.t.Context(), x, issue.Meta{}); return err == nil },
		"introspection": func(x string) bool {
			return member(w.t, w.post(at+"introspect", url.Values{"token": {x}}, mailroom...), "active") == true
		},
		"refresh": func(x string) bool { return ok(w.post(at+"token", refreshForm(x))) },
		"code":    func(x string) bool { return ok(w.post(at+"token", codeForm(x))) },
		"device": func(x string) bool {
			return ok(w.post(at+"token", url.Values{"grant_type": {deviceType}, "client_id": {"tripboard"}, "device_code": {x}}))
		},
		"exchange": func(x string) bool {
			return ok(w.post(at+"token", url.Values{"grant_type": {exchangeType}, "subject_token": {x}, "subject_token_type": {accessType}, "scope": {"api://drive/.default"}}, mailroom...))
		},
		"on behalf of": func(x string) bool {
			return ok(w.post(at+"token", url.Values{"grant_type": {oboType}, "assertion": {x}, "requested_token_use": {"on_behalf_of"}, "scope": {"api://drive/.default"}}, mailroom...))
		},
		"client assertion": func(x string) bool {
			return ok(w.post(at+"token", signedForm(x, "client_id", "mailroom", "grant_type", "client_credentials", "scope", "api://mail/.default")))
		},
		"client secret": func(x string) bool {
			return ok(w.post(at+"token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}, "client_id": {"mailroom"}, "client_secret": {x}}))
		},
		"proof": func(x string) bool {
			return ok(w.post(at+"token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, append(mailroom, "DPoP", x)...))
		},
		"hint": func(x string) bool { _, err := w.issue.Hint(x); return err == nil },
		"pushed request": func(x string) bool {
			_, err := w.issue.Pushed(w.t.Context(), "tripboard", grant.Tenant, x)
			return err == nil
		},
		"typed code": func(x string) bool { _, err := w.issue.DeviceLookup(w.t.Context(), x); return err == nil },
	}
}

// Everything there is, shown everywhere: it opens where it belongs and nowhere
// else, and what it was shown to in vain does not spend it.
func TestAttackEveryTokenAtEveryDoor(t *testing.T) { // RFC 9700 §4.10, RFC 8725 §3.11, RFC 9068 §5
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	w.between(p)
	issuer := base + "/" + tenant + "/v2.0"
	mail, own := w.tokens(allScopes), w.tokens("openid profile")
	app := w.post("/common/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, mailroom...)
	signed := w.post("/common/oauth2/v2.0/introspect", url.Values{"token": {text(t, mail, "access_token")}}, append(mailroom, "Accept", "application/token-introspection+jwt")...)
	now := w.Clock.Now().Unix()
	logout, err := json.Marshal(map[string]any{"iss": issuer, "sub": w.Ada.ID.String(), "oid": w.Ada.ID.String(), "aud": "mailroom", "client_id": "mailroom", "iat": now, "exp": now + 120, "nbf": now, "jti": "l1", "born": 1 << 40, "scp": "openid",
		"sid": w.session.ID.String(), "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
	if err != nil {
		t.Fatal(err)
	}
	logoutToken, err := w.issue.Keys.Sign(t.Context(), keys.LogoutToken, "", logout)
	if err != nil {
		t.Fatal(err)
	}
	waiting := w.post("/common/oauth2/v2.0/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {allScopes}})
	things := map[string]struct {
		text  string
		opens []string
	}{
		"an access token for the mail":        {text(t, mail, "access_token"), []string{"introspection", "exchange", "on behalf of"}},
		"an access token for our own API":     {text(t, own, "access_token"), []string{"userinfo", "userinfo, posted", "our own API"}},
		"an application's own access token":   {text(t, app, "access_token"), []string{"introspection"}},
		"an ID token":                         {text(t, mail, "id_token"), []string{"hint"}},
		"a refresh token":                     {text(t, mail, "refresh_token"), []string{"refresh"}},
		"a code":                              {w.code(allScopes, grant.Tenant), []string{"code"}},
		"a device code":                       {w.approved(), []string{"device"}},
		"a device code nobody has approved":   {text(t, waiting, "device_code"), nil},
		"a user code":                         {text(t, waiting, "user_code"), []string{"typed code"}},
		"a request_uri":                       {text(t, w.post("/common/oauth2/v2.0/par", url.Values{"client_id": {"tripboard"}, "redirect_uri": {callback}}), "request_uri"), []string{"pushed request"}},
		"a logout token":                      {logoutToken, nil},
		"an answer of introspection":          {signed.Body.String(), nil},
		"a client assertion":                  {p.assertion("mailroom", issuer, nil), []string{"client assertion"}},
		"a DPoP proof":                        {p.dpop("POST", tokenPath, nil), []string{"proof"}},
		"a client secret":                     {secret, []string{"client secret"}},
		"a session's id":                      {w.session.ID.String(), nil},
		"a code verifier":                     {verifier, nil},
		"the name of a grant in a good token": {claimsOf(t, text(t, mail, "access_token"))["gid"].(string), nil},
	}
	doors := w.doors(p)
	// What opens spends, so the wrong doors come first.
	for what, x := range things {
		if strings.Count(x.text, ".") == 2 && len(x.text) < 100 || x.text == "" {
			t.Fatalf("%s is %q", what, x.text)
		}
		for door, open := range doors {
			if !slices.Contains(x.opens, door) && open(x.text) {
				t.Errorf("%s opens %s", what, door)
			}
		}
	}
	for what, x := range things {
		for _, door := range x.opens {
			if !doors[door](x.text) {
				t.Errorf("%s does not open %s any more", what, door)
			}
		}
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// forgeries are a token's claims under signatures that are none: without an
// algorithm, with a public key for a secret, with a key that comes along or is to be
// fetched, with an extension that must be understood, of zeros.
func (p *pair) forgeries(good string, public jose.JSONWebKey, header map[string]any) map[string]string {
	t := p.w.t.(*testing.T)
	t.Helper()
	parts := strings.Split(good, ".")
	with := func(more map[string]any) string {
		h := maps.Clone(header)
		maps.Copy(h, more)
		return encoded(t, h) + "." + parts[1]
	}
	out := map[string]string{}
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 0, []string{"ES256"}, "ES256K", "HS512", "dir"} {
		for _, signature := range []string{"", parts[2]} {
			out["alg "+strings.Trim(encoded(t, alg), "=")+", signature "+signature] = with(map[string]any{"alg": alg}) + "." + signature
		}
	}
	jwk, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := json.Marshal(jose.JSONWebKey{Key: public.Key})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{"the JWK": jwk, "the bare JWK": bare, "nothing": nil, "its kid": []byte(public.KeyID), "a zero": {0}} {
		text := with(map[string]any{"alg": "HS256"})
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		out["HS256 with "+name] = text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	// Mallory's own key, which the token brings along.
	mine := jose.JSONWebKey{Key: p.key.Public(), Use: "sig", Algorithm: "ES256"}
	var claims map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]map[jose.HeaderKey]any{
		"jwk": {"jwk": mine}, "jwk and kid": {"jwk": mine, "kid": public.KeyID}, "jku": {"jku": "https://evil.example/keys"}, "x5u": {"x5u": "https://evil.example/cert"}, "x5c": {"x5c": []string{base64.StdEncoding.EncodeToString(p.certify().Raw)}},
		"kid": {"kid": public.KeyID}, "kid that is a path": {"kid": "../../../dev/null"}, "kid that is a query": {"kid": "x' OR '1'='1"}, "x5t#S256": {"x5t#S256": base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
	} {
		more["typ"] = header["typ"]
		out["signed by mallory, "+name] = p.sign(more, claims)
	}
	// The right signature under a header that asks for more than we understand.
	for name, more := range map[string]map[string]any{"crit": {"crit": []string{"exp"}}, "b64": {"b64": false, "crit": []string{"b64"}}, "another kid": {"kid": "x"}, "another typ": {"typ": "at+jwt;x"}} {
		out["a header that was changed, "+name] = with(more) + "." + parts[2]
	}
	for name, signature := range map[string]string{"zeros": base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "none": "", "short": parts[2][:40], "twice": parts[2] + parts[2], "DER": base64.RawURLEncoding.EncodeToString([]byte{48, 6, 2, 1, 0, 2, 1, 0}), "with padding": parts[2] + "=="} {
		out["signature of "+name] = parts[0] + "." + parts[1] + "." + signature
	}
	out["JSON serialization"] = `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`
	out["a line break in it"] = parts[0] + "." + parts[1] + "\n." + parts[2]
	return out
}

func TestAttackAlgorithmConfusion(t *testing.T) { // RFC 8725 §2.1, §3.1
	t.Parallel()
	w := newWorld(t)
	p, mallory := w.pair(), w.pair()
	w.between(p)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.do("GET", "/oauth2/keys", "").Body.Bytes(), &set); err != nil || len(set.Keys) == 0 {
		t.Fatal(err)
	}
	doors := w.doors(p)
	try := func(kind, good string, public jose.JSONWebKey, at ...string) {
		t.Helper()
		var header map[string]any
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[0])
		if err == nil {
			err = json.Unmarshal(raw, &header)
		}
		if err != nil {
			t.Fatal(err)
		}
		for name, forged := range mallory.forgeries(good, public, header) {
			for _, door := range at {
				if doors[door](forged) {
					t.Errorf("%s, %s: opens %s", kind, name, door)
				}
			}
		}
		for _, door := range at {
			if !doors[door](good) {
				t.Errorf("%s itself does not open %s", kind, door)
			}
		}
	}
	mail, own := w.tokens(allScopes), w.tokens("openid profile")
	rows := w.Rows()
	try("an access token for our own API", text(t, own, "access_token"), set.Keys[0], "userinfo", "our own API")
	try("an ID token", text(t, mail, "id_token"), set.Keys[0], "hint")
	if now := w.Rows(); now != rows {
		t.Errorf("something was stored:\n%s\nbefore:\n%s", now, rows)
	}
	try("an access token for the mail", text(t, mail, "access_token"), set.Keys[0], "introspection", "exchange", "on behalf of")
	public := jose.JSONWebKey{Key: p.key.Public(), Use: "sig"}
	try("a client assertion", p.assertion("mailroom", base, map[string]any{"aud": base + "/" + tenant + "/v2.0"}), public, "client assertion")

	// A proof brings its key along by design, so what it must not bring is another
	// algorithm, its private half, or a key to be fetched.
	claims := map[string]any{"jti": "p", "htm": "POST", "htu": base + tokenPath, "iat": w.Clock.Now().Unix()}
	private, err := json.Marshal(jose.JSONWebKey{Key: p.key})
	if err != nil {
		t.Fatal(err)
	}
	good := p.dpop("POST", tokenPath, nil)
	parts := strings.Split(good, ".")
	for name, h := range map[string]map[string]any{
		"none": {"alg": "none", "typ": "dpop+jwt", "jwk": public}, "HS256": {"alg": "HS256", "typ": "dpop+jwt", "jwk": map[string]any{"kty": "oct", "k": "AAAA"}}, "the private key": {"alg": "ES256", "typ": "dpop+jwt", "jwk": json.RawMessage(private)},
		"no key": {"alg": "ES256", "typ": "dpop+jwt"}, "jku": {"alg": "ES256", "typ": "dpop+jwt", "jku": "https://evil.example"}, "another typ": {"alg": "ES256", "typ": "JWT", "jwk": public}, "crit": {"alg": "ES256", "typ": "dpop+jwt", "jwk": public, "crit": []string{"x"}},
	} {
		for _, signature := range []string{"", parts[2]} {
			if doors["proof"](encoded(t, h) + "." + encoded(t, claims) + "." + signature) {
				t.Errorf("a DPoP proof with %s is taken", name)
			}
		}
	}
}

// What is tripboard's is of no use to another client, and not lost by the attempt.
func TestAttackCrossClient(t *testing.T) { // RFC 6749 §5.2, §10.4; RFC 7009 §2.1; RFC 7662 §4
	t.Parallel()
	w := newWorld(t)
	w.between(w.pair())
	w.stranger()
	first := w.tokens(allScopes)
	access, refresh, code, device := text(t, first, "access_token"), text(t, first, "refresh_token"), w.code(allScopes, grant.Tenant), w.approved()
	const at = "/common/oauth2/v2.0/"
	rows := w.Rows()
	for who, proof := range map[string]func(url.Values) (url.Values, []string){
		"stranger": func(f url.Values) (url.Values, []string) { return with(f, "client_id", "stranger"), nil },
		"mailroom": func(f url.Values) (url.Values, []string) { f.Del("client_id"); return f, mailroom },
	} {
		send := func(path string, f url.Values) *httptest.ResponseRecorder {
			f, header := proof(f)
			return w.post(at+path, f, header...)
		}
		told(t, who+" refreshes", send("token", refreshForm(refresh)), 400, "invalid_grant")
		told(t, who+" redeems the code", send("token", codeForm(code)), 400, "invalid_grant")
		told(t, who+" polls", send("token", url.Values{"grant_type": {deviceType}, "device_code": {device}}), 400, "invalid_grant")
		for name, token := range map[string]string{"access token": access, "refresh token": refresh} {
			told(t, who+" revokes the "+name, send("revoke", url.Values{"token": {token}}), 400, "invalid_request")
		}
	}
	if now := w.Rows(); now != rows {
		t.Errorf("something was stored:\n%s\nbefore:\n%s", now, rows)
	}
	told(t, "the stranger introspects", w.post(at+"introspect", url.Values{"client_id": {"stranger"}, "token": {access}}), 401, "invalid_client")
	told(t, "tripboard itself, which is public", w.post(at+"introspect", url.Values{"client_id": {"tripboard"}, "token": {access}}), 401, "invalid_client")
	if rec := w.post(at+"introspect", url.Values{"token": {refresh}}, mailroom...); member(t, rec, "active") != false {
		t.Errorf("mailroom introspects a refresh token: %s", rec.Body)
	}
	drive := text(t, w.tokens("openid api://drive/Read"), "access_token")
	if rec := w.post(at+"introspect", url.Values{"token": {drive}}, mailroom...); member(t, rec, "active") != false {
		t.Errorf("mailroom introspects a token for the drive: %s", rec.Body)
	}
	// All of it is still tripboard's.
	for what, f := range map[string]url.Values{"the code": codeForm(code), "the refresh token": refreshForm(refresh), "the device code": {"grant_type": {deviceType}, "client_id": {"tripboard"}, "device_code": {device}}} {
		if rec := w.post(at+"token", f); rec.Code != 200 {
			t.Errorf("%s is lost: %s", what, rec.Body)
		}
	}
	if member(t, w.post(at+"introspect", url.Values{"token": {access}}, mailroom...), "active") != true {
		t.Error("the access token was revoked by another client")
	}
}

// A request that was listened to and is sent again, here, at another node and after
// a restart (RFC 9449 §11.1, RFC 7523 §3 item 7). An assertion is good once
// everywhere. A proof is remembered by the node that saw it; at another one the
// request repeats what its client had, bound to a key that who repeats it has not.
func TestAttackReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	w.between(p)
	fresh, err := keys.Open(t.Context(), w.DB, make([]byte, 32), w.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	// The database and the master key are shared; memory is not.
	other := &issue.Service{DB: w.DB, Keys: fresh, Revoke: w.revoke, Base: base, Tenant: tenant, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	mux := http.NewServeMux()
	(&oidc.Server{Issue: other, JWKS: fresh.JWKS, Check: w.check, Domain: func() string { return "contoso.example" }}).Register(mux)
	second := &world{World: w.World, t: t, handler: mux}

	f := signedForm(p.assertion("mailroom", base+"/"+tenant+"/v2.0", nil), "grant_type", "client_credentials", "scope", "api://mail/.default")
	if rec := w.post(tokenPath, f); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	told(t, "an assertion again", w.post(tokenPath, f), 401, "invalid_client")
	told(t, "an assertion at another node", second.post(tokenPath, f), 401, "invalid_client")

	refresh := text(t, p.bound(allScopes), "refresh_token")
	proof := p.dpop("POST", tokenPath, nil)
	rec := w.post(tokenPath, refreshForm(refresh), "DPoP", proof)
	if rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	told(t, "a proof again", w.post(tokenPath, refreshForm(refresh), "DPoP", proof), 400, "invalid_dpop_proof")
	told(t, "a proof for another path at another node", second.post("/oauth2/token", refreshForm(refresh), "DPoP", proof), 400, "invalid_dpop_proof")
	again := second.post(tokenPath, refreshForm(refresh), "DPoP", proof)
	if again.Code != 200 {
		t.Fatalf("a request repeated at another node within its minute is a retry: %d %s", again.Code, again.Body)
	}
	if cnf, _ := claimsOf(t, text(t, again, "access_token"))["cnf"].(map[string]any); cnf["jkt"] != p.jkt {
		t.Errorf("what it brings is bound to %v", cnf)
	}
	stolen := text(t, again, "access_token")
	if rec := second.do("GET", "/oidc/userinfo", "", "Authorization", "Bearer "+stolen); rec.Code != 401 {
		t.Errorf("as a bearer token: %d", rec.Code)
	}
	// With the newest refresh token, a thief without the key has as little.
	told(t, "the successor without a proof", second.post(tokenPath, refreshForm(text(t, again, "refresh_token"))), 400, "invalid_grant")
	told(t, "the successor with another key", second.post(tokenPath, refreshForm(text(t, again, "refresh_token")), "DPoP", w.pair().dpop("POST", tokenPath, nil)), 400, "invalid_grant")
	// A minute and a half later the request is over at every node.
	w.Clock.Add(10 * time.Minute)
	told(t, "ten minutes later", second.post(tokenPath, refreshForm(refresh), "DPoP", proof), 400, "invalid_dpop_proof")
}

// Nobody fills the database who has proven nothing: device codes and pushed requests
// of a public client are so many from one address.
func TestAttackFlood(t *testing.T) { // RFC 9126 §7.1
	t.Parallel()
	w := newWorld(t)
	from := func(ip, path string, f url.Values, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", base+path, strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		r.RemoteAddr = ip
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		return rec
	}
	device, push := url.Values{"client_id": {"tripboard"}, "scope": {"openid"}}, url.Values{"client_id": {"tripboard"}, "redirect_uri": {callback}}
	flood := func(n int, ip func(int) string) (stored int) {
		t.Helper()
		for i := range n {
			path, f := "/oauth2/devicecode", device
			if i%2 == 0 {
				path, f = "/oauth2/par", push
			}
			switch rec := from(ip(i), path, f); {
			case rec.Code < 300:
				stored++
			case rec.Code != http.StatusTooManyRequests || text(t, rec, "error") != "temporarily_unavailable" || rec.Header().Get("Retry-After") == "":
				t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
			}
		}
		return stored
	}
	if n := flood(400, func(int) string { return "203.0.113.5:1" }); n != 300 {
		t.Errorf("%d were stored from one address", n)
	}
	if n := flood(400, func(i int) string { return fmt.Sprintf("[2001:db8:7:7::%x]:1", i+1) }); n != 300 {
		t.Errorf("%d were stored from one household's network", n)
	}
	if rec := from("198.51.100.9:1", "/oauth2/devicecode", device); rec.Code != 200 {
		t.Errorf("elsewhere: %d %s", rec.Code, rec.Body)
	}
	if rec := from("203.0.113.5:1", "/oauth2/par", url.Values{"redirect_uri": {callback}}, mailroom...); rec.Code != 201 {
		t.Errorf("a client that proves who it is: %d %s", rec.Code, rec.Body)
	}
	w.Clock.Add(time.Second)
	if n := flood(20, func(int) string { return "203.0.113.5:1" }); n != 10 {
		t.Errorf("a second later %d more", n)
	}
}

// A user code is one of 20^8 for a quarter of an hour, of letters that make no words
// and are not mistaken for others; the device code is not to be guessed at all. How
// often a person may guess is in package pages.
func TestAttackGuessingDeviceCodes(t *testing.T) { // RFC 8628 §5.1, §5.2, §6.1
	t.Parallel()
	w := newWorld(t)
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	seen, used := map[string]bool{}, map[rune]int{}
	for range 250 {
		rec := w.post("/oauth2/devicecode", url.Values{"client_id": {"tripboard"}, "scope": {"openid"}})
		user, device := text(t, rec, "user_code"), text(t, rec, "device_code")
		if raw, err := base64.RawURLEncoding.DecodeString(device); err != nil || len(raw) < 32 || seen[user] || seen[device] || len(user) != 9 || member(t, rec, "expires_in").(float64) > 900 {
			t.Fatalf("%s", rec.Body)
		}
		seen[user], seen[device] = true, true
		for _, r := range strings.Replace(user, "-", "", 1) {
			if !strings.ContainsRune(letters, r) {
				t.Fatalf("the code %s has a %c", user, r)
			}
			used[r]++
		}
	}
	for _, r := range letters { // 2,000 letters, 100 of each sort expected; this far off is one in a billion
		if used[r] < 40 || used[r] > 170 {
			t.Errorf("%c stands %d times in 2,000 letters", r, used[r])
		}
	}
}
