package ssf

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	base     = "https://id.contoso.example"
	tenant   = "0195b3a0-0000-7000-8000-00000000c0de"
	endpoint = base + plainGlobal
	upstream = "https://login.partner.example"
	secret   = "a secret of forty characters, or nearly so"
)

// site is the endpoint on a real database, and an identity provider beside it.
type site struct {
	*storetest.World
	t       *testing.T
	server  *Server
	mux     *http.ServeMux
	partner *ecdsa.PrivateKey
	asking  sync.Mutex
	asked   []bool // how the partner's keys were asked for; guarded by asking while requests run
	linked  *directory.User
	other   *directory.User // not linked, and of the same mail address as nobody
}

func open(t *testing.T, e storetest.Engine) *site {
	t.Helper()
	s := &site{World: storetest.NewWorld(t, e, store.Hooks{}), t: t, mux: http.NewServeMux()}
	k, err := keys.Open(t.Context(), s.DB, []byte(strings.Repeat("k", 32)), s.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	log, l := slog.New(slog.DiscardHandler), grant.DefaultLifetimes()
	cut := &revoke.Service{DB: s.DB, Log: log, Lifetimes: l, Now: s.Clock.Now, Issuers: []string{base, base + "/" + tenant + "/v2.0"}}
	s.server = &Server{Revoke: cut, Issue: &issue.Service{DB: s.DB, Keys: k, Revoke: cut, Base: base, Tenant: tenant, Lifetimes: l, Now: s.Clock.Now, Log: log},
		Domain: func() string { return "contoso.example" }, Log: log, ProviderKeys: s.partnerKeys}
	s.server.Register(s.mux)
	if s.partner, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.linked, s.other = storetest.Person("katherine", s.Clock.Now()), storetest.Person("mary", s.Clock.Now())
	s.linked.Mail, s.other.Mail = "Kath@Partner.example", "mary.jackson@partner.example"
	sum := sha256.Sum256([]byte(secret))
	s.Update(func(tx *store.Tx) error {
		for _, u := range []*directory.User{s.linked, s.other} {
			if err := tx.CreateUser(u); err != nil {
				return err
			}
		}
		if _, err := tx.SaveProvider(&directory.Provider{ID: "partner", Issuer: upstream, Name: "Partner", Enabled: true, ClientID: "curfew-there"}); err != nil {
			return err
		}
		if err := tx.Link("partner", "00u1", s.linked.ID); err != nil {
			return err
		}
		for id, may := range map[directory.AppID][]string{"siem": {directory.GlobalRevocation}, "reader": {"User.Read.All", "User.RevokeSessions.All", "Directory.ReadWrite.All"}} {
			u := storetest.Person("the identity of "+string(id), s.Clock.Now())
			u.Service = true
			if err := tx.CreateUser(u); err != nil {
				return err
			}
			if err := tx.SaveApp(&directory.App{ID: id, Object: directory.NewID[directory.App](s.Clock.Now()), Principal: u.ID, Name: string(id), Enabled: true,
				AppPermissions: []directory.Permission{{Resource: directory.OwnAPI, Scopes: may}}, Secrets: []directory.AppSecret{{ID: "1", Hash: sum[:], Created: s.Clock.Now()}}}); err != nil {
				return err
			}
		}
		return tx.SaveApp(&directory.App{ID: "console", Object: directory.NewID[directory.App](s.Clock.Now()), Name: "Console", Enabled: true, Public: true, FirstParty: true, RedirectURIs: []string{"http://localhost"},
			Permissions: []directory.Permission{{Resource: directory.OwnAPI, Scopes: []string{directory.GlobalRevocation, "Directory.AccessAsUser.All"}}}})
	})
	return s
}

func (s *site) partnerKeys(_ context.Context, p *directory.Provider, anew bool) (*proof.Keys, error) {
	s.asking.Lock()
	s.asked = append(s.asked, anew)
	s.asking.Unlock()
	if p.Issuer != upstream {
		return nil, errors.New("who?")
	}
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &s.partner.PublicKey, KeyID: "p1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return nil, err
	}
	return proof.ParseKeys(b)
}

