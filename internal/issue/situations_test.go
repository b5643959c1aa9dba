package issue_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const (
	linux   = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0"
	office  = "192.0.2.10"
)

// situation is somebody who signs in, or goes on with what they have, under some
// policies. Entra's outcome of the first is authorize, of the second refresh.
type situation struct {
	name  string
	rules []*store.Document
	who   func(*policyWorld) // what is special about ada

	amr     string // of the session; empty: a password
	age     time.Duration
	second  time.Duration // how old the second factor is
	ip      string        // empty: the office; "-": it cannot be read
	agent   string        // empty: Firefox on Linux
	context []string
	has     policy.Methods // registered
	risk    access.Risk
	country policy.Country

	authorize, refresh string        // "53003 access_denied message_only"; empty: allowed
	life               time.Duration // of the access token then; 0: an hour
}

// policyWorld is the world of a situation.
type policyWorld struct {
	*world
	staff directory.GroupID
	facts situation
}

func newPolicyWorld(t testing.TB, e storetest.Engine, hooks store.Hooks) *policyWorld {
	t.Helper()
	w := &policyWorld{world: newWorld(t, e, hooks)}
	w.issue.Access = &access.Service{DB: w.DB,
		Country: func(netip.Addr) (policy.Country, bool) { return w.facts.country, w.facts.country != policy.Country{} },
		Risk:    func(*store.Tx, *access.Use) (access.Risk, error) { return w.facts.risk, nil },
		Registered: func(*store.Tx, directory.UserID) (policy.Methods, error) {
			return policy.Password.Set() | w.facts.has, nil
		}}
	w.staff = directory.NewID[directory.Group](w.Clock.Now())
	w.Update(func(tx *store.Tx) error {
		return tx.CreateGroup(directory.Group{ID: w.staff, Name: "Staff", Created: w.Clock.Now()})
	})
	return w
}

func (w *policyWorld) meta() issue.Meta {
	ip, agent := w.facts.ip, w.facts.agent
	switch ip {
	case "":
		ip = office
	case "-":
		ip = ""
	}
	if agent == "" {
		agent = linux
	}
	return issue.Meta{IP: ip, Agent: agent}
}

// session opens one with the proof of the situation.
func (w *policyWorld) session() *grant.Session {
	w.t.Helper()
	s := w.Session(w.Ada)
	amr := strings.Fields(w.facts.amr)
	if len(amr) == 0 {
		amr = []string{"pwd"}
	}
	w.Update(func(tx *store.Tx) error {
		if err := tx.ReproveSession(s.ID, w.Clock.Now().Add(-w.facts.age), amr); err != nil {
			return err
		}
		if !policy.TwoFactors(policy.MethodsOf(amr)) {
			return nil
		}
		if err := tx.ProveSecond(s.ID, w.Clock.Now().Add(-w.facts.second), nil); err != nil {
			return err
		}
		return tx.TouchSession(s.ID, w.Clock.Now())
	})
	return s
}

// begin asks for a code as a browser would.
func (w *policyWorld) begin(s *grant.Session, scope string) (string, error) {
	w.t.Helper()
	plan, err := w.issue.Plan(context.Background(), w.client.App, scope, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	m := w.meta()
	r := issue.AuthorizeRequest{App: w.client.App, Session: s.ID, Plan: plan, Scope: scope, RedirectURI: "https://tripboard.example/cb", Challenge: base64.RawURLEncoding.EncodeToString(sum(verifier)), Issuer: grant.Tenant,
		IP: m.IP, Agent: m.Agent, Contexts: w.facts.context}
	before := w.issue.Admit(context.Background(), r)
	code, err := w.issue.Authorize(context.Background(), r)
	if outcome(before) != outcome(err) {
		w.t.Errorf("asked before consent: %s, and after: %s", outcome(before), outcome(err))
	}
	return code, err
}

func (w *policyWorld) take(code string) (*issue.Tokens, error) {
	return w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant, Meta: w.meta()})
}

func (w *policyWorld) renew(token, scope string) (*issue.Tokens, error) {
	return w.issue.Refresh(context.Background(), w.client, issue.RefreshRequest{Token: token, Scope: scope, Issuer: grant.Tenant, Arrived: w.Clock.Now(), Meta: w.meta()})
}

// outcome is an error as the table has it.
func outcome(err error) string {
	if err == nil {
		return ""
	}
	var r *access.Refused
	var e *issue.Error
	if !errors.As(err, &e) {
		return fault.KindOf(err).String()
	}
	s := fmt.Sprintf("%d %s %s", e.Number, e.Code, e.Sub)
	if errors.As(err, &r) && (e.Claims == "" || !strings.Contains(e.Claims, `"capolids"`)) {
		s += " without the policies"
	}
	return strings.TrimSpace(s)
}

const (
	blocked      = "53003 access_denied message_only"
	blockedLater = "53003 invalid_grant message_only"
	olderLater   = "70043 invalid_grant token_expired"
)

func frequency(more string) string {
	return `"sessionControls":{"signInFrequency":{"isEnabled":true,` + more + `}}`
}

