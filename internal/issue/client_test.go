package issue_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// holder holds a private key, and maybe a certificate for it.
type holder struct {
	t    testing.TB
	alg  jose.SignatureAlgorithm
	key  crypto.Signer
	cert *x509.Certificate
}

func newHolder(t testing.TB, alg jose.SignatureAlgorithm) *holder {
	t.Helper()
	h := &holder{t: t, alg: alg}
	var err error
	if alg == jose.ES256 {
		h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		h.key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *holder) certify(until time.Time) *holder {
	h.t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "robot"}, NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, h.key.Public(), h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.cert, err = x509.ParseCertificate(der); err != nil {
		h.t.Fatal(err)
	}
	return h
}

func (h *holder) jwk() string {
	h.t.Helper()
	j := jose.JSONWebKey{Key: h.key.Public(), Use: "sig"}
	if h.cert != nil {
		j.Certificates = []*x509.Certificate{h.cert}
	}
	b, err := j.MarshalJSON()
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// sum is the thumbprint of the holder's certificate.
func (h *holder) sum() []byte { x := sha256.Sum256(h.cert.Raw); return x[:] }

func (h *holder) sign(header map[jose.HeaderKey]any, claims map[string]any) string {
	h.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: h.alg, Key: h.key}, &jose.SignerOptions{ExtraHeaders: header})
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		h.t.Fatal(err)
	}
	jws, err := s.Sign(b)
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// robots are a directory with an application that proves itself by a key.
type robots struct {
	*world
	key *holder
}

const tokenURL = "https://id.contoso.example/11111111-2222-3333-4444-555555555555/oauth2/v2.0/token"

func newRobots(t testing.TB, e storetest.Engine) *robots {
	t.Helper()
	w := &robots{world: newWorld(t, e, store.Hooks{})}
	w.key = newHolder(t, jose.ES256).certify(w.Clock.Now().AddDate(1, 0, 0))
	w.save("robot", func(a *directory.App) { a.Keys = []directory.AppKey{{ID: "k1", JWK: w.key.jwk()}} })
	w.save("other-robot", func(a *directory.App) { a.Keys = []directory.AppKey{{ID: "k1", JWK: newHolder(t, jose.ES256).jwk()}} })
	return w
}

// save registers or changes an application.
func (w *robots) save(id directory.AppID, f func(*directory.App)) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		app, err := tx.App(id)
		if errors.Is(err, store.ErrNotFound) {
			app, err = &directory.App{ID: id, Object: directory.NewID[directory.App](w.Clock.Now()), Name: string(id), Enabled: true}, nil
		}
		if err != nil {
			return err
		}
		next := *app
		f(&next)
		return tx.SaveApp(&next)
	})
}

var jtis struct {
	sync.Mutex
	n int
}

// assertion is a good one for robot at the tenant's issuer, but for what is changed.
func (w *robots) assertion(with map[string]any, header ...map[jose.HeaderKey]any) string {
	w.t.Helper()
	jtis.Lock()
	jtis.n++
	c := map[string]any{"iss": "robot", "sub": "robot", "aud": w.issue.Issuer(grant.Tenant), "jti": fmt.Sprint(jtis.n), "nbf": w.Clock.Now().Unix(), "exp": w.Clock.Now().Unix() + 600}
	jtis.Unlock()
	maps.Copy(c, with)
	var h map[jose.HeaderKey]any
	if len(header) > 0 {
		h = header[0]
	}
	return w.key.sign(h, c)
}

// prove authenticates a client.
func (w *robots) prove(c issue.Credentials) error {
	w.t.Helper()
	_, err := w.issue.Client(context.Background(), c)
	return err
}

// refusedAs checks an error's OAuth code and number.
func refusedAs(t testing.TB, what string, err error, code string, number int) {
	t.Helper()
	var e *issue.Error
	if !errors.As(err, &e) || e.Code != code || e.Number != number {
		t.Errorf("%s: %v; want %s %d", what, err, code, number)
	}
}