// app is a token of an application as itself.
func (s *site) app(id directory.AppID) string {
	s.t.Helper()
	c, err := s.server.Issue.Client(s.t.Context(), issue.Credentials{ID: id, Secret: secret})
	if err != nil {
		s.t.Fatal(err)
	}
	tokens, err := s.server.Issue.ClientCredentials(s.t.Context(), c, directory.GraphAlias+"/.default", nil, grant.Tenant, issue.Meta{})
	if err != nil {
		s.t.Fatal(err)
	}
	return tokens.Access
}

// person is a token of somebody through the console.
func (s *site) person(u *directory.User, scope string) string {
	s.t.Helper()
	x := s.Session(u)
	c, err := s.server.Issue.Client(s.t.Context(), issue.Credentials{ID: "console"})
	if err != nil {
		s.t.Fatal(err)
	}
	plan, err := s.server.Issue.Plan(s.t.Context(), c.App, scope, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	code, err := s.server.Issue.Authorize(s.t.Context(), issue.AuthorizeRequest{App: c.App, Session: x.ID, Plan: plan, Scope: scope, RedirectURI: "http://localhost", Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		s.t.Fatal(err)
	}
	tokens, err := s.server.Issue.Code(s.t.Context(), c, issue.CodeRequest{Code: code, RedirectURI: "http://localhost", Verifier: verifier})
	if err != nil {
		s.t.Fatal(err)
	}
	return tokens.Access
}

type claims map[string]any

// order is a token as Okta makes it, changed here and there.
func (s *site) order(change claims, header ...string) string {
	s.t.Helper()
	now := s.Clock.Now()
	c := claims{"jti": rand.Text(), "iss": upstream, "sub": "curfew-there", "aud": endpoint, "iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	typ, kid := jose.ContentType("global-token-revocation+jwt"), "p1"
	if len(header) > 0 {
		typ = jose.ContentType(header[0])
	}
	if len(header) > 1 {
		kid = header[1]
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.partner, KeyID: kid}}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *site) post(path, token, body string, change ...func(*http.Request)) *http.Response {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, base+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "198.51.100.4:50000"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	s.mux.ServeHTTP(rec, r)
	return rec.Result()
}

func email(a string) string   { return `{"sub_id":{"format":"email","email":"` + a + `"}}` }
func opaque(id string) string { return `{"sub_id":{"format":"opaque","id":"` + id + `"}}` }
func issSub(iss, sub string) string {
	return `{"sub_id":{"format":"iss_sub","iss":"` + iss + `","sub":"` + sub + `"}}`
}

// cut reports whether everything of somebody ended since the last time.
func (s *site) cut(u *directory.User) func() bool {
	x := s.Session(u)
	g := s.Grant(x, true)
	return func() bool {
		s.t.Helper()
		dead := !s.SessionAlive(x.ID)
		if dead == s.GrantAlive(g.ID) {
			s.t.Errorf("session dead %v, its lasting grant %v", dead, !s.GrantAlive(g.ID))
		}
		return dead
	}
}

func TestGlobalTokenRevocationEndsEverythingOfThePersonNamed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		siem := s.app("siem")
		for _, c := range []struct {
			name, path, token, body string
			who                     *directory.User
		}{
			{"a person with the role", plainGlobal, s.person(s.Grace, directory.GraphAlias+"/"+directory.GlobalRevocation), email("ada@contoso.example"), s.Ada},
			{"bearer, email, as a user name", plainGlobal, siem, email("ADA@contoso.example"), s.Ada},
			{"bearer, email, as a mail address", plainGlobal, siem, email("kath@partner.example"), s.linked},
			{"bearer, iss_sub of ours", "/" + tenant + tenantGlobal, siem, issSub(base, s.Ada.ID.String()), s.Ada},
			{"bearer, iss_sub, tenant's issuer", "/contoso.example" + tenantGlobal, siem, issSub(base+"/"+tenant+"/v2.0", s.Ada.ID.String()), s.Ada},
			{"bearer, iss_sub of the partner", plainGlobal, siem, issSub(upstream, "00u1"), s.linked},
			{"bearer, opaque", plainGlobal, siem, opaque(s.Ada.ID.String()), s.Ada},
			{"bearer, the member's older name", plainGlobal, siem, strings.Replace(opaque(s.Ada.ID.String()), "sub_id", "subject", 1), s.Ada},
			{"bearer, members nobody knows", plainGlobal, siem, `{"x":[1,{"y":2}],"sub_id":{"format":"email","email":"ada@contoso.example","z":null}}`, s.Ada},
			{"an administrator", plainGlobal, siem, email("grace@contoso.example"), s.Grace},
			{"signed, email", plainGlobal, s.order(nil), email("kath@partner.example"), s.linked},
			{"signed, iss_sub", plainGlobal, s.order(nil), issSub(upstream, "00u1"), s.linked},
			{"signed, opaque by their name", plainGlobal, s.order(nil), opaque("00u1"), s.linked},
			{"signed, opaque by our name", plainGlobal, s.order(nil), opaque(s.linked.ID.String()), s.linked},
			{"signed, at the tenant's address", "/" + tenant + tenantGlobal, s.order(claims{"aud": []string{base + "/" + tenant + tenantGlobal}}), email("kath@partner.example"), s.linked},
			{"signed, typ in full", plainGlobal, s.order(nil, "application/Global-Token-Revocation+jwt"), opaque("00u1"), s.linked},
		} {
			ended, spared := s.cut(c.who), s.cut(s.other)
			if res := s.post(c.path, c.token, c.body); res.StatusCode != http.StatusNoContent || res.ContentLength > 0 {
				t.Errorf("%s: %d", c.name, res.StatusCode)
			}
			if !ended() || spared() {
				t.Errorf("%s: not exactly what was meant has ended", c.name)
			}
		}
		var records []audit.Record
		s.Read(func(tx *store.Tx) (err error) {
			records, err = tx.Audits(store.AuditQuery{Target: s.linked.ID.String(), Limit: 100})
			return err
		})
		kinds := map[string]int{}
		for _, r := range records {
			if r.Action != "Global token revocation" || r.Pos == 0 || r.Receipt == "" || r.IP != "198.51.100.4" {
				t.Errorf("record: %+v", r)
			}
			kinds[r.Actor.Kind+" "+r.Actor.Name]++
		}
		if len(records) != 8 || kinds["provider Partner"] != 6 || kinds["app siem"] != 2 {
			t.Errorf("%d records: %v", len(records), kinds)
		}
	})
}

func TestGlobalTokenRevocationIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	siem, now := s.app("siem"), s.Clock.Now()
	gone := storetest.Person("gone", now)
	s.Update(func(tx *store.Tx) error {
		if err := tx.CreateUser(gone); err != nil {
			return err
		}
		_, err := tx.ChangeUser(gone.ID, store.UserChange{}, func(u *directory.User) error { u.Deleted = now; return nil })
		return err
	})
	ada := email("ada@contoso.example")
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name   string
		token  string
		body   string
		status int
		change func(*http.Request)
	}{
		{"no token", "", ada, 401, nil},
		{"not a token", "nonsense", ada, 401, nil},
		{"two tokens", siem, ada, 401, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+siem) }},
		{"another scheme", "", ada, 401, header("Authorization", "Basic "+siem)},
		{"an application without the permission, whatever else it may", s.app("reader"), ada, 403, nil},
		{"a person through a client without the permission", s.person(s.Grace, directory.GraphAlias+"/Directory.AccessAsUser.All"), ada, 403, nil},
		{"a person without a role", s.person(s.other, directory.GraphAlias+"/"+directory.GlobalRevocation), ada, 403, nil},
		{"the same, about nobody", s.person(s.other, directory.GraphAlias+"/"+directory.GlobalRevocation), email("nobody@contoso.example"), 403, nil},

		{"nobody by email", siem, email("nobody@contoso.example"), 404, nil},
		{"nobody by id", siem, opaque("0195b3a0-0000-7000-8000-000000000000"), 404, nil},
		{"no id", siem, opaque("ada"), 404, nil},
		{"an issuer nobody knows", siem, issSub("https://evil.example", s.Ada.ID.String()), 404, nil},
		{"nobody at the partner", siem, issSub(upstream, "00u9"), 404, nil},
		{"a partner's issuer, but for a slash", siem, issSub(upstream+"/", "00u1"), 404, nil},
		{"somebody deleted", siem, opaque(gone.ID.String()), 404, nil},

		{"empty", siem, "", 400, nil},
		{"not JSON", siem, "sub_id=ada", 400, nil},
		{"an array", siem, "[" + ada + "]", 400, nil},
		{"something behind it", siem, ada + "{}", 400, nil},
		{"a member twice", siem, ada[:len(ada)-1] + "," + ada[1:], 400, nil},
		{"a member of the subject twice", siem, `{"sub_id":{"format":"email","email":"a@b.example","email":"ada@contoso.example"}}`, 400, nil},
		{"both names", siem, `{"sub_id":{"format":"email","email":"ada@contoso.example"},"subject":{"format":"email","email":"ada@contoso.example"}}`, 400, nil},
		{"no subject", siem, `{}`, 400, nil},
		{"a text for a subject", siem, `{"sub_id":"ada@contoso.example"}`, 400, nil},
		{"no format", siem, `{"sub_id":{"email":"ada@contoso.example"}}`, 400, nil},
		{"a format that is not taken", siem, `{"sub_id":{"format":"phone_number","phone_number":"+12065550100"}}`, 400, nil},
		{"a format in other letters", siem, `{"sub_id":{"format":"Email","email":"ada@contoso.example"}}`, 400, nil},
		{"no email", siem, `{"sub_id":{"format":"email"}}`, 400, nil},
		{"an empty email", siem, email(""), 400, nil},
		{"a number for an email", siem, `{"sub_id":{"format":"email","email":7}}`, 400, nil},
		{"an iss_sub without iss", siem, `{"sub_id":{"format":"iss_sub","sub":"00u1"}}`, 400, nil},
		{"an email far too long", siem, email(strings.Repeat("a", 1025)), 400, nil},
		{"a body far too long", siem, email(strings.Repeat("a", 20000)), 400, nil},
		{"a form", siem, ada, 400, header("Content-Type", "application/x-www-form-urlencoded")},
		{"GET", siem, "", 405, func(r *http.Request) { r.Method = http.MethodGet }},

		{"signed, about somebody who is not linked", s.order(nil), email("mary.jackson@partner.example"), 404, nil},
		{"signed, about an administrator of ours", s.order(nil), opaque(s.Grace.ID.String()), 404, nil},
		{"signed, about nobody", s.order(nil), email("nobody@partner.example"), 404, nil},
		{"signed by somebody else", s.order(claims{"iss": "https://evil.example"}), opaque("00u1"), 401, nil},
		{"signed with a key nobody has published", s.order(nil, "global-token-revocation+jwt", "p2"), opaque("00u1"), 401, nil},
		{"of another type", s.order(nil, "JWT"), opaque("00u1"), 401, nil},
		{"of a logout token's type", s.order(nil, "logout+jwt"), opaque("00u1"), 401, nil},
		{"for another address", s.order(claims{"aud": base + "/oauth2/token"}), opaque("00u1"), 401, nil},
		{"for this address with a query", s.order(claims{"aud": endpoint + "?x=1"}), opaque("00u1"), 401, nil},
		{"for this and another", s.order(claims{"aud": []string{endpoint, "https://evil.example"}}), opaque("00u1"), 401, nil},
		{"of another client of theirs", s.order(claims{"sub": "somebody"}), opaque("00u1"), 401, nil},
		{"of nobody", s.order(claims{"sub": nil}), opaque("00u1"), 401, nil},
		{"over", s.order(claims{"exp": now.Add(-2 * time.Minute).Unix()}), opaque("00u1"), 401, nil},
		{"for ever", s.order(claims{"exp": now.Add(24 * time.Hour).Unix()}), opaque("00u1"), 401, nil},
		{"without end", s.order(claims{"exp": nil}), opaque("00u1"), 401, nil},
		{"from the future", s.order(claims{"nbf": now.Add(5 * time.Minute).Unix()}), opaque("00u1"), 401, nil},
		{"without a number", s.order(claims{"jti": nil}), opaque("00u1"), 401, nil},
	} {
		var spared []func() bool
		for _, u := range []*directory.User{s.Ada, s.Grace, s.linked, s.other} {
			spared = append(spared, s.cut(u))
		}
		head, _ := s.DB.View().Head()
		rows := s.Rows()
		var change []func(*http.Request)
		if c.change != nil {
			change = append(change, c.change)
		}
		res := s.post(plainGlobal, c.token, c.body, change...)
		var told struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.NewDecoder(res.Body).Decode(&told); err != nil || told.Error == "" || !strings.HasSuffix(told.Description, ".") {
			t.Errorf("%s: %v %+v", c.name, err, told)
		}
		if res.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, res.StatusCode, told.Description, c.status)
		}
		if c.status == 401 != (res.Header.Get("WWW-Authenticate") != "") && c.status != 403 {
			t.Errorf("%s: challenge %q", c.name, res.Header.Get("WWW-Authenticate"))
		}
		if slices.ContainsFunc(spared, func(dead func() bool) bool { return dead() }) {
			t.Errorf("%s: somebody was cut", c.name)
		}
		if now, _ := s.DB.View().Head(); now != head {
			t.Errorf("%s: the ledger grew", c.name)
		}
		now := s.Rows()
		if c.status == 403 || c.status == 404 { // who was not obeyed is in the audit log; an order that was read is spent
			now, rows = kept.ReplaceAllString(now, ""), kept.ReplaceAllString(rows, "")
		}
		if now != rows {
			t.Errorf("%s: something was stored:\n%s\nbefore:\n%s", c.name, now, rows)
		}
	}
	if res := s.post("/fabrikam.example"+tenantGlobal, siem, ada); res.StatusCode != 404 {
		t.Errorf("another directory: %d", res.StatusCode)
	}
}

