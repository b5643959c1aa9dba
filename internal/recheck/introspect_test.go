package recheck_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/risks"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func (h *house) introspect(token, address string) *issue.Introspection {
	h.t.Helper()
	x, err := h.recheck.Introspect(h.t.Context(), h.guard, token, address, issue.Meta{})
	if err != nil {
		h.t.Fatal(err)
	}
	if !x.Active && (x.JTI != "" || x.Subject != "" || x.Expires != 0) {
		h.t.Errorf("it tells of a token that is not good: %+v", x)
	}
	return x
}

const (
	fromOffice = `"locations":{"includeLocations":["All"],"excludeLocations":["00000000-0000-4000-8000-000000000009"]}`
	nineHours  = `"sessionControls":{"signInFrequency":{"value":9,"type":"hours","authenticationType":"primaryAndSecondaryAuthentication","frequencyInterval":"timeBased","isEnabled":true}}`
)

func TestPoliciesAreAskedAtIntrospection(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Rule(storetest.Location(9, "192.0.2.0/24", false))
		token := h.token()
		if x := h.introspect(token, ""); !x.Active || x.Expires != h.Clock.Now().Add(time.Hour).Unix() {
			t.Fatalf("without policies: %+v", x)
		}
		blocked, away := storetest.Policy(1, "", storetest.Blocks), storetest.Policy(1, fromOffice, storetest.Blocks)
		for _, c := range []struct {
			name    string
			policy  *store.Document
			address string
			active  bool
		}{
			{"blocked", blocked, inside, false},
			{"a second factor is missing", storetest.Policy(1, "", storetest.AsksMFA), inside, false},
			{"a proof that is young", storetest.Policy(1, "", nineHours), "", true},
			{"blocked elsewhere, elsewhere", away, outside, false},
			{"blocked elsewhere, here", away, inside, true},
			{"blocked elsewhere, nobody says where", away, "", false},
		} {
			h.Rule(c.policy)
			if x := h.introspect(token, c.address); x.Active != c.active {
				t.Errorf("%s: %+v", c.name, x)
			}
			if own, err := h.recheck.Introspect(t.Context(), h.app, token, c.address, issue.Meta{}); err != nil || own.Active != c.active {
				t.Errorf("%s, by its own application: %+v %v", c.name, own, err)
			}
		}
		h.Rule(blocked)
		if h.introspect(token, inside).Active {
			t.Error("active under a policy that blocks")
		}
		h.Unrule(blocked)
		if !h.introspect(token, inside).Active {
			t.Error("not active though the policy has gone: it ended something")
		}
		if x, err := h.recheck.Introspect(t.Context(), &issue.Client{App: &directory.App{ID: "robot"}}, token, inside, issue.Meta{}); err != nil || x.Active {
			t.Errorf("somebody who guards nothing is told: %+v %v", x, err)
		}
		h.Disable(h.Ada)
		if h.introspect(token, inside).Active {
			t.Error("active though the account is disabled")
		}
	})
}

func TestWhatCannotBeReadIsNotActiveAtIntrospection(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.token()
		h.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1), Doc: `{"what":"nonsense"}`})
		if x, err := h.recheck.Introspect(t.Context(), h.guard, token, inside, issue.Meta{}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%+v %v", x, err)
		}
	})
}

// A policy is asked about nobody whose token was born since the last doubt: the
// country that this one would need is looked up by no introspection but those in doubt.
func TestIntrospectionAsksOnlyInDoubt(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Rule(storetest.Policy(1, "", nineHours))
		asked := 0
		h.recheck.Access = &access.Service{Country: func(netip.Addr) (policy.Country, bool) {
			asked++
			return policy.Country{}, false
		}}
		token := h.token()
		if x := h.introspect(token, inside); !x.Active || asked != 0 {
			t.Errorf("born since: %+v, asked %d times", x, asked)
		}
		h.Rule(storetest.Policy(2, "", nineHours))
		if x := h.introspect(token, inside); !x.Active || asked == 0 {
			t.Errorf("in doubt: %+v, asked %d times", x, asked)
		}
		asked = 0
		if x := h.introspect(h.token(), inside); !x.Active || asked != 0 {
			t.Errorf("renewed: %+v, asked %d times", x, asked)
		}
	})
}

