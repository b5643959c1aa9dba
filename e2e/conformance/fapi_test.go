package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/guard/guardtest"
	"github.com/curfew-id/curfew/internal/config"
)

// A bank's client as FAPI 2.0 wants it: it proves itself by assertions, pushes its
// requests, and holds the key of its tokens. What is tested here are the points of
// the suite's plan fapi2-security-profile-final-test-plan that other modules do not
// have; it is no list of its modules.
type bank struct {
	*module
	key      *ecdsa.PrivateKey
	holder   *guardtest.Holder
	par      string // endpoint
	verifier string
	nonce    string // of the server's last answer (RFC 9449 §8)
}

func openBank(t *testing.T) (*provider, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "bank", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, func(manifest *string, _ *config.Config) {
		*manifest += fmt.Sprintf(`
[[app]]
id = "bank"
name = "Bank"
first_party = true
keys = [%q]
redirect_uris = [%q]
require_pushed_requests = true
require_dpop = true
`, jwk, callback)
	}), key
}

func (p *provider) bank(t *testing.T, key *ecdsa.PrivateKey) *bank {
	t.Helper()
	b := &bank{module: p.module(t, ""), key: key, holder: guardtest.NewHolder(), verifier: strings.Repeat("another-verifier-of-a-request.", 2)}
	b.client = credentials{ID: "bank"}
	var meta struct {
		PAR string `json:"pushed_authorization_request_endpoint"`
	}
	if err := json.Unmarshal([]byte(p.doc), &meta); err != nil || meta.PAR == "" {
		t.Fatalf("no endpoint to push to: %v", err)
	}
	b.par = meta.PAR
	b.learnNonce()
	return b
}

// learnNonce does what every client does that must use proofs: it tries without.
func (b *bank) learnNonce() {
	b.Helper()
	b.nonce = ""
	status, t := b.exchange("none", b.verifier, b.proof(b.holder, nil))
	if b.want("a proof without the nonce", status, t, http.StatusBadRequest, "use_dpop_nonce"); b.nonce == "" {
		b.Fatal("no DPoP-Nonce")
	}
}

// assertion proves who the client is; more is laid over its claims.
func (b *bank) assertion(more map[string]any) string {
	b.Helper()
	now := b.p.now()
	claims := map[string]any{"iss": "bank", "sub": "bank", "aud": b.p.meta.Issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	maps.Copy(claims, more)
	text, err := json.Marshal(claims)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: b.key, KeyID: "bank"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		b.Fatal(err)
	}
	sig, err := signer.Sign(text)
	if err != nil {
		b.Fatal(err)
	}
	out, err := sig.CompactSerialize()
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// ask posts a form with an assertion and, if there is one, a proof.
func (b *bank) ask(addr string, form url.Values, assertion, proof string) (int, tokens, string) {
	b.Helper()
	form = maps.Clone(form)
	form.Set("client_id", "bank")
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, addr, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	res, err := b.p.transport.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	if n := res.Header.Get("DPoP-Nonce"); n != "" {
		b.nonce = n
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		b.Fatal(err)
	}
	var t tokens
	if err := json.Unmarshal(text, &t); err != nil {
		b.Fatalf("%d %s", res.StatusCode, text)
	}
	var pushed struct {
		URI string `json:"request_uri"`
	}
	if err := json.Unmarshal(text, &pushed); err != nil {
		b.Fatal(err)
	}
	return res.StatusCode, t, pushed.URI
}

// wish is the request that is pushed; more as in request.
func (b *bank) wish(more ...string) url.Values {
	b.Helper()
	sum := sha256.Sum256([]byte(b.verifier))
	b.request("openid offline_access", append([]string{"code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method", "S256"}, more...)...)
	return b.asked
}

func (b *bank) push(more ...string) string {
	b.Helper()
	status, t, uri := b.ask(b.par, b.wish(more...), b.assertion(nil), "")
	if status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") {
		b.Fatalf("push: %d %+v", status, t)
	}
	return uri
}

func (b *bank) goTo(uri string) {
	b.Helper()
	b.browser.visit(b.T, b.p.meta.Authorization+"?"+url.Values{"client_id": {"bank"}, "request_uri": {uri}}.Encode())
}

// proof is one for the token endpoint, as of the server's clock.
func (b *bank) proof(h *guardtest.Holder, more map[string]any) string {
	return b.proofFor(b.p.meta.Token, h, more)
}

func (b *bank) proofFor(addr string, h *guardtest.Holder, more map[string]any) string {
	claims := map[string]any{"ath": nil}
	maps.Copy(claims, more)
	return h.Proof(guardtest.Proof{Method: http.MethodPost, URL: addr, Nonce: b.nonce, At: b.p.now(), Claims: claims})
}

func (b *bank) exchange(code, verifier, proof string) (int, tokens) {
	b.Helper()
	status, t, _ := b.ask(b.p.meta.Token, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, b.assertion(nil), proof)
	return status, t
}

