package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// pair is a key pair of somebody's, who signs DPoP proofs or client assertions.
type pair struct {
	t   testing.TB
	w   *world
	key *ecdsa.PrivateKey
	jkt string
}

func (w *world) pair() *pair {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		w.t.Fatal(err)
	}
	return &pair{t: w.t, w: w, key: key, jkt: base64.RawURLEncoding.EncodeToString(sum)}
}

func (p *pair) sign(header map[jose.HeaderKey]any, claims map[string]any) string {
	p.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	jws, err := s.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

var jti atomic.Int64

// dpop is a proof for one request, but for what is changed (nil takes out).
func (p *pair) dpop(method, path string, with map[string]any) string {
	p.t.Helper()
	c := map[string]any{"jti": fmt.Sprint("proof ", jti.Add(1)), "htm": method, "htu": base + path, "iat": p.w.Clock.Now().Unix()}
	maps.Copy(c, with)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return p.sign(map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: p.key.Public()}}, c)
}

// at is dpop beside an access token.
func (p *pair) at(method, path, token string) string {
	sum := sha256.Sum256([]byte(token))
	return p.dpop(method, path, map[string]any{"ath": base64.RawURLEncoding.EncodeToString(sum[:])})
}

const tokenPath = "/common/oauth2/v2.0/token"

// bound are tokens of tripboard bound to the pair's key.
func (p *pair) bound(scope string) *httptest.ResponseRecorder {
	p.t.Helper()
	rec := p.w.post(tokenPath, codeForm(p.w.code(scope, grant.Tenant)), "DPoP", p.dpop("POST", tokenPath, nil))
	if rec.Code != 200 || text(p.t, rec, "token_type") != "DPoP" {
		p.t.Fatalf("no bound tokens: %d %s", rec.Code, rec.Body)
	}
	return rec
}

func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// change changes a registration.
func (w *world) change(id directory.AppID, f func(*directory.App)) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		app, err := tx.App(id)
		if err != nil {
			return err
		}
		next := *app
		f(&next)
		return tx.SaveApp(&next)
	})
}

func told(t testing.TB, what string, rec *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if rec.Code != status || text(t, rec, "error") != code {
		t.Errorf("%s: %d %s; want %d %s", what, rec.Code, rec.Body, status, code)
	}
}

func TestTokensAreBoundToTheKeyOfTheProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	rec := p.bound(allScopes)
	cnf, _ := claimsOf(t, text(t, rec, "access_token"))["cnf"].(map[string]any)
	if cnf["jkt"] != p.jkt || rec.Header().Get("DPoP-Nonce") == "" {
		t.Errorf("cnf %v, nonce %q", cnf, rec.Header().Get("DPoP-Nonce"))
	}
	rec = w.post("/oauth2/introspect", url.Values{"token": {text(t, rec, "access_token")}}, mailroom...)
	if cnf, _ := member(t, rec, "cnf").(map[string]any); text(t, rec, "token_type") != "DPoP" || cnf["jkt"] != p.jkt {
		t.Errorf("introspection says %s", rec.Body)
	}
	rec = w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}, append(mailroom, "DPoP", p.dpop("POST", "/oauth2/token", nil))...)
	if cnf, _ := claimsOf(t, text(t, rec, "access_token"))["cnf"].(map[string]any); text(t, rec, "token_type") != "DPoP" || cnf["jkt"] != p.jkt {
		t.Errorf("an application's own token: %v %s", cnf, rec.Body)
	}
}