func TestAClientProvesItselfByAnAssertion(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	for name, c := range map[string]issue.Credentials{
		"for the issuer":              {ID: "robot", Assertion: w.assertion(nil)},
		"for the token endpoint":      {ID: "robot", Assertion: w.assertion(map[string]any{"aud": tokenURL})},
		"without client_id":           {Assertion: w.assertion(nil)},
		"by the certificate's name":   {ID: "robot", Assertion: w.assertion(nil, map[jose.HeaderKey]any{"x5t#S256": base64.StdEncoding.EncodeToString(w.key.sum())})},
		"at the plain issuer, for it": {ID: "robot", Issuer: grant.Plain, Assertion: w.assertion(map[string]any{"aud": "https://id.contoso.example"})},
	} {
		if err := w.prove(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	client, err := w.issue.Client(context.Background(), issue.Credentials{ID: "robot", Assertion: w.assertion(nil)})
	if err != nil || client.ID != "robot" {
		t.Errorf("%+v, %v", client, err)
	}
}

func TestAnAssertionThatProvesNothingIsRefused(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	mallory := newHolder(t, jose.ES256)
	claims := map[string]any{"iss": "robot", "sub": "robot", "aud": w.issue.Issuer(grant.Tenant), "jti": "m", "exp": w.Clock.Now().Unix() + 600}
	for name, x := range map[string]struct {
		c      issue.Credentials
		number int
	}{
		"signed by mallory":                    {issue.Credentials{ID: "robot", Assertion: mallory.sign(nil, claims)}, 700027},
		"of robot, sent by another client":     {issue.Credentials{ID: "other-robot", Assertion: w.assertion(nil)}, 700027},
		"naming another client as the subject": {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"sub": "other-robot"})}, 700021},
		"for the other issuer of this host":    {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"aud": "https://id.contoso.example"})}, 700023},
		"for the token endpoint of the other":  {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"aud": "https://id.contoso.example/oauth2/token"})}, 700023},
		"for a server of mallory's":            {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"aud": "https://id.mallory.example"})}, 700023},
		"over":                                 {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"exp": w.Clock.Now().Unix() - 100})}, 700024},
		"for ever":                             {issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"exp": w.Clock.Now().Unix() + 1e6})}, 700024},
		"not a JWT":                            {issue.Credentials{ID: "robot", Assertion: "x"}, 50027},
		"not a JWT, and nobody's":              {issue.Credentials{Assertion: "x"}, 50027},
		"of a client that has only a secret":   {issue.Credentials{ID: "secretive", Assertion: w.assertion(map[string]any{"iss": "secretive", "sub": "secretive"})}, 700027},
		"of a public client":                   {issue.Credentials{ID: "tripboard", Assertion: w.assertion(map[string]any{"iss": "tripboard", "sub": "tripboard"})}, 700025},
		"of nobody":                            {issue.Credentials{ID: "nobody", Assertion: w.assertion(map[string]any{"iss": "nobody", "sub": "nobody"})}, 7000215},
		"no assertion, but a secret":           {issue.Credentials{ID: "robot", Secret: "hunter2"}, 7000215},
		"nothing at all":                       {issue.Credentials{ID: "robot"}, 7000218},
	} {
		if x.c.ID == "secretive" {
			w.save("secretive", func(a *directory.App) { a.Secrets = []directory.AppSecret{{ID: "s", Hash: make([]byte, 32)}} })
		}
		refusedAs(t, name, w.prove(x.c), "invalid_client", x.number)
	}
}

func TestAReplayedAssertionIsRefusedOnEveryNode(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newRobots(t, e)
		text := w.assertion(nil)
		if err := w.prove(issue.Credentials{ID: "robot", Assertion: text}); err != nil {
			t.Fatal(err)
		}
		refusedAs(t, "again", w.prove(issue.Credentials{ID: "robot", Assertion: text}), "invalid_client", 700027)
		w.wire() // another process: it remembers nothing by itself
		refusedAs(t, "elsewhere", w.prove(issue.Credentials{ID: "robot", Assertion: text}), "invalid_client", 700027)

		// Of many at once, one wins.
		text = w.assertion(nil)
		var won int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := w.prove(issue.Credentials{ID: "robot", Assertion: text}); err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if won != 1 {
			t.Errorf("one assertion opened %d times", won)
		}
	})
}