// call asks userinfo with a token and a proof.
func (b *bank) call(scheme, token, proof string) int {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.p.meta.Userinfo, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", scheme+" "+token)
	if proof != "" {
		r.Header.Set("DPoP", proof)
	}
	res, err := b.p.transport.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func (b *bank) atUserinfo(h *guardtest.Holder, token string) string {
	return h.Proof(guardtest.Proof{Method: http.MethodGet, URL: b.p.meta.Userinfo, Token: token, At: b.p.now()})
}

func (b *bank) want(what string, status int, t tokens, wantStatus int, wantError string) {
	b.Helper()
	if status != wantStatus || t.Error != wantError || t.Access != "" && wantError != "" {
		b.Errorf("%s: %d %s (%s), want %d %s", what, status, t.Error, t.ErrorDescription, wantStatus, wantError)
	}
}

func TestFAPI2(t *testing.T) {
	t.Parallel()
	shared, key := openBank(t)
	for name, run := range map[string]func(*bank){
		"the whole flow, and bound tokens": func(b *bank) {
			b.goTo(b.push("dpop_jkt", b.holder.Thumbprint()))
			code := b.code()
			status, got := b.exchange(code, b.verifier, b.proof(b.holder, nil))
			if status != http.StatusOK || got.Kind != "DPoP" || got.Access == "" {
				b.Fatalf("%d %+v", status, got)
			}
			if status := b.call("DPoP", got.Access, b.atUserinfo(b.holder, got.Access)); status != http.StatusOK {
				b.Errorf("userinfo: %d", status)
			}
			if status := b.call("dpop", got.Access, b.atUserinfo(b.holder, got.Access)); status != http.StatusOK {
				b.Errorf("userinfo, the scheme in small letters: %d", status)
			}
			other := guardtest.NewHolder()
			for what, status := range map[string]int{
				"another key":              b.call("DPoP", got.Access, b.atUserinfo(other, got.Access)),
				"no proof":                 b.call("DPoP", got.Access, ""),
				"as a bearer token":        b.call("Bearer", got.Access, ""),
				"a proof of another token": b.call("DPoP", got.Access, b.atUserinfo(b.holder, "x")),
			} {
				if status != http.StatusUnauthorized {
					b.Errorf("userinfo, %s: %d", what, status)
				}
			}
			// A confidential client may change the key of its tokens, and must prove one.
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}
			status, t, _ := b.ask(b.p.meta.Token, form, b.assertion(nil), "")
			if status == http.StatusOK {
				b.Errorf("refresh without a proof: %+v", t)
			}
			if status, t, _ = b.ask(b.p.meta.Token, form, b.assertion(nil), b.proof(other, nil)); status != http.StatusOK || b.call("DPoP", t.Access, b.atUserinfo(other, t.Access)) != http.StatusOK {
				b.Errorf("refresh with another key: %d %+v", status, t)
			}
		},
		"a code is good once": func(b *bank) {
			b.goTo(b.push())
			code := b.code()
			_, got := b.exchange(code, b.verifier, b.proof(b.holder, nil))
			status, t := b.exchange(code, b.verifier, b.proof(b.holder, nil))
			b.want("again", status, t, http.StatusBadRequest, "invalid_grant")
			if status := b.call("DPoP", got.Access, b.atUserinfo(b.holder, got.Access)); status != http.StatusUnauthorized {
				b.Errorf("the token of the first use: %d", status)
			}
		},
		"a pushed request is good once": func(b *bank) {
			uri := b.push()
			b.goTo(uri)
			b.code()
			b.over(uri)
		},
		"PKCE is missing, plain or wrong": func(b *bank) {
			for what, more := range map[string][]string{
				"missing": {"code_challenge", "-", "code_challenge_method", "-"}, "plain": {"code_challenge", b.verifier, "code_challenge_method", "plain"}, "no method": {"code_challenge_method", "-"},
			} {
				status, t, _ := b.ask(b.par, b.wish(more...), b.assertion(nil), "")
				b.want(what, status, t, http.StatusBadRequest, "invalid_request")
			}
			b.goTo(b.push())
			code := b.code()
			status, t := b.exchange(code, strings.Repeat("w", 43), b.proof(b.holder, nil))
			b.want("wrong", status, t, http.StatusBadRequest, "invalid_grant")
		},
		"a request that was not pushed": func(b *bank) {
			b.browser.visit(b.T, b.p.meta.Authorization+"?"+b.wish().Encode())
			b.refused("invalid_request")
		},
		"what cannot be pushed": func(b *bank) {
			status, t, _ := b.ask(b.par, b.wish("request_uri", b.push()), b.assertion(nil), "")
			b.want("a request_uri", status, t, http.StatusBadRequest, "invalid_request")
			status, t, _ = b.ask(b.par, b.wish("redirect_uri", suite+"/never-registered"), b.assertion(nil), "")
			b.want("another address", status, t, http.StatusBadRequest, "invalid_request")
			status, t, _ = b.ask(b.par, b.wish("response_type", "code id_token"), b.assertion(nil), "")
			b.want("another flow", status, t, http.StatusBadRequest, "unsupported_response_type")
		},
		"an assertion for another audience": func(b *bank) {
			for what, aud := range map[string]any{"a list": []string{b.p.meta.Issuer}, "the place to push to": b.par, "the token endpoint": b.p.meta.Token, "another server": suite} {
				status, t, _ := b.ask(b.par, b.wish(), b.assertion(map[string]any{"aud": aud}), "")
				b.want("push, "+what, status, t, http.StatusUnauthorized, "invalid_client")
			}
		},
		"an assertion's time": func(b *bank) {
			at := func(d time.Duration) int64 { return b.p.now().Add(d).Unix() }
			for what, more := range map[string]map[string]any{"expired": {"exp": at(-5 * time.Minute)}, "no exp": {"exp": nil}, "no jti": {"jti": nil}, "another iss": {"iss": "suite-first"}, "another sub": {"sub": "suite-first"}} {
				status, t, _ := b.ask(b.par, b.wish(), b.assertion(more), "")
				b.want(what, status, t, http.StatusUnauthorized, "invalid_client")
			}
			if status, t, _ := b.ask(b.par, b.wish(), b.assertion(map[string]any{"nbf": at(8 * time.Second)}), ""); status != http.StatusCreated {
				b.Errorf("nbf in 8 s: %d %+v", status, t)
			}
			once := b.assertion(nil)
			if status, t, _ := b.ask(b.par, b.wish(), once, ""); status != http.StatusCreated {
				b.Errorf("%d %+v", status, t)
			}
			status, t, _ := b.ask(b.par, b.wish(), once, "")
			b.want("the same one again", status, t, http.StatusUnauthorized, "invalid_client")
		},
		"proofs that prove nothing": func(b *bank) {
			at := func(d time.Duration) map[string]any { return map[string]any{"iat": b.p.now().Add(d).Unix()} }
			b.goTo(b.push())
			code := b.code()
			for what, proof := range map[string]string{
				"no jti": b.proof(b.holder, map[string]any{"jti": nil}), "another method": b.proof(b.holder, map[string]any{"htm": "GET"}), "another address": b.proof(b.holder, map[string]any{"htu": b.par}),
				"an hour old": b.proof(b.holder, at(-time.Hour)), "of the next hour": b.proof(b.holder, at(time.Hour)), "no signature": strings.TrimRight(b.proof(b.holder, nil), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
			} {
				status, t := b.exchange(code, b.verifier, proof)
				b.want(what, status, t, http.StatusBadRequest, "invalid_dpop_proof")
			}
			status, t := b.exchange(code, b.verifier, "")
			if status != http.StatusBadRequest || t.Access != "" {
				b.Errorf("no proof: %d %+v", status, t)
			}
			// None of them has spent the code. Ten seconds of two clocks do no harm.
			if status, t := b.exchange(code, b.verifier, b.proof(b.holder, at(-10*time.Second))); status != http.StatusOK {
				b.Errorf("ten seconds old: %d %+v", status, t)
			}
			b.goTo(b.push())
			if status, t := b.exchange(b.code(), b.verifier, b.proof(b.holder, at(10*time.Second))); status != http.StatusOK {
				b.Errorf("ten seconds ahead: %d %+v", status, t)
			}
		},
		"a code bound to a key": func(b *bank) {
			b.goTo(b.push("dpop_jkt", b.holder.Thumbprint()))
			status, t := b.exchange(b.code(), b.verifier, b.proof(guardtest.NewHolder(), nil))
			if status != http.StatusBadRequest || t.Error != "invalid_grant" && t.Error != "invalid_dpop_proof" {
				b.Errorf("another key: %d %+v", status, t)
			}
			status, t, _ = b.ask(b.par, b.wish("dpop_jkt", b.holder.Thumbprint()), b.assertion(nil), b.proofFor(b.par, guardtest.NewHolder(), nil))
			b.want("pushed with another key's proof", status, t, http.StatusBadRequest, "invalid_dpop_proof")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(shared.bank(t, key))
		})
	}
	t.Run("what is too old", func(t *testing.T) {
		t.Parallel()
		p, key := openBank(t)
		b := p.bank(t, key)
		b.goTo(b.push())
		code := b.code()
		uri := b.push()
		p.wait(61 * time.Second) // a code lives for a minute
		b.learnNonce()
		status, got := b.exchange(code, b.verifier, b.proof(b.holder, nil))
		b.want("code", status, got, http.StatusBadRequest, "invalid_grant")
		p.wait(10 * time.Minute)
		b.over(uri)
	})
}

// over: a request_uri is of no use any more, and nobody is sent anywhere with a code.
func (b *bank) over(uri string) {
	b.Helper()
	b.browser.load(b.T, http.MethodGet, b.p.meta.Authorization+"?"+url.Values{"client_id": {"bank"}, "request_uri": {uri}}.Encode(), nil)
	if b.browser.at.Query().Has("code") || b.browser.inside() && b.browser.status < 400 {
		b.Errorf("the browser is at %s (%d)\n%s", b.browser.at, b.browser.status, b.browser.words())
	}
}
