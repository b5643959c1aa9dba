package signin

import (
	"errors"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func (r *room) rule(docs ...*store.Document) {
	r.t.Helper()
	if err := r.DB.Update(r.t.Context(), func(tx *store.Tx) error { return storetest.Rule(tx, docs...) }); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) visit(cookie string, v Visit) error {
	v.IP, v.Agent = "192.0.2.1", firefox
	_, err := r.Visit(r.t.Context(), cookie, v)
	return err
}

// A session of before a policy opens no page that the policy closes; signing out, and
// whatever only looks for it, still finds it.
func TestASessionOpensNothingThatPoliciesClose(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		x := r.in(attempt(adaName, adaFirst))
		portal, account, methods := Visit{App: access.Portal}, Visit{App: access.Account}, Visit{Action: policy.RegisterSecurityInfo}
		for _, c := range []struct {
			name                     string
			doc                      *store.Document
			portal, account, methods int
		}{
			{"none", storetest.Policy(1, "", `"state":"disabled",`+storetest.Blocks), 0, 0, 0},
			{"everything", storetest.Policy(1, "", storetest.Blocks), 53003, 53003, 0},
			{"the portal", storetest.Policy(1, `"applications":{"includeApplications":["curfew-portal"]}`, storetest.AsksMFA), 50079, 0, 0},
			{"the own API", storetest.Policy(1, `"applications":{"includeApplications":["curfew"]}`, storetest.AsksMFA), 50079, 50079, 0},
			{"methods", storetest.Policy(1, `"applications":{"includeUserActions":["urn:user:registersecurityinfo"]}`, storetest.Blocks), 0, 0, 53003},
			{"native programs", storetest.Policy(1, `"clientAppTypes":["mobileAppsAndDesktopClients"]`, storetest.Blocks), 0, 0, 0},
			{"only reported", storetest.Policy(1, "", `"state":"enabledForReportingButNotEnforced",`+storetest.Blocks), 0, 0, 0},
		} {
			r.rule(c.doc)
			for _, v := range []struct {
				to   Visit
				want int
			}{{portal, c.portal}, {account, c.account}, {methods, c.methods}} {
				err := r.visit(x.Cookie, v.to)
				var refused *access.Refused
				got := 0
				if errors.As(err, &refused) {
					got = refused.Number
				} else if err != nil {
					t.Fatal(err)
				}
				if got != v.want {
					t.Errorf("%s: %+v gets %d, want %d", c.name, v.to, got, v.want)
				}
			}
			r.alive(x.Cookie)
		}
		r.rule(storetest.Policy(1, "", storetest.Blocks), &store.Document{Kind: store.SparedDocument, ID: ada.ID.String(), Doc: "{}"})
		if err := r.visit(x.Cookie, portal); err != nil {
			t.Errorf("break-glass: %v", err)
		}
		if err := r.visit("no such cookie", portal); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestPoliciesDecideWhetherASessionIsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		r.user(adaName, adaFirst)
		keep := attempt(adaName, adaFirst)
		keep.Keep = true
		persistent := func(mode string) *store.Document {
			return storetest.Policy(1, "", `"sessionControls":{"persistentBrowser":{"isEnabled":true,"mode":"`+mode+`"}}`)
		}
		before := r.in(keep)
		if !before.Session.Kept {
			t.Fatal("not kept without a policy")
		}
		r.rule(persistent("never"))
		if x := r.in(keep); x.Session.Kept {
			t.Error("never, and kept")
		}
		r.clock.advance(r.Lifetimes.SessionIdle - time.Second)
		if err := r.visit(before.Cookie, Visit{App: access.Account}); err != nil {
			t.Errorf("kept before the policy, not idle yet: %v", err)
		}
		r.clock.advance(r.Lifetimes.SessionIdle)
		err := r.visit(before.Cookie, Visit{App: access.Account})
		var d *standing.Dead
		if !errors.As(err, &d) || !d.Has(standing.Idle) {
			t.Errorf("kept before the policy, idle: %v", err)
		}
		r.rule(persistent("always"))
		if x := r.in(attempt(adaName, adaFirst)); !x.Session.Kept {
			t.Error("always, and not kept")
		}
		// Whom a policy refuses is limited by the others all the same.
		r.rule(storetest.Policy(2, "", storetest.AsksMFA), persistent("never"))
		if x := r.in(keep); x.Session.Kept {
			t.Error("never, and kept because something else is missing")
		}
	})
}

// Using an account that no policy touches is on record, each time.
func TestASparedAccountThatSignsInIsOnRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		ada := r.user(adaName, adaFirst)
		records := func() (n int) {
			t.Helper()
			if err := r.DB.Read(t.Context(), func(tx *store.Tx) error {
				all, err := tx.Audits(store.AuditQuery{Target: ada.ID.String(), Limit: 100})
				for _, x := range all {
					if x.Action == "Sign in by account spared by conditional access" {
						if n++; x.Actor.ID != ada.ID.String() || x.IP == "" {
							t.Errorf("%+v", x)
						}
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		r.in(attempt(adaName, adaFirst))
		if n := records(); n != 0 {
			t.Errorf("%d records of an account that is not spared", n)
		}
		r.rule(&store.Document{Kind: store.SparedDocument, ID: ada.ID.String(), Doc: "{}"})
		r.in(attempt(adaName, adaFirst))
		r.in(attempt(adaName, adaFirst))
		if n := records(); n != 2 {
			t.Errorf("%d records of two sign-ins", n)
		}
	})
}