func TestARefusedAssertionIsNotSpent(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	text := w.assertion(nil)
	refusedAs(t, "at the wrong issuer", w.prove(issue.Credentials{ID: "robot", Issuer: grant.Plain, Assertion: text}), "invalid_client", 700023)
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: text}); err != nil {
		t.Errorf("where it belongs: %v", err)
	}
	// Nor does one client's jti spend another's.
	w.save("other-robot", func(a *directory.App) { a.Keys = []directory.AppKey{{ID: "k2", JWK: w.key.jwk()}} })
	for _, id := range []string{"robot", "other-robot"} {
		if err := w.prove(issue.Credentials{Assertion: w.assertion(map[string]any{"iss": id, "sub": id, "jti": "shared"})}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestMicrosoftsRepeatedAssertionIsTakenFromItsNetworkOnly(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	byCert := map[jose.HeaderKey]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(w.key.sum())}
	msal := func() string { return w.assertion(map[string]any{"aud": tokenURL}, byCert) }
	text := msal()
	for i := range 3 { // as msal-node does for ten minutes
		if err := w.prove(issue.Credentials{ID: "robot", Assertion: text, IP: "203.0.113.7"}); err != nil {
			t.Fatalf("use %d: %v", i+1, err)
		}
	}
	refusedAs(t, "from another network", w.prove(issue.Credentials{ID: "robot", Assertion: text, IP: "198.51.100.7"}), "invalid_client", 700027)
	refusedAs(t, "from who knows where", w.prove(issue.Credentials{ID: "robot", Assertion: text}), "invalid_client", 700027)

	long := w.assertion(map[string]any{"aud": tokenURL, "exp": w.Clock.Now().Unix() + 1200}, byCert)
	plain := w.assertion(map[string]any{"aud": tokenURL})
	for name, text := range map[string]string{"one that lives longer": long, "one that names no certificate": plain} {
		if err := w.prove(issue.Credentials{ID: "robot", Assertion: text, IP: "203.0.113.7"}); err != nil {
			t.Fatal(err)
		}
		refusedAs(t, name, w.prove(issue.Credentials{ID: "robot", Assertion: text, IP: "203.0.113.7"}), "invalid_client", 700027)
	}
}

func TestAClientThatMustPushItsRequestsNamesTheIssuerAlone(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	w.save("robot", func(a *directory.App) { a.RequirePAR = true })
	for name, aud := range map[string]any{"the token endpoint": tokenURL, "an array": []string{w.issue.Issuer(grant.Tenant)}} {
		refusedAs(t, name, w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(map[string]any{"aud": aud})}), "invalid_client", 700023)
	}
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}); err != nil {
		t.Error(err)
	}
}

func TestARemovedOrExpiredKeyProvesNothing(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	w.save("robot", func(a *directory.App) { a.Keys[0].Expires = w.Clock.Now().Add(time.Hour) })
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Hour)
	refusedAs(t, "expired", w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}), "invalid_client", 700027)
	w.save("robot", func(a *directory.App) { a.Keys = nil })
	refusedAs(t, "removed", w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}), "invalid_client", 700027)
	w.save("robot", func(a *directory.App) { a.Keys = []directory.AppKey{{JWK: w.key.jwk()}}; a.Enabled = false })
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}); !fault.Is(err, fault.Revoked) {
		t.Errorf("disabled: %v", err)
	}
}

