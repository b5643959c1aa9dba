package issue_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
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
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// header reads the JOSE header of a token.
func header(t fataler, token string) (h struct{ Alg, Typ, Kid, Cty, Enc string }) {
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask changes what application and resource want their tokens to be.
func (w *world) ask(idAlg, accessAlg, encryptTo string) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		app, err := tx.App("tripboard")
		if err != nil {
			return err
		}
		app.SigningAlg, app.Created = idAlg, w.Clock.Now()
		if err := tx.SaveApp(app); err != nil {
			return err
		}
		r, err := tx.Resource("api://mail")
		if err != nil {
			return err
		}
		r.SigningAlg, r.EncryptionKey, r.Created = accessAlg, encryptTo, w.Clock.Now()
		return tx.SaveResource(r)
	})
	w.client = w.authenticate(issue.Credentials{ID: "tripboard"})
}

func (w *world) introspect(as *issue.Client, token string) bool {
	w.t.Helper()
	x, err := w.issue.Introspect(context.Background(), as, token, issue.Meta{})
	if err != nil {
		w.t.Fatal(err)
	}
	return x.Active
}

func TestTokensAreSignedAsApplicationAndResourceAsk(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		for _, x := range []struct{ id, access, wantID, wantAccess string }{
			{"", "", "ES256", "ES256"},
			{"RS256", "", "RS256", "ES256"},
			{"EdDSA", "RS256", "EdDSA", "RS256"},
			{"RS256", "EdDSA", "RS256", "EdDSA"},
		} {
			w.ask(x.id, x.access, "")
			first := w.signIn()
			again, err := w.refresh(first.Refresh, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, tokens := range []*issue.Tokens{first, again} {
				if h := header(t, tokens.ID); h.Alg != x.wantID || h.Typ != "JWT" {
					t.Errorf("ID token of an app that asks for %q: %+v", x.id, h)
				}
				if h := header(t, tokens.Access); h.Alg != x.wantAccess || h.Typ != "at+jwt" {
					t.Errorf("access token of a resource that asks for %q: %+v", x.access, h)
				}
				if !w.introspect(w.client, tokens.Access) {
					t.Errorf("%+v: not active", x)
				}
				if _, err := w.issue.Hint(tokens.ID); err != nil {
					t.Errorf("%+v: %v", x, err)
				}
			}
		}
	})
}

// Verifiers of a resource that is in use have a copy of the published keys.
func TestARegistrationInUseChangesItsAlgorithmWhenItsKeyIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	w.ask("", "", "")
	w.Clock.Add(time.Hour)
	w.Update(func(tx *store.Tx) error {
		r, err := tx.Resource("api://mail")
		if err != nil {
			return err
		}
		r.SigningAlg = "EdDSA"
		return tx.SaveResource(r)
	})
	if h := header(t, w.signIn().Access); h.Alg != "ES256" {
		t.Errorf("signed with %s, whose key nobody has yet", h.Alg)
	}
	if out, err := rotator(w.issue).SigningKeys(t.Context(), w.as(w.Grace, 0)); err != nil || states(out) != "ES256 current, EdDSA next" {
		t.Errorf("keys: %q, %v", states(out), err)
	}
	w.Clock.Add(keys.Soon)
	if h := header(t, w.signIn().Access); h.Alg != "EdDSA" {
		t.Errorf("signed with %s", h.Alg)
	}
}