func TestAProofForAnotherRequestIsRefusedAtTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pair()
	code := w.code(allScopes, grant.Tenant)
	once := p.dpop("POST", tokenPath, nil)
	if rec := w.post(tokenPath, refreshForm("cfr_x"), "DPoP", once); text(t, rec, "error") != "invalid_grant" {
		t.Fatal(rec.Body)
	}
	token := text(t, w.tokens("openid"), "access_token")
	before := w.writes.Load()
	for name, header := range map[string][]string{
		"of another method":       {"DPoP", p.dpop("GET", tokenPath, nil)},
		"of another endpoint":     {"DPoP", p.dpop("POST", "/oauth2/token", nil)},
		"of another server":       {"DPoP", p.dpop("POST", tokenPath, map[string]any{"htu": "https://id.mallory.example" + tokenPath})},
		"made too long ago":       {"DPoP", p.dpop("POST", tokenPath, map[string]any{"iat": w.Clock.Now().Unix() - 100})},
		"made ahead":              {"DPoP", p.dpop("POST", tokenPath, map[string]any{"iat": w.Clock.Now().Unix() + 100})},
		"used before":             {"DPoP", once},
		"two of them":             {"DPoP", p.dpop("POST", tokenPath, nil), "DPoP", p.dpop("POST", tokenPath, nil)},
		"not a proof":             {"DPoP", "x"},
		"far too long":            {"DPoP", strings.Repeat("a", 10000)},
		"that is an access token": {"DPoP", token},
		"without a key":           {"DPoP", p.sign(map[jose.HeaderKey]any{"typ": "dpop+jwt"}, map[string]any{"jti": "x", "htm": "POST", "htu": base + tokenPath, "iat": w.Clock.Now().Unix()})},
	} {
		told(t, name, w.post(tokenPath, codeForm(code), header...), 400, "invalid_dpop_proof")
	}
	told(t, "with a nonce of mallory's", w.post(tokenPath, codeForm(code), "DPoP", p.dpop("POST", tokenPath, map[string]any{"nonce": "mallory"})), 400, "use_dpop_nonce")
	if n := w.writes.Load() - before; n != 0 {
		t.Errorf("%d statements wrote something", n)
	}
	if rec := w.post(tokenPath, codeForm(code), "DPoP", p.dpop("POST", tokenPath, nil)); rec.Code != 200 {
		t.Errorf("the code was spent on a proof that was refused: %s", rec.Body)
	}
}

func TestABoundRefreshTokenIsOfNoUseWithoutItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, mallory := w.pair(), w.pair()
	token := text(t, p.bound(allScopes), "refresh_token")
	for range 3 { // it is not held against ada
		told(t, "without a proof", w.post(tokenPath, refreshForm(token)), 400, "invalid_grant")
		told(t, "with mallory's key", w.post(tokenPath, refreshForm(token), "DPoP", mallory.dpop("POST", tokenPath, nil)), 400, "invalid_grant")
	}
	rec := w.post(tokenPath, refreshForm(token), "DPoP", p.dpop("POST", tokenPath, nil))
	if rec.Code != 200 || text(t, rec, "token_type") != "DPoP" {
		t.Fatalf("with its key: %d %s", rec.Code, rec.Body)
	}
	told(t, "the next one without a proof", w.post(tokenPath, refreshForm(text(t, rec, "refresh_token"))), 400, "invalid_grant")
}

func TestAClientThatProvesItselfMayChangeItsProofKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("mailroom", func(a *directory.App) {
		a.RedirectURIs, a.Permissions, a.FirstParty = []string{callback}, w.App.Permissions, true
	})
	w.App.ID, w.App.Object = "mailroom", w.object("mailroom")
	form := codeForm(w.code(allScopes, grant.Tenant))
	form.Del("client_id")
	rec := w.post(tokenPath, form, append(mailroom, "DPoP", w.pair().dpop("POST", tokenPath, nil))...)
	if rec.Code != 200 {
		t.Fatal(rec.Body)
	}
	other := w.pair()
	rec = w.post(tokenPath, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text(t, rec, "refresh_token")}}, append(mailroom, "DPoP", other.dpop("POST", tokenPath, nil))...)
	if cnf, _ := claimsOf(t, text(t, rec, "access_token"))["cnf"].(map[string]any); cnf["jkt"] != other.jkt {
		t.Errorf("%v %s", cnf, rec.Body)
	}
}

func (w *world) object(id directory.AppID) (o directory.ObjectID) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) error {
		app, err := tx.App(id)
		if err == nil {
			o = app.Object
		}
		return err
	})
	return o
}

func TestACodeBoundToAKeyIsRedeemedByItsHolderOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, mallory := w.pair(), w.pair()
	w.jkt = p.jkt
	code := w.code(allScopes, grant.Tenant)
	told(t, "without a proof", w.post(tokenPath, codeForm(code)), 400, "invalid_grant")
	told(t, "with mallory's key", w.post(tokenPath, codeForm(code), "DPoP", mallory.dpop("POST", tokenPath, nil)), 400, "invalid_grant")
	if rec := w.post(tokenPath, codeForm(code), "DPoP", p.dpop("POST", tokenPath, nil)); rec.Code != 200 {
		t.Error(rec.Body)
	}
}

func TestABoundTokenIsNoBearerToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, mallory := w.pair(), w.pair()
	token := text(t, p.bound("openid profile"), "access_token")
	free := text(t, w.tokens("openid profile"), "access_token")
	const path = "/oidc/userinfo"
	once := p.at("GET", path, token)
	if rec := w.do("GET", path, "", "Authorization", "DPoP "+token, "DPoP", once); rec.Code != 200 || text(t, rec, "sub") == "" {
		t.Fatalf("with its proof: %d %s", rec.Code, rec.Body)
	}
	for name, x := range map[string]struct {
		header []string
		code   string
	}{
		"as a bearer token":                     {[]string{"Authorization", "Bearer " + token}, "invalid_token"},
		"as a bearer token beside its proof":    {[]string{"Authorization", "Bearer " + token, "DPoP", p.at("GET", path, token)}, "invalid_token"},
		"under DPoP without a proof":            {[]string{"Authorization", "DPoP " + token}, "invalid_dpop_proof"},
		"with the proof of another key":         {[]string{"Authorization", "DPoP " + token, "DPoP", mallory.at("GET", path, token)}, "invalid_token"},
		"with the proof for another token":      {[]string{"Authorization", "DPoP " + token, "DPoP", p.at("GET", path, free)}, "invalid_dpop_proof"},
		"with a proof for no token":             {[]string{"Authorization", "DPoP " + token, "DPoP", p.dpop("GET", path, nil)}, "invalid_dpop_proof"},
		"with the proof for another method":     {[]string{"Authorization", "DPoP " + token, "DPoP", p.at("POST", path, token)}, "invalid_dpop_proof"},
		"with the proof for another address":    {[]string{"Authorization", "DPoP " + token, "DPoP", p.at("GET", "/oauth2/userinfo", token)}, "invalid_dpop_proof"},
		"with a proof that was used":            {[]string{"Authorization", "DPoP " + token, "DPoP", once}, "invalid_dpop_proof"},
		"a token that is not bound, under DPoP": {[]string{"Authorization", "DPoP " + free, "DPoP", p.at("GET", path, free)}, "invalid_token"},
	} {
		rec := w.do("GET", path, "", x.header...)
		told(t, name, rec, 401, x.code)
		scheme, _, _ := strings.Cut(x.header[1], " ")
		if got := rec.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, scheme+" ") || !strings.Contains(got, `error="`+x.code+`"`) {
			t.Errorf("%s: challenge %s", name, got)
		}
	}
	if rec := w.do("POST", path, url.Values{"access_token": {token}}.Encode()); rec.Code != 401 {
		t.Errorf("in a form: %d %s", rec.Code, rec.Body)
	}
}

func TestAnApplicationThatMustProveGetsNoBearerTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("tripboard", func(a *directory.App) { a.RequireDPoP = true })
	p := w.pair()
	code := w.code(allScopes, grant.Tenant)
	told(t, "without a proof", w.post(tokenPath, codeForm(code)), 400, "invalid_dpop_proof")
	rec := w.post(tokenPath, codeForm(code), "DPoP", p.dpop("POST", tokenPath, nil))
	told(t, "without our nonce", rec, 400, "use_dpop_nonce")
	nonce := rec.Header().Get("DPoP-Nonce")
	rec = w.post(tokenPath, codeForm(code), "DPoP", p.dpop("POST", tokenPath, map[string]any{"nonce": nonce}))
	if rec.Code != 200 {
		t.Fatalf("with it: %s", rec.Body)
	}
	w.later(10 * time.Minute)
	told(t, "with an old nonce", w.post(tokenPath, refreshForm(text(t, rec, "refresh_token")), "DPoP", p.dpop("POST", tokenPath, map[string]any{"nonce": nonce})), 400, "use_dpop_nonce")

	w.change("mailroom", func(a *directory.App) { a.RequireDPoP = true })
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"api://mail/.default"}}
	told(t, "an application's own", w.post("/oauth2/token", f, mailroom...), 400, "invalid_dpop_proof")
	told(t, "by Basic, without our nonce", w.post("/oauth2/token", f, append(mailroom, "DPoP", p.dpop("POST", "/oauth2/token", nil))...), 400, "use_dpop_nonce")
}

func TestANonceIsGoodForAWhileOnEveryNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change("tripboard", func(a *directory.App) { a.RequireDPoP = true })
	p := w.pair()
	nonce := w.issue.Nonce()
	try := func(what, code string) {
		t.Helper()
		told(t, what, w.post(tokenPath, refreshForm("cfr_x"), "DPoP", p.dpop("POST", tokenPath, map[string]any{"nonce": nonce})), 400, code)
	}
	try("at once", "invalid_grant")
	w.later(2 * time.Minute)
	try("two minutes later", "invalid_grant")
	w.later(4 * time.Minute)
	try("six minutes later", "use_dpop_nonce")
}
