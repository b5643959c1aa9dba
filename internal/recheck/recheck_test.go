package recheck_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// house is a directory with a resource that mail-api guards, and ada, who has a token.
type house struct {
	*storetest.World
	t       testing.TB
	issue   *issue.Service
	recheck *recheck.Service
	guard   *issue.Client
	app     *issue.Client
	at      string             // where tokens are asked for
	on      directory.DeviceID // by which device
}

func newHouse(t testing.TB, e storetest.Engine) *house {
	t.Helper()
	h := &house{World: storetest.NewWorld(t, e, store.Hooks{}), t: t}
	k, err := keys.Open(context.Background(), h.DB, make([]byte, 32), h.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r := &revoke.Service{DB: h.DB, Log: log, Lifetimes: grant.DefaultLifetimes(), Now: h.Clock.Now}
	h.issue = &issue.Service{DB: h.DB, Keys: k, Revoke: r, Base: "https://id.contoso.example", Tenant: "11111111-2222-3333-4444-555555555555", Lifetimes: grant.DefaultLifetimes(), Now: h.Clock.Now, Log: log}
	h.recheck = &recheck.Service{DB: h.DB, Issue: h.issue, Lifetimes: grant.DefaultLifetimes()}
	h.Update(func(tx *store.Tx) error {
		for _, id := range []directory.ResourceID{"api://mail", "api://drive"} {
			if err := tx.SaveResource(&directory.Resource{ID: id, Name: "A resource", Scopes: []directory.Scope{{Name: "Read", Text: "Read"}}}); err != nil {
				return err
			}
		}
		app := *h.App
		app.Permissions, app.FirstParty = []directory.Permission{{Resource: "api://mail", Scopes: []string{"Read"}}}, true
		h.App = &app
		return tx.SaveApp(&app)
	})
	h.guard = &issue.Client{App: &directory.App{ID: "mail-api", Guards: []directory.ResourceID{"api://mail"}}}
	if h.app, err = h.issue.Client(t.Context(), issue.Credentials{ID: "tripboard"}); err != nil {
		t.Fatal(err)
	}
	return h
}

// token signs ada in and returns an access token for the mail.
func (h *house) token() string {
	h.t.Helper()
	const scope, verifier, back = "api://mail/Read offline_access", "a-code-verifier-of-forty-three-characters-or-more", "https://tripboard.example/cb"
	plan, err := h.issue.Plan(context.Background(), h.app.App, scope, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(verifier))
	session := h.Session(h.Ada)
	if !h.on.IsZero() {
		h.Update(func(tx *store.Tx) error { return devices.Bind(tx, session.ID, h.on) })
	}
	code, err := h.issue.Authorize(context.Background(), issue.AuthorizeRequest{App: h.app.App, Session: session.ID, Plan: plan, Scope: scope, RedirectURI: back,
		Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Issuer: grant.Tenant, IP: h.at})
	if err != nil {
		h.t.Fatal(err)
	}
	tokens, err := h.issue.Code(context.Background(), h.app, issue.CodeRequest{Code: code, RedirectURI: back, Verifier: verifier, Issuer: grant.Tenant, Meta: issue.Meta{IP: h.at}})
	if err != nil {
		h.t.Fatal(err)
	}
	return tokens.Access
}

func (h *house) judge(token, address string) *recheck.Answer {
	h.t.Helper()
	a, err := h.recheck.Judge(context.Background(), h.guard, recheck.Question{Token: token, Pos: 1, Address: address})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *house) head() (pos cutoff.Pos) {
	h.Read(func(tx *store.Tx) error { pos = tx.Head; return nil })
	return pos
}

// each runs f on both engines.
func each(t *testing.T, f func(t *testing.T, h *house)) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) { f(t, newHouse(t, e)) })
}

const inside, outside = "192.0.2.7", "198.51.100.7"