func TestAnEncryptedTokenIsReadByItsResourceAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.JSONWebKey{Key: &pair.PublicKey, KeyID: "mail-1", Use: "enc", Algorithm: "ECDH-ES+A256KW"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	w.ask("", "", string(public))
	mail := w.mailService()
	robot := w.robot()
	tokens := w.signIn()
	alone, err := w.issue.ClientCredentials(context.Background(), robot, "api://mail/.default", nil, grant.Tenant, issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{tokens.Access, alone.Access} {
		if h := header(t, token); h.Alg != "ECDH-ES+A256KW" || h.Enc != "A256GCM" || h.Cty != "JWT" || h.Kid != "mail-1" {
			t.Fatalf("header %+v", h)
		}
		j, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.ECDH_ES_A256KW}, []jose.ContentEncryption{jose.A256GCM})
		if err != nil {
			t.Fatal(err)
		}
		inner, err := j.Decrypt(pair)
		if err != nil {
			t.Fatal(err)
		}
		if h := header(t, string(inner)); h.Typ != "at+jwt" {
			t.Fatalf("inside: %+v", h)
		}
		if w.introspect(mail, token) || w.introspect(w.client, token) {
			t.Error("a token that only its resource can read was read here")
		}
		if !w.introspect(mail, string(inner)) {
			t.Error("what the resource has read is not active")
		}
	}
	if header(t, tokens.ID).Enc != "" {
		t.Error("the ID token is encrypted to the resource")
	}
	// Revoking what cannot be read must not look like success.
	err = w.issue.RevokeToken(context.Background(), w.client, tokens.Access)
	refusedAs(t, "an encrypted token given back", err, "unsupported_token_type", 0)
	if _, err := w.refresh(tokens.Refresh, ""); err != nil {
		t.Errorf("its grant: %v", err)
	}
}

// robot is a client with an identity of its own.
func (w *world) robot() *issue.Client {
	w.t.Helper()
	now := w.Clock.Now()
	self := &directory.User{ID: directory.NewID[directory.User](now), Name: "robot", Service: true, Enabled: true, Created: now}
	app := &directory.App{ID: "reporter", Object: directory.NewID[directory.App](now), Name: "reporter", Enabled: true, Principal: self.ID,
		Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}}, AppPermissions: []directory.Permission{at("api://mail", "Read")}}
	w.Update(func(tx *store.Tx) error {
		if err := tx.CreateUser(self); err != nil {
			return err
		}
		return tx.SaveApp(app)
	})
	return w.authenticate(issue.Credentials{ID: app.ID, Secret: "s3cret"})
}

// as is a person in a browser who signed in that long ago.
func (w *world) as(u *directory.User, ago time.Duration) directory.Actor {
	return directory.Actor{User: u.ID, Name: u.Name, Born: cutoff.MaxPos, AuthTime: w.Clock.Now().Add(-ago)}
}

func (w *world) audits(action string) (n int) {
	w.t.Helper()
	w.Read(func(tx *store.Tx) error {
		all, err := tx.Audits(store.AuditQuery{Limit: 1000})
		for _, r := range all {
			if r.Action == action && (r.Result == audit.Refused) == (action == "Change signing keys") {
				n++
			}
		}
		return err
	})
	return n
}

func states(all []keys.Key) string {
	var s []string
	for _, k := range all {
		s = append(s, k.Alg+" "+string(k.State))
	}
	return strings.Join(s, ", ")
}

func TestSigningKeysAreChangedByGlobalAdministratorsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	reader := storetest.Person("rita", w.Clock.Now())
	w.Update(func(tx *store.Tx) error {
		if err := tx.CreateUser(reader); err != nil {
			return err
		}
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.SecurityReader, User: reader.ID})
	})
	list := func(a directory.Actor) ([]keys.Key, error) { return rotator(w.issue).SigningKeys(t.Context(), a) }
	all, err := list(w.as(reader, 0))
	if err != nil || states(all) != "ES256 current" {
		t.Fatalf("a security reader sees %q: %v", states(all), err)
	}
	if _, err := list(w.as(w.Ada, 0)); !fault.Is(err, fault.Denied) {
		t.Errorf("ada sees the keys: %v", err)
	}
	app := directory.Actor{App: "reporter", AppOnly: true, User: w.Ada.ID, Born: cutoff.MaxPos, Scopes: []string{"Directory.ReadWrite.All", "RoleManagement.ReadWrite.Directory"}}
	tries := 0
	for name, a := range map[string]directory.Actor{"ada": w.as(w.Ada, 0), "a reader": w.as(reader, 0), "an application": app, "nobody": {}} {
		for what, f := range map[string]func() (*rotate.KeysChanged, error){
			"rotate": func() (*rotate.KeysChanged, error) {
				return rotator(w.issue).RotateKeys(t.Context(), a, rotate.KeyChange{})
			},
			"drop": func() (*rotate.KeysChanged, error) {
				return rotator(w.issue).RotateKeys(t.Context(), a, rotate.KeyChange{Now: true, Drop: true})
			},
			"retire": func() (*rotate.KeysChanged, error) {
				return rotator(w.issue).RetireKey(t.Context(), a, all[0].ID, rotate.KeyChange{})
			},
		} {
			if _, err := f(); !fault.Is(err, fault.Denied) {
				t.Errorf("%s may %s: %v", name, what, err)
			}
			if tries++; w.audits("Change signing keys") != tries {
				t.Errorf("%s tried to %s, and it is not on record", name, what)
			}
		}
	}
	if now, err := list(w.as(w.Grace, 0)); err != nil || !slices.Equal(now, all) {
		t.Errorf("the keys changed: %+v, %v", now, err)
	}
}

func TestRotatingAndRetiringByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	change := func(c rotate.KeyChange) *rotate.KeysChanged {
		t.Helper()
		out, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, time.Hour), c)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := change(rotate.KeyChange{DryRun: true}); states(out.Keys) != "ES256 current, ES256 next" || out.Already {
		t.Errorf("a dry run says %q", states(out.Keys))
	}
	out := change(rotate.KeyChange{})
	if states(out.Keys) != "ES256 current, ES256 next" || out.Receipt != nil {
		t.Errorf("keys: %q", states(out.Keys))
	}
	if out := change(rotate.KeyChange{}); !out.Already || len(out.Keys) != 2 {
		t.Errorf("rotated twice: %+v", out)
	}
	// An algorithm that nobody has asked for yet can be published ahead.
	if out := change(rotate.KeyChange{Alg: "RS256"}); states(out.Keys) != "ES256 current, ES256 next, RS256 next" {
		t.Errorf("keys: %q", states(out.Keys))
	}
	retired, err := rotator(w.issue).RetireKey(t.Context(), w.as(w.Grace, time.Hour), out.Keys[1].ID, rotate.KeyChange{})
	if err != nil || states(retired.Keys) != "ES256 current, RS256 next" {
		t.Errorf("withdrawn: %v, %v", retired, err)
	}
	retired, err = rotator(w.issue).RetireKey(t.Context(), w.as(w.Grace, time.Hour), out.Keys[0].ID, rotate.KeyChange{})
	if err != nil || states(retired.Keys) != "ES256 current, ES256 next, RS256 next" {
		t.Errorf("the key in use: %v, %v", retired, err)
	}
	if w.audits("Publish signing key") != 4 /* the directory's first one too */ || w.audits("Remove signing key") != 1 {
		t.Errorf("on record: %d published, %d removed", w.audits("Publish signing key"), w.audits("Remove signing key"))
	}
	for _, c := range []rotate.KeyChange{{Alg: "HS256"}, {Drop: true}, {Reason: strings.Repeat("x", 501)}} {
		if _, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, 0), c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := rotator(w.issue).RetireKey(t.Context(), w.as(w.Grace, 0), "mallory", rotate.KeyChange{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a key that is not there: %v", err)
	}
}