var kept = regexp.MustCompile(`(?m)^(version|audits|tickets) .*\n`)

func TestAnOrderIsGoodOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := open(t, e)
		order := s.order(nil)
		if res := s.post(plainGlobal, order, opaque("00u1")); res.StatusCode != 204 {
			t.Fatal(res.StatusCode)
		}
		spared := s.cut(s.linked)
		if res := s.post(plainGlobal, order, opaque("00u1")); res.StatusCode != 401 || spared() {
			t.Errorf("again: %d", res.StatusCode)
		}
		// Under the same number, signed anew; and at once.
		first, second := s.order(claims{"jti": "7"}), s.order(claims{"jti": "7"})
		got := make(chan int, 2)
		for _, o := range []string{first, second} {
			go func() { got <- s.post(plainGlobal, o, opaque("00u1")).StatusCode }()
		}
		if a, b := <-got, <-got; a+b != 204+401 {
			t.Errorf("two at once: %d and %d", a, b)
		}
		var records []audit.Record
		s.Read(func(tx *store.Tx) (err error) {
			records, err = tx.Audits(store.AuditQuery{Actor: "partner", Limit: 10})
			return err
		})
		if len(records) != 4 || records[3].Result != audit.Success || records[2].Result != audit.Refused {
			t.Errorf("records: %+v", records)
		}
	})
}