func TestAKeyRemovedBetweenAuthenticationAndIssueIsTooLate(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	w.save("robot", func(a *directory.App) {
		a.Principal = w.Ada.ID
		a.AppPermissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}
	})
	for name, x := range map[string]struct {
		change func(*directory.App)
		good   bool
	}{
		"renamed":                  {func(a *directory.App) { a.Name = "Robot" }, true},
		"key removed":              {func(a *directory.App) { a.Keys = nil }, false},
		"keys published elsewhere": {func(a *directory.App) { a.Keys, a.KeysURI = nil, "https://robot.contoso.example/jwks" }, false},
	} {
		client, err := w.issue.Client(context.Background(), issue.Credentials{ID: "robot", Assertion: w.assertion(nil)})
		if err != nil {
			t.Fatal(err)
		}
		w.save("robot", x.change)
		_, err = w.issue.ClientCredentials(context.Background(), client, "api://mail/.default", nil, grant.Tenant, issue.Meta{})
		if x.good != (err == nil) || !x.good && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		w.save("robot", func(a *directory.App) { a.Keys, a.KeysURI = []directory.AppKey{{JWK: w.key.jwk()}}, "" })
	}
}

// DESIGN §7: what proved an application and does so no longer takes its own
// tokens with it.
func TestRemovingAKeyEndsTheTokensOfAnApplicationForItself(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newRobots(t, e)
		p := &publisher{keys: []string{w.key.jwk()}}
		w.issue.ClientKeys = &clientauth.Published{Fetch: p.fetch, Log: w.issue.Log}
		const home, elsewhere = "https://robot.contoso.example/jwks", "https://elsewhere.contoso.example/jwks"
		mine, second := directory.AppKey{ID: "k1", JWK: w.key.jwk()}, directory.AppKey{ID: "k2", JWK: newHolder(t, jose.ES256).jwk()}
		for name, x := range map[string]struct {
			uri    string // where the keys are before; empty: in the registration
			change func(*directory.App)
			good   bool
		}{
			"renamed":           {"", func(a *directory.App) { a.Name = "Robot" }, true},
			"a key added":       {"", func(a *directory.App) { a.Keys = append(slices.Clone(a.Keys), second) }, true},
			"its key renamed":   {"", func(a *directory.App) { a.Keys = []directory.AppKey{{ID: "k3", JWK: mine.JWK}} }, true},
			"its key removed":   {"", func(a *directory.App) { a.Keys = nil }, false},
			"its key replaced":  {"", func(a *directory.App) { a.Keys = []directory.AppKey{{ID: mine.ID, JWK: second.JWK}} }, false},
			"address unchanged": {home, func(a *directory.App) { a.Publisher = "Contoso" }, true},
			"address changed":   {home, func(a *directory.App) { a.KeysURI = elsewhere }, false},
			"address removed":   {home, func(a *directory.App) { a.Keys, a.KeysURI = []directory.AppKey{mine}, "" }, false},
		} {
			w.save("robot", func(a *directory.App) {
				a.Principal = w.Ada.ID
				a.AppPermissions = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}
				a.Keys, a.KeysURI = []directory.AppKey{mine}, x.uri
				if x.uri != "" {
					a.Keys = nil
				}
			})
			client, err := w.issue.Client(t.Context(), issue.Credentials{ID: "robot", Assertion: w.assertion(nil)})
			if err != nil {
				t.Fatal(name, err)
			}
			tok, err := w.issue.ClientCredentials(t.Context(), client, "api://mail/.default", nil, grant.Tenant, issue.Meta{})
			if err != nil {
				t.Fatal(name, err)
			}
			w.save("robot", x.change)
			got, err := w.issue.Introspect(t.Context(), client, tok.Access, issue.Meta{})
			if err != nil || got.Active != x.good {
				t.Errorf("%s: active %v, want %v; %v", name, got.Active, x.good, err)
			}
		}
	})
}

// publisher is a client's own server for its keys.
type publisher struct {
	mu    sync.Mutex
	keys  []string
	asked int
	err   error
}

func (p *publisher) fetch(context.Context, string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	b := []byte(`{"keys":[`)
	for i, k := range p.keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, k...)
	}
	return append(b, `]}`...), p.err
}