// Mallory has got hold of a signing key. What he signs says born where no cutoff
// reaches, so dropping the key must do what cutting cannot, at every node, also
// where his token was seen before and is remembered.
func TestDroppingAStolenKeyEndsWhatItSigned(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var open func(store.Config) store.Config
		one := e
		one.New = func(tb testing.TB) func(store.Config) store.Config { open = e.New(tb); return open }
		w := newWorld(t, one, store.Hooks{})
		other := w.issue
		if e.Postgres {
			other = w.elsewhere(open(store.Config{Now: w.Clock.Now}))
		}
		session := w.Session(w.Ada)
		code, err := w.code(session, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := w.redeem(code)
		if err != nil {
			t.Fatal(err)
		}
		stolen := header(t, tokens.Access).Kid
		far := claims(t, tokens.Access)
		far.Born, far.Audience = cutoff.MaxPos, w.issue.Audience(directory.OwnAPI)
		body, err := json.Marshal(far)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := w.issue.Keys.Sign(t.Context(), keys.AccessToken, "", body)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range []*issue.Service{w.issue, other} {
			if _, err := node.Own(t.Context(), forged, issue.Meta{}); err != nil {
				t.Fatalf("the forgery does not work, so this test shows nothing: %v", err)
			}
		}

		drop := rotate.KeyChange{Now: true, Drop: true, Reason: "stolen"}
		if _, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, 11*time.Minute), drop); !fault.Is(err, fault.Denied) {
			t.Fatalf("without a fresh proof: %v", err)
		}
		plan := drop
		plan.DryRun = true
		if out, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, 0), plan); err != nil || out.Receipt != nil || len(out.Keys) != 1 || out.Keys[0].ID == stolen {
			t.Fatalf("dry run: %+v, %v", out, err)
		}
		if _, err := w.issue.Own(t.Context(), forged, issue.Meta{}); err != nil {
			t.Fatalf("the dry run did something: %v", err)
		}
		out, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, 0), drop)
		if err != nil {
			t.Fatal(err)
		}
		if out.Receipt == nil || out.Receipt.Cause != standing.KeyDropped || len(out.Keys) != 1 || out.Keys[0].ID == stolen || out.Keys[0].State != keys.Current {
			t.Fatalf("dropped: %+v, receipt %+v", out, out.Receipt)
		}
		for i, node := range []*issue.Service{w.issue, other} {
			if _, err := node.Own(t.Context(), forged, issue.Meta{}); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("node %d: the forgery lives: %v", i, err)
			}
			if x, err := node.Introspect(t.Context(), w.client, forged, issue.Meta{}); err != nil || x.Active {
				t.Errorf("node %d: introspection says the forgery is active (%v)", i, err)
			}
			doc, pos, err := node.Keys.JWKS()
			if err != nil || bytes.Contains(doc, []byte(stolen)) || pos < out.Receipt.Pos {
				t.Errorf("node %d publishes %s as of %d: %v", i, doc, pos, err)
			}
		}
		if w.alive(tokens.Access) {
			t.Error("a token of the stolen key is not cut")
		}
		if _, err := w.refresh(tokens.Refresh, ""); !fault.Is(err, fault.Revoked) {
			t.Errorf("the grant lives: %v", err)
		}
		// Nobody has to type a password for it, and all goes on at once.
		if !w.SessionAlive(session.ID) {
			t.Error("the browser session died")
		}
		if code, err = w.code(session, allScopes); err != nil {
			t.Fatal(err)
		}
		if tokens, err = w.redeem(code); err != nil || !w.alive(tokens.Access) || header(t, tokens.Access).Kid == stolen {
			t.Errorf("signing in again: %v", err)
		}
		if _, err := rotator(w.issue).RotateKeys(t.Context(), w.as(w.Grace, 0), rotate.KeyChange{Alg: "RS256", Now: true, Drop: true}); !fault.Is(err, fault.NotFound) || !w.alive(tokens.Access) {
			t.Errorf("dropping nothing: %v", err)
		}
	})
}

// elsewhere is a second node of the same directory.
func (w *world) elsewhere(c store.Config) *issue.Service {
	w.t.Helper()
	db := storetest.Open(w.t, c)
	k, err := keys.Open(context.Background(), db, make([]byte, 32), w.Clock.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r := &revoke.Service{DB: db, Log: log, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now}
	return &issue.Service{DB: db, Keys: k, Revoke: r, Base: w.issue.Base, Tenant: w.issue.Tenant, Lifetimes: grant.DefaultLifetimes(), Now: w.Clock.Now, Log: log}
}