func TestAProviderThatWasDisabledOrdersNothing(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	s.Update(func(tx *store.Tx) error {
		_, err := tx.SaveProvider(&directory.Provider{ID: "partner", Issuer: upstream, Name: "Partner", ClientID: "curfew-there"})
		return err
	})
	spared := s.cut(s.linked)
	if res := s.post(plainGlobal, s.order(nil), opaque("00u1")); res.StatusCode != 401 || spared() || len(s.asked) != 0 {
		t.Errorf("%d, keys asked for %v", res.StatusCode, s.asked)
	}
	if res := s.post(plainGlobal, s.app("siem"), issSub(upstream, "00u1")); res.StatusCode != 404 || spared() {
		t.Errorf("by its subject: %d", res.StatusCode)
	}
}

func TestKeysAreAskedForAnewOnceWhenOneIsNotKnown(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	s.post(plainGlobal, s.order(nil, "global-token-revocation+jwt", "p2"), opaque("00u1"))
	if !slices.Equal(s.asked, []bool{false, true}) {
		t.Errorf("asked %v", s.asked)
	}
	s.asked = nil
	s.post(plainGlobal, s.order(claims{"exp": s.Clock.Now().Add(-time.Hour).Unix()}), opaque("00u1"))
	if !slices.Equal(s.asked, []bool{false}) {
		t.Errorf("asked %v", s.asked)
	}
	s.server.ProviderKeys = nil
	if res := s.post(plainGlobal, s.order(nil), opaque("00u1")); res.StatusCode != 401 {
		t.Errorf("without keys: %d", res.StatusCode)
	}
}