func TestATokenIsJudgedByWhatHoldsNow(t *testing.T) {
	const office = `"locations":{"includeLocations":["All"],"excludeLocations":["00000000-0000-4000-8000-000000000009"]}`
	const hourly = `"sessionControls":{"signInFrequency":{"value":2,"type":"hours","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`
	each(t, func(t *testing.T, h *house) {
		h.Rule(storetest.Location(9, "192.0.2.0/24", false))
		token := h.token()
		a := h.judge(token, outside)
		if !a.Active || a.Refused != "" || a.Judged != h.head() || a.JTI == "" || a.Expires != h.Clock.Now().Add(time.Hour).Unix() {
			t.Fatalf("without policies: %+v, head %d", a, h.head())
		}
		for _, c := range []struct {
			name    string
			policy  *store.Document
			address string
			refused string
		}{
			{"blocked", storetest.Policy(1, "", storetest.Blocks), inside, recheck.Policy},
			{"something to be given", storetest.Policy(1, "", storetest.AsksMFA), inside, recheck.StepUp},
			{"blocked elsewhere", storetest.Policy(1, office, storetest.Blocks), outside, recheck.Place},
			{"something to be given elsewhere", storetest.Policy(1, office, storetest.AsksMFA), outside, recheck.StepUp},
			{"not here", storetest.Policy(1, office, storetest.Blocks), inside, ""},
			{"from nowhere", storetest.Policy(1, office, storetest.Blocks), "", recheck.Place},
			{"the proof is good for two hours", storetest.Policy(1, "", hourly), inside, ""},
		} {
			h.Rule(c.policy)
			a := h.judge(token, c.address)
			if a.Refused != c.refused || a.Active != (c.refused == "") || a.Judged != h.head() {
				t.Errorf("%s: %+v, head %d", c.name, a, h.head())
			}
			if located := c.name == "not here"; a.Here != located {
				t.Errorf("%s: it depends on the address: %v", c.name, a.Here)
			}
			if !a.Active && (a.JTI != "" || a.Expires != 0) {
				t.Errorf("%s: it tells of a token that is not good: %+v", c.name, a)
			}
		}
		h.Clock.Add(90 * time.Minute) // of a token of an hour; a second one gets what is left of the proof
		if a := h.judge(token, inside); a.Active || a.Refused != "" {
			t.Errorf("after its end: %+v", a)
		}
	})
}

func TestTheProofEndsATokenSoonerThanItSays(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		began := h.Clock.Now()
		h.Clock.Add(time.Minute)
		token := h.token()
		h.Clock.Add(10 * time.Minute)
		h.Rule(storetest.Policy(1, "", `"sessionControls":{"signInFrequency":{"value":1,"type":"hours","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`))
		a := h.judge(token, inside)
		if want := began.Add(61 * time.Minute).Unix(); !a.Active || a.Expires > want {
			t.Errorf("%+v, want an end at %d at the latest", a, want)
		}
	})
}

func TestWhatHasEndedIsSaidToHave(t *testing.T) {
	for name, end := range map[string]func(*house, *store.Tx) error{
		"account disabled": func(h *house, tx *store.Tx) error {
			_, err := tx.ChangeUser(h.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Enabled = false; return nil })
			return err
		},
		"application disabled": func(h *house, tx *store.Tx) error {
			a := *h.App
			a.Enabled = false
			return tx.SaveApp(&a)
		},
		"everybody cut": func(h *house, tx *store.Tx) error {
			tx.Cut(&store.Cut{Cause: standing.Revoked, Cuts: []cutoff.Cutoff{{Scope: cutoff.All, Reach: cutoff.Everything}}})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, h *house) {
				token := h.token()
				h.Update(func(tx *store.Tx) error { return end(h, tx) })
				if a := h.judge(token, inside); a.Active || a.Refused != recheck.Revoked {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

func TestNobodyElseLearnsAnything(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.token()
		for name, c := range map[string]*issue.Client{
			"the application itself":       h.app,
			"a guard of something else":    {App: &directory.App{ID: "drive-api", Guards: []directory.ResourceID{"api://drive"}}},
			"a client that guards nothing": {App: &directory.App{ID: "robot"}},
		} {
			a, err := h.recheck.Judge(t.Context(), c, recheck.Question{Token: token, Pos: 1})
			if err != nil || *a != (recheck.Answer{}) {
				t.Errorf("%s: %+v %v", name, a, err)
			}
		}
		for name, x := range map[string]string{"none": "", "nonsense": "a.b.c", "spoiled": token[:len(token)-4] + "AAAA"} {
			if a := h.judge(x, inside); *a != (recheck.Answer{}) {
				t.Errorf("%s: %+v", name, a)
			}
		}
	})
}

func TestALineThatIsNotThereIsNotAnswered(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.token()
		_, err := h.recheck.Judge(t.Context(), h.guard, recheck.Question{Token: token, Pos: h.head() + 1})
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v", err)
		}
		h.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1), Doc: `{"what":"nonsense"}`})
		if _, err := h.recheck.Judge(t.Context(), h.guard, recheck.Question{Token: token, Pos: 1}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("with a policy that cannot be read: %v", err)
		}
	})
}

// A change that comes after the head was read lies beyond what the answer names,
// whatever of it the facts show already.
func TestAChangeWhileItIsJudgedLiesBeyondTheAnswer(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Rule(storetest.Policy(2, "", `"sessionControls":{"signInFrequency":{"value":9,"type":"hours","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`))
		token := h.token()
		before := h.head()
		var once sync.Once
		h.recheck.Access = &access.Service{Country: func(netip.Addr) (policy.Country, bool) { // after the policies were read
			once.Do(func() { h.Rule(storetest.Policy(1, "", storetest.Blocks)) })
			return policy.Country{}, false
		}}
		a := h.judge(token, inside)
		if !a.Active || a.Judged != before || h.head() == before {
			t.Errorf("%+v; the head was %d and is %d", a, before, h.head())
		}
		if b := h.judge(token, inside); b.Refused != recheck.Policy || b.Judged != h.head() {
			t.Errorf("%+v", b)
		}
	})
}