// What is found out of a person or a device puts their tokens in doubt, and no others.
func TestRiskAndDevicesAreAskedForAtIntrospection(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		now := h.Clock.Now()
		laptop := &directory.Device{ID: directory.NewID[directory.Device](now), User: h.Ada.ID, Name: "laptop", Platform: "Linux", Created: now, LastSeen: now, Enabled: true, Trust: directory.DeviceRegistered,
			Compliant: directory.Compliant, Key: append([]byte{4}, make([]byte, 64)...)}
		h.Update(func(tx *store.Tx) error { return devices.Create(tx, laptop) })
		h.on = laptop.ID
		h.issue.Access = &access.Service{
			Device: func(tx *store.Tx, id directory.DeviceID) (policy.Device, error) {
				d, err := devices.Get(tx, id)
				return policy.DeviceOf(d), err
			},
			Risk: func(tx *store.Tx, u *access.Use) (access.Risk, error) {
				st, err := risks.Of(tx, u.User)
				return access.Risk{User: max(st.Level, policy.NoRisk), SignIn: policy.NoRisk}, err
			},
		}
		h.recheck.Access = h.issue.Access
		h.Rule(storetest.Policy(1, `"userRiskLevels":["high"]`, storetest.Blocks), storetest.Policy(2, "", `"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}`))
		token := h.token()
		risky := func(r risk.Rule, f func(*store.Tx, *risks.Detection) (*store.Cut, error)) func() {
			return func() {
				h.Update(func(tx *store.Tx) error {
					_, err := f(tx, &risks.Detection{User: h.Ada.ID, Rule: r, IP: outside, Actor: "grace@contoso.example", Why: "A fact."})
					return err
				})
			}
		}
		is := func(c directory.Compliance) func() {
			return func() {
				h.Update(func(tx *store.Tx) error {
					_, err := devices.Change(tx, laptop.ID, func(d *directory.Device) error { d.Compliant = c; return nil })
					return err
				})
			}
		}
		for _, step := range []struct {
			name   string
			do     func()
			active bool
		}{
			{"nothing found", func() {}, true},
			{"a high risk", risky(risk.Confirmed, risks.Add), false},
			{"a risk that was dismissed", risky(risk.Dismissed, risks.Dismiss), true},
			{"a device that does not comply", is(directory.NotCompliant), false},
			{"a device that complies again", is(directory.Compliant), true},
		} {
			h.Clock.Add(time.Second)
			if step.do(); h.introspect(token, inside).Active != step.active {
				t.Errorf("%s: active is not %v", step.name, step.active)
			}
		}
	})
}

// A change between the facts and the answer lies beyond them: the next one sees it.
func TestAChangeWhileItIsIntrospectedIsSeenByTheNext(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.token()
		h.Rule(storetest.Policy(2, "", nineHours))
		var once sync.Once
		h.recheck.Access = &access.Service{Country: func(netip.Addr) (policy.Country, bool) { // after the policies were read
			once.Do(func() { h.Rule(storetest.Policy(1, "", storetest.Blocks)) })
			return policy.Country{}, false
		}}
		first, next := h.introspect(token, inside), h.introspect(token, inside)
		if !first.Active || next.Active {
			t.Errorf("%v, then %v", first.Active, next.Active)
		}
	})
}

// A token that is good from one address is judged for another that is named, and not
// told to be bad to who names none.
func TestATokenOfOneAddressIsJudgedForAnother(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.Rule(storetest.Location(9, "192.0.2.0/24", false), storetest.Policy(1, fromOffice, storetest.Blocks))
		h.at = inside
		token := h.token()
		for address, active := range map[string]bool{"": true, inside: true, "192.0.2.8": true, outside: false, "::ffff:192.0.2.7": true} {
			if x := h.introspect(token, address); x.Active != active {
				t.Errorf("at %q: %+v", address, x)
			}
		}
	})
}