// Several people of one mail address are all meant: too little would be worse.
func TestAnAddressOfSeveralPeople(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	siem := s.app("siem")
	add := func(n int) {
		s.Update(func(tx *store.Tx) error {
			for i := range n {
				u := storetest.Person(fmt.Sprintf("shared%d-%s", i, rand.Text()), s.Clock.Now())
				u.Mail = "desk@partner.example"
				if err := tx.CreateUser(u); err != nil {
					return err
				}
			}
			return nil
		})
	}
	add(2)
	head, _ := s.DB.View().Head()
	if res := s.post(plainGlobal, siem, email("Desk@partner.example")); res.StatusCode != 204 {
		t.Fatal(res.StatusCode)
	}
	if now, _ := s.DB.View().Head(); now != head+2 {
		t.Errorf("%d lines", now-head)
	}
	add(20)
	head, _ = s.DB.View().Head()
	res := s.post(plainGlobal, siem, email("desk@partner.example"))
	if now, _ := s.DB.View().Head(); res.StatusCode != 422 || now != head {
		t.Errorf("of very many: %d, %d lines", res.StatusCode, now-head)
	}
	// Of an identity provider, those who are linked to it.
	s.Update(func(tx *store.Tx) error {
		_, err := tx.ChangeUser(s.other.ID, store.UserChange{}, func(u *directory.User) error { u.Mail = s.linked.Mail; return nil })
		return err
	})
	ended, spared := s.cut(s.linked), s.cut(s.other)
	if res := s.post(plainGlobal, s.order(nil), email(s.linked.Mail)); res.StatusCode != 204 || !ended() || spared() {
		t.Errorf("a namesake: %d", res.StatusCode)
	}
}

func TestCallersAreSlowedDown(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	siem := s.app("siem")
	got := map[int]int{}
	for range atOnce + 5 {
		res := s.post(plainGlobal, siem, `{}`)
		if got[res.StatusCode]++; res.StatusCode == 429 && res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if got[400] != atOnce || got[429] != 5 {
		t.Errorf("%v", got)
	}
	if res := s.post(plainGlobal, s.order(nil), `{}`); res.StatusCode != 400 {
		t.Errorf("somebody else: %d", res.StatusCode)
	}
	s.Clock.Add(3 * onceIn)
	if res := s.post(plainGlobal, siem, `{}`); res.StatusCode != 400 {
		t.Errorf("later: %d", res.StatusCode)
	}
}

// GTR-01: nothing new without signing in again; and what is born afterwards lives.
func TestAfterGlobalRevocationANewSignInWorks(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Engines()[0])
	token := s.person(s.Ada, directory.GraphAlias+"/"+directory.GlobalRevocation)
	if res := s.post(plainGlobal, s.app("siem"), email("ada@contoso.example")); res.StatusCode != 204 {
		t.Fatal(res.StatusCode)
	}
	if res := s.post(plainGlobal, token, email("ada@contoso.example")); res.StatusCode != 401 {
		t.Errorf("an access token from before: %d", res.StatusCode)
	}
	if s.cut(s.Ada)() {
		t.Error("a new session is dead")
	}
}

func TestEveryKindOfFaultHasAStatus(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		if wires[k].status == 0 || wires[k].code == "" {
			t.Errorf("%s is not mapped", k)
		}
	}
}

func TestAnActorThatIsAProviderMayDoNothingElse(t *testing.T) {
	t.Parallel()
	p := directory.Actor{Provider: "partner", Name: "Partner", Born: cutoff.MaxPos}
	for _, a := range role.Actions() {
		if role.Allowed(p, a, role.Target{ID: directory.UserID{1}}).OK {
			t.Errorf("a provider may %s", a)
		}
	}
}