func TestPublishedKeysAreReadAgainWhenAKeyIsNew(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	p := &publisher{keys: []string{w.key.jwk()}}
	w.issue.ClientKeys = &clientauth.Published{Fetch: p.fetch, Log: w.issue.Log}
	w.save("robot", func(a *directory.App) { a.Keys, a.KeysURI = nil, "https://robot.contoso.example/jwks" })
	try := func(what string, good bool, asked int) {
		t.Helper()
		err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)})
		if good != (err == nil) || p.asked != asked {
			t.Errorf("%s: %v, asked %d times; want good %t, %d", what, err, p.asked, good, asked)
		}
	}
	try("at first", true, 1)
	try("from memory", true, 1)

	old := w.key
	w.key = newHolder(t, jose.RS256)
	p.keys = []string{w.key.jwk()}
	try("a new key, too soon to ask again", false, 1)
	w.Clock.Add(31 * time.Second)
	try("a new key", true, 2)
	w.key = old
	w.Clock.Add(5 * time.Minute)
	try("the key that was taken back", false, 3)

	w.key = newHolder(t, jose.RS256)
	p.keys = []string{w.key.jwk()}
	w.Clock.Add(time.Minute)
	try("another new one", true, 4)
	p.err = errors.New("the server is down")
	w.Clock.Add(30 * time.Minute)
	try("while the server is down", true, 5)
	w.Clock.Add(40 * time.Minute)
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("when it was down for too long: %v", err)
	}
	w.issue.ClientKeys = nil
	if err := w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil)}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("with nobody to ask: %v", err)
	}
}

func TestUnknownKeysDoNotMakeUsAskSomebodysServerWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	p := &publisher{keys: []string{newHolder(t, jose.ES256).jwk()}}
	w.issue.ClientKeys = &clientauth.Published{Fetch: p.fetch, Log: w.issue.Log}
	w.save("robot", func(a *directory.App) { a.Keys, a.KeysURI = nil, "https://robot.contoso.example/jwks" })
	for range 20 {
		refusedAs(t, "mallory's", w.prove(issue.Credentials{ID: "robot", Assertion: w.assertion(nil, map[jose.HeaderKey]any{"kid": "no such key"})}), "invalid_client", 700027)
		w.Clock.Add(time.Second)
	}
	if p.asked != 1 {
		t.Errorf("asked %d times in 20 seconds", p.asked)
	}
}

func TestACertificateOfTheConnectionProvesItsClient(t *testing.T) {
	t.Parallel()
	w := newRobots(t, storetest.Engines()[0])
	stranger := newHolder(t, jose.ES256).certify(w.Clock.Now().AddDate(1, 0, 0))
	if err := w.prove(issue.Credentials{ID: "robot", Certificate: w.key.cert}); err != nil {
		t.Error(err)
	}
	refusedAs(t, "a stranger's", w.prove(issue.Credentials{ID: "robot", Certificate: stranger.cert}), "invalid_client", 7000218)
	refusedAs(t, "another client's", w.prove(issue.Credentials{ID: "other-robot", Certificate: w.key.cert}), "invalid_client", 7000218)
	again := newHolder(t, jose.ES256)
	again.key = w.key.key
	refusedAs(t, "another one for the same key", w.prove(issue.Credentials{ID: "robot", Certificate: again.certify(w.Clock.Now().AddDate(2, 0, 0)).cert}), "invalid_client", 7000218)
	refusedAs(t, "with a wrong secret", w.prove(issue.Credentials{ID: "robot", Certificate: w.key.cert, Secret: "hunter2"}), "invalid_client", 7000215)
	if err := w.prove(issue.Credentials{ID: "tripboard", Certificate: stranger.cert}); err != nil {
		t.Errorf("a public client beside a certificate: %v", err)
	}
	w.Clock.Add(370 * 24 * time.Hour)
	refusedAs(t, "an expired one", w.prove(issue.Credentials{ID: "robot", Certificate: w.key.cert}), "invalid_client", 700024)
}
