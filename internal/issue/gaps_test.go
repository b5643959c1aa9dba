package issue_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// hookOnce runs something at the next pass of a place that a store has a hook for.
type hookOnce struct {
	mu sync.Mutex
	f  func()
}

func (h *hookOnce) arm(f func()) { h.mu.Lock(); h.f = f; h.mu.Unlock() }
func (h *hookOnce) fire() {
	h.mu.Lock()
	f := h.f
	h.f = nil
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

var blockAll = storetest.Policy(1, "", storetest.Blocks)

// gap tries to keep access between two checks: a policy comes in between.
type gap struct {
	name string
	try  func(w *policyWorld, now func()) error // now switches the policy on
	rule *store.Document                        // nil: blocks everybody
	want string
}

func gaps() []gap {
	code := func(w *policyWorld, scope string) string {
		c, err := w.begin(w.session(), scope)
		if err != nil {
			w.t.Fatal(err)
		}
		return c
	}
	first := func(w *policyWorld) *issue.Tokens {
		tok, err := w.take(code(w, allScopes))
		if err != nil {
			w.t.Fatal(err)
		}
		return tok
	}
	device := func(w *policyWorld) (*issue.DeviceCode, func() error) {
		d, err := w.issue.Device(context.Background(), w.client, allScopes, nil, grant.Tenant, w.meta())
		if err != nil {
			w.t.Fatal(err)
		}
		actor := directory.Actor{User: w.Ada.ID, Session: w.session().ID, IP: office}
		return d, func() error { return w.issue.DeviceDecide(context.Background(), actor, d.User, true) }
	}
	poll := func(w *policyWorld, d *issue.DeviceCode) error {
		_, err := w.issue.DevicePoll(context.Background(), w.client, d.Device, grant.Tenant, w.meta())
		return err
	}
	flow := storetest.Policy(1, `"authenticationFlows":{"transferMethods":"deviceCodeFlow"}`, storetest.Blocks)
	mail := storetest.Policy(1, `"applications":{"includeApplications":["api://mail"]}`, storetest.Blocks)
	drive := storetest.Policy(1, `"applications":{"includeApplications":["api://drive"]}`, storetest.Blocks)
	hour := storetest.Policy(1, "", frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`))
	return []gap{
		{name: "between two pages", want: blocked, try: func(w *policyWorld, now func()) error {
			s := w.session()
			now()
			_, err := w.begin(s, allScopes)
			return err
		}},
		{name: "between authorize and the code", want: blockedLater, try: func(w *policyWorld, now func()) error {
			c := code(w, allScopes)
			now()
			_, err := w.take(c)
			return err
		}},
		{name: "between the code and the refresh", want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			now()
			_, err := w.renew(tok.Refresh, "")
			return err
		}},
		{name: "between a refresh and its retry", want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			if _, err := w.renew(tok.Refresh, ""); err != nil {
				return err
			}
			now()
			_, err := w.renew(tok.Refresh, "")
			return err
		}},
		{name: "between approval of a device and its poll", want: blockedLater, try: func(w *policyWorld, now func()) error {
			d, approve := device(w)
			if err := approve(); err != nil {
				return err
			}
			now()
			return poll(w, d)
		}},
		{name: "before approval of a device", rule: flow, want: blocked, try: func(w *policyWorld, now func()) error {
			_, approve := device(w)
			now()
			return approve()
		}},
		{name: "device codes after approval", rule: flow, want: blockedLater, try: func(w *policyWorld, now func()) error {
			d, approve := device(w)
			if err := approve(); err != nil {
				return err
			}
			now()
			return poll(w, d)
		}},
		{name: "device codes after they were redeemed", rule: flow, want: blockedLater, try: func(w *policyWorld, now func()) error {
			d, approve := device(w)
			if err := approve(); err != nil {
				return err
			}
			tok, err := w.issue.DevicePoll(context.Background(), w.client, d.Device, grant.Tenant, w.meta())
			if err != nil {
				return err
			}
			now()
			_, err = w.renew(tok.Refresh, "")
			return err
		}},
		{name: "another resource of the same refresh token", rule: drive, want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			now()
			next, err := w.renew(tok.Refresh, "api://mail/Read")
			if err != nil {
				return err
			}
			_, err = w.renew(next.Refresh, "api://drive/Read")
			if _, ok := w.renew(next.Refresh, "api://mail/Read"); ok != nil {
				return ok // the one that is not blocked goes on
			}
			return err
		}},
		{name: "another resource at the code", rule: drive, want: blockedLater, try: func(w *policyWorld, now func()) error {
			c := code(w, allScopes+" api://drive/Read")
			now()
			_, err := w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: c, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant, Scope: "api://drive/Read", Meta: w.meta()})
			return err
		}},
		{name: "an exchange of a token of before", rule: drive, want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			service := w.mailService()
			now()
			_, err := w.obo(service, tok.Access, driveForMSAL)
			return err
		}},
		{name: "an exchange of a token that would not be given any more", rule: mail, want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			service := w.mailService()
			now()
			_, err := w.obo(service, tok.Access, driveForMSAL)
			return err
		}},
		{name: "a refresh of what was exchanged", rule: drive, want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok := first(w)
			service := w.mailService()
			made, err := w.obo(service, tok.Access, driveForMSAL)
			if err != nil {
				return err
			}
			now()
			_, err = w.issue.Refresh(context.Background(), service, issue.RefreshRequest{Token: made.Refresh, Issuer: grant.Tenant, Arrived: w.Clock.Now(), Meta: w.meta()})
			return err
		}},
		{name: "the frequency is over before the code", rule: hour, want: olderLater, try: func(w *policyWorld, now func()) error {
			now()
			w.facts.age = 59*time.Minute + 30*time.Second
			c := code(w, allScopes)
			w.Clock.Add(40 * time.Second) // a code lives longer than that
			_, err := w.take(c)
			return err
		}},
		{name: "the frequency is over before the poll", rule: hour, want: olderLater, try: func(w *policyWorld, now func()) error {
			now()
			w.facts.age = 55 * time.Minute
			d, approve := device(w)
			if err := approve(); err != nil {
				return err
			}
			w.Clock.Add(6 * time.Minute)
			return poll(w, d)
		}},
		{name: "the frequency is over before the refresh", rule: hour, want: olderLater, try: func(w *policyWorld, now func()) error {
			now()
			tok := first(w)
			w.Clock.Add(30 * time.Minute)
			tok, err := w.renew(tok.Refresh, "")
			if err != nil {
				return err
			}
			w.Clock.Add(30 * time.Minute) // using it has not made the proof younger
			_, err = w.renew(tok.Refresh, "")
			return err
		}},
		{name: "the own API", want: blockedLater, try: func(w *policyWorld, now func()) error {
			tok, err := w.take(code(w, "openid profile"))
			if err != nil {
				return err
			}
			if _, err := w.issue.Userinfo(context.Background(), tok.Access, w.meta()); err != nil {
				return err
			}
			now()
			_, err = w.issue.Userinfo(context.Background(), tok.Access, w.meta())
			if err != nil && !fault.Is(err, fault.Revoked) {
				w.t.Errorf("the client would not renew: %v", err)
			}
			return err
		}},
	}
}

func TestNothingSlipsBetweenTwoChecks(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newPolicyWorld(t, e, store.Hooks{})
		for _, x := range gaps() {
			t.Run(x.name, func(t *testing.T) {
				w.t, w.facts = t, situation{}
				d := x.rule
				if d == nil {
					d = blockAll
				}
				if err := x.try(w, func() {}); d != nil && x.want != olderLater && err != nil {
					t.Fatalf("without the policy: %v", err)
				}
				w.facts = situation{}
				reported := *d
				reported.Doc = strings.Replace(d.Doc, `"state":"enabled"`, `"state":"enabledForReportingButNotEnforced"`, 1)
				if err := x.try(w, func() { w.Rule(&reported) }); err != nil {
					t.Errorf("only reported: %v", err)
				}
				w.Unrule(d)
				w.facts = situation{}
				if got := outcome(x.try(w, func() { w.Rule(d) })); got != x.want {
					t.Errorf("%q, want %q", got, x.want)
				}
				w.Unrule(d)
			})
		}
	})
}

// A group that policies name is joined between two checks: what was decided at the
// first does not count at the second.
func TestAMemberOfABlockedGroupSinceTheSignInIsBlocked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newPolicyWorld(t, e, store.Hooks{})
		w.Rule(storetest.Policy(1, `"users":{"includeGroups":["`+w.staff.String()+`"]}`, storetest.Blocks))
		c, err := w.begin(w.session(), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		c2, err := w.begin(w.session(), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := w.take(c)
		if err != nil {
			t.Fatal(err)
		}
		w.Update(func(tx *store.Tx) error { return tx.AddMember(w.staff, w.Ada.ID) })
		if _, err := w.take(c2); outcome(err) != blockedLater {
			t.Errorf("code: %v", err)
		}
		if _, err := w.renew(tok.Refresh, ""); outcome(err) != blockedLater {
			t.Errorf("refresh: %v", err)
		}
	})
}

// What was judged before the policy changed, and would be answered after it, is not.
func TestAPolicyOvertakesWhatIsBeingAnswered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var rotated, committed hookOnce
		w := newPolicyWorld(t, e, store.Hooks{AfterRotate: rotated.fire, AfterCommit: committed.fire})
		// AfterCommit comes before the view has the line: the change must not be made
		// in it, and on SQLite could not.
		w.facts = situation{}
		c, err := w.begin(w.session(), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := w.take(c)
		if err != nil {
			t.Fatal(err)
		}
		rotated.arm(func() { w.Rule(blockAll) })
		if _, err := w.renew(tok.Refresh, ""); outcome(err) != blockedLater {
			t.Errorf("switched on while a refresh was held: %v", err)
		}
		rotated.arm(func() { w.Unrule(blockAll) })
		if _, err := w.renew(tok.Refresh, ""); outcome(err) != blockedLater && err != nil {
			t.Errorf("deleted while a refresh was judged: %v", err)
		}
		if _, err := w.renew(tok.Refresh, ""); err != nil {
			t.Errorf("deleted: %v", err)
		}
		if !e.Postgres {
			return
		}
		c, err = w.begin(w.session(), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		committed.arm(func() { w.Rule(blockAll) }) // between the commit and the last look
		if got, err := w.take(c); outcome(err) != blockedLater {
			t.Errorf("switched on while a code was redeemed: %v %v", got, err)
		}
	})
}

// An application that acts as itself is no person: no policy is about it.
func TestPoliciesAreNotAboutApplicationsThemselves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newPolicyWorld(t, e, store.Hooks{})
		robot := storetest.Person("robot", w.Clock.Now())
		robot.Service = true
		app := &directory.App{ID: "robot", Object: directory.NewID[directory.App](w.Clock.Now()), Principal: robot.ID, Name: "robot", Enabled: true, Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}},
			AppPermissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read.All"}}}}
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateUser(robot); err != nil {
				return err
			}
			return tx.SaveApp(app)
		})
		w.Rule(blockAll)
		tok, err := w.issue.ClientCredentials(t.Context(), w.authenticate(issue.Credentials{ID: "robot", Secret: "s3cret"}), "api://mail/.default", nil, grant.Tenant, w.meta())
		if err != nil || tok.Ruling != nil {
			t.Errorf("%+v %v", tok, err)
		}
	})
}

// What a policy limits stands in the tokens.
func TestTokensSayHowThePersonWasProvenAndWhatIsLeftToTheApplication(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newPolicyWorld(t, e, store.Hooks{})
		w.Rule(storetest.Policy(1, "", `"sessionControls":{"applicationEnforcedRestrictions":{"isEnabled":true}}`))
		w.facts = situation{amr: "pwd otp"}
		c, err := w.begin(w.session(), allScopes)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := w.take(c)
		if err != nil {
			t.Fatal(err)
		}
		if a := claims(t, tok.Access); !slices.Equal(a.AMR, []string{"pwd", "otp", "mfa"}) || !slices.Equal(a.Controls, []string{"app_res"}) || !slices.Equal(a.Controlled, []string{a.Audience}) {
			t.Errorf("amr %v, controls %v", a.AMR, a.Controls)
		}
		if tok.Ruling == nil || !tok.Ruling.Limits.AppEnforced || len(tok.Ruling.Explain()) != 1 {
			t.Errorf("ruling %+v", tok.Ruling)
		}
		w.facts = situation{}
		w.Unrule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1)})
		if c, err = w.begin(w.session(), allScopes); err != nil {
			t.Fatal(err)
		}
		if tok, err = w.take(c); err != nil {
			t.Fatal(err)
		}
		if a := claims(t, tok.Access); !slices.Equal(a.AMR, []string{"pwd"}) || a.Controls != nil {
			t.Errorf("amr %v, controls %v", a.AMR, a.Controls)
		}
	})
}

// The words of the refusal are Entra's: when the proof was given, and for how many
// seconds it serves. Its causes are those of what is no longer good.
func TestARefusalSaysSinceWhenAndForHowLong(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t, storetest.Engines()[0], store.Hooks{})
	c, err := w.begin(w.session(), allScopes)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := w.take(c)
	if err != nil {
		t.Fatal(err)
	}
	w.Rule(storetest.Policy(1, "", frequency(`"type":"hours","value":1,"frequencyInterval":"timeBased","authenticationType":"primaryAndSecondaryAuthentication"`)))
	at := w.Clock.Now()
	w.Clock.Add(time.Hour)
	_, err = w.renew(tok.Refresh, "")
	text := fault.Public(err)
	if !strings.Contains(text, at.Format("2006-01-02T15:04:05")) || !strings.Contains(text, "maximum allowed lifetime for this request is 3600.") {
		t.Errorf("%s", text)
	}
	var d *standing.Dead
	var r *access.Refused
	if !errors.As(err, &d) || !slices.Equal(d.Causes, []standing.Cause{standing.PolicyLifetime}) || !errors.As(err, &r) || !slices.Equal(r.Policies, []string{storetest.PolicyID(1)}) {
		t.Errorf("%v %+v", d, r)
	}
	for _, word := range []string{"interaction_required", "consent_required", "login_required", "bad_token"} {
		if strings.Contains(text, word) { // Microsoft's libraries look for it there
			t.Errorf("the text has the word %s", word)
		}
	}
}