// situations are those of testdata/situations.json, which internal/server meets through
// the real endpoints. {ada} and {staff} there are the ids of the person and the group.
func situations(t testing.TB, ada, staff string) (all []situation) {
	t.Helper()
	text, err := os.ReadFile("testdata/situations.json")
	if err != nil {
		t.Fatal(err)
	}
	var written []struct {
		Name  string
		Rules []struct {
			Kind, ID, Broken string
			Doc              json.RawMessage
		}
		Member, PasswordChanged      bool
		Role, AMR, Age, Second, Life string
		IP, Agent, Has, Country      string
		SignInRisk, UserRisk         string
		Contexts                     []string
		Authorize, Refresh           string
	}
	in := json.NewDecoder(strings.NewReader(strings.NewReplacer("{ada}", ada, "{staff}", staff).Replace(string(text))))
	in.DisallowUnknownFields()
	if err := in.Decode(&written); err != nil {
		t.Fatal(err)
	}
	lasts := func(s string) time.Duration {
		d, err := time.ParseDuration(cmp.Or(s, "0"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	risks := map[string]policy.Risk{"none": policy.NoRisk, "low": policy.LowRisk, "medium": policy.MediumRisk, "high": policy.HighRisk}
	methods := map[string]policy.Methods{"otp": policy.SoftwareOTP.Set(), "passkey": policy.Passkey.Set()}
	for _, x := range written {
		s := situation{name: x.Name, amr: x.AMR, age: lasts(x.Age), second: lasts(x.Second), life: lasts(x.Life), ip: x.IP, agent: x.Agent, context: x.Contexts, has: methods[x.Has],
			risk: access.Risk{SignIn: risks[x.SignInRisk], User: risks[x.UserRisk], Changed: x.PasswordChanged}, authorize: x.Authorize, refresh: x.Refresh}
		copy(s.country[:], x.Country)
		if x.Agent == "windows" {
			s.agent = windows
		}
		for _, r := range x.Rules {
			d := &store.Document{Kind: r.Kind, ID: r.ID, Doc: string(r.Doc) + r.Broken}
			if d.Kind == store.ContextDocument { // one that nobody has made is refused: it is there before
				s.who = func(w *policyWorld) { w.Rule(d) }
				continue
			}
			s.rules = append(s.rules, d)
		}
		switch {
		case x.Member:
			s.who = func(w *policyWorld) { w.Update(func(tx *store.Tx) error { return tx.AddMember(w.staff, w.Ada.ID) }) }
		case x.Role != "":
			s.who = func(w *policyWorld) { w.assign(w.Ada.ID, directory.RoleID(x.Role)) }
		}
		all = append(all, s)
	}
	return all
}

// Each situation is met twice: at a sign-in under the policies, and with a grant of
// before, which is not held back a moment longer than the policies are there.
func TestSituationsEndAsEntraEndsThem(t *testing.T) {
	t.Parallel()
	e := storetest.Engines()[0]
	w := newPolicyWorld(t, e, store.Hooks{})
	all := situations(t, w.Ada.ID.String(), w.staff.String())
	if len(all) < 60 {
		t.Fatalf("only %d situations", len(all))
	}
	for _, x := range all {
		t.Run(x.name, func(t *testing.T) {
			w.t, w.facts = t, x
			defer func() { w.t = t }()
			session := w.session()
			if x.who != nil {
				x.who(w)
			}
			// A grant of before the policies.
			code, err := w.begin(session, allScopes)
			if err != nil {
				t.Fatal(err)
			}
			old, err := w.take(code)
			if err != nil {
				t.Fatal(err)
			}
			w.Rule(x.rules...)
			code, err = w.begin(session, allScopes)
			if got := outcome(err); got != x.authorize {
				t.Errorf("authorize: %q, want %q (%v)", got, x.authorize, err)
			}
			life := x.life
			if life == 0 {
				life = time.Hour
			}
			lives := func(what string, tok *issue.Tokens, err error) {
				t.Helper()
				if err != nil {
					t.Errorf("%s: %v", what, err)
				} else if tok.ExpiresIn != life || life < time.Hour && tok.RefreshExpiresIn != life {
					t.Errorf("%s: lives %s (refresh token %s), want %s", what, tok.ExpiresIn, tok.RefreshExpiresIn, life)
				}
			}
			if x.authorize == "" {
				tok, err := w.take(code)
				lives("code", tok, err)
			}
			next, err := w.renew(old.Refresh, "")
			if got := outcome(err); got != x.refresh {
				t.Errorf("refresh: %q, want %q (%v)", got, x.refresh, err)
			}
			in, err := w.issue.Introspect(t.Context(), w.client, old.Refresh, w.meta())
			if x.refresh == "" {
				lives("refresh", next, nil)
				old = next
			} else if err == nil && in.Active {
				t.Error("introspection calls the refresh token active")
			}
			w.Unrule(x.rules...)
			if _, err := w.renew(old.Refresh, ""); err != nil {
				t.Errorf("the policies are gone, and the grant with them: %v", err)
			}
			w.leaveAll()
		})
	}
}

// leaveAll takes everything from ada that a situation gave her.
func (w *policyWorld) leaveAll() {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		if err := tx.RemoveMember(w.staff, w.Ada.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		all, err := tx.Assignments()
		for _, a := range all {
			if err == nil && a.User == w.Ada.ID {
				_, err = tx.RemoveRole(a.ID)
			}
		}
		return err
	})
}

func (w *policyWorld) assign(u directory.UserID, r directory.RoleID) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: r, User: u})
	})
}
