package govern

import (
	"context"
	"errors"
	"net/netip"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// SignIn is a sign-in that is only thought of: somebody opens a browser, or a
// program, gives a password and nothing more. What is not said is not known, and
// never helps; see [policy.Set.Decide].
type SignIn struct {
	User directory.UserID
	// Apps are client_ids and resources, each judged by itself; or Action, or Context.
	Apps    []string
	Action  policy.Action
	Context int // 1 to 99

	Address              netip.Addr
	Country              policy.Country // zero: that of Address
	Platform             policy.Platform
	Program              policy.ClientType
	Flow                 policy.Flow
	Device               policy.Device
	SignInRisk, UserRisk policy.Risk
	// Methods are given beside the password.
	Methods policy.Methods
}

// Evaluation is what would become of it.
type Evaluation struct {
	User     *directory.User // without password hash
	Decision policy.Decision // the strictest of all applications
	Needs    []string        // of Ask, by Graph's names
	Limits   policy.Limits
	// Spared: no policy touches the account.
	Spared  bool
	Results []policy.Result // one for each policy, by id
	// Places names the locations that the address is in; Country is where it is.
	Places  []string
	Country policy.Country
	// Able: it is allowed, or what is asked for can be given with what the person has
	// registered.
	Able bool
}

// maxApps bounds the applications of one question.
const maxApps = 20

// Evaluate says what the policies would do with a sign-in, as they are now. Kinds:
// Denied, Invalid, NotFound, Unavailable.
func (s *Service) Evaluate(ctx context.Context, actor directory.Actor, x SignIn) (out *Evaluation, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadPolicies, role.Target{}); err != nil {
			return err
		}
		p, err := c.people().of(x.User)
		if err != nil {
			return missing(err, noSuchUser)
		}
		if !p.user.Deleted.IsZero() {
			return fault.New(fault.NotFound, noSuchUser)
		}
		w, err := c.world()
		if err == nil {
			err = w.whole(Policy, Location, Strength)
		}
		if err != nil {
			return err
		}
		set, err := w.compile()
		if err != nil {
			return err
		}
		u := &access.Use{Platform: x.Platform, Program: x.Program, Flow: x.Flow, Device: x.Device.ID, AMR: []string{grant.AMRPassword}, AuthTime: c.Now}
		if x.Address.IsValid() {
			u.IP = x.Address.String()
		}
		base, err := c.facts(p, u, set)
		if err != nil {
			return err
		}
		if base.Methods |= x.Methods; policy.TwoFactors(base.Methods) {
			base.SecondTime = c.Now
		}
		known(&base.Country, x.Country)
		known(&base.SignInRisk, x.SignInRisk)
		known(&base.UserRisk, x.UserRisk)
		known(&base.Device.Compliant, x.Device.Compliant)
		known(&base.Device.Trust, x.Device.Trust)
		all, err := c.targets(base, x)
		if err != nil {
			return err
		}
		out = &Evaluation{User: p.user, Decision: policy.Allow, Country: base.Country, Able: true}
		for _, id := range w.spared {
			out.Spared = out.Spared || id == x.User
		}
		for _, d := range w.of(Location) {
			if contains(d.Location, base.Address, base.Country) {
				out.Places = append(out.Places, d.Name())
			}
		}
		var needs policy.Needs
		for i := range all {
			v := set.Decide(&all[i])
			if out.Decision = min(out.Decision, v.Decision); i == 0 {
				out.Limits = v.Limits
			}
			needs |= v.Needs
			out.Able = out.Able && !set.LocksOut(all[i:i+1]).Out
			out.Limits = stricter(out.Limits, v.Limits)
			results := set.Explain(&all[i], &v)
			if out.Results == nil {
				out.Results = results
				continue
			}
			for j, r := range results { // a policy applies if it does to one of them
				if had := &out.Results[j]; r.Applies && (!had.Applies || len(had.Missing) == 0) {
					*had = r
				}
			}
		}
		if out.Decision == policy.Ask {
			out.Needs = set.Names(needs)
		}
		p.user.Password.Hash = ""
		return nil
	})
	return out, err
}

// known is what was said, if anything was.
func known[T comparable](to *T, said T) {
	var nothing T
	if said != nothing {
		*to = said
	}
}

// stricter are the stricter of two limits, each by itself.
func stricter(a, b policy.Limits) policy.Limits {
	least := func(a, b *policy.Limits, of func(*policy.Limits) int64) bool {
		return of(b) != 0 && (of(a) == 0 || of(b) < of(a))
	}
	if least(&a, &b, func(l *policy.Limits) int64 { return int64(l.Frequency) }) {
		a.Frequency = b.Frequency
	}
	if least(&a, &b, func(l *policy.Limits) int64 { return int64(l.Second) }) {
		a.Second = b.Second
	}
	if !b.Until.IsZero() && (a.Until.IsZero() || b.Until.Before(a.Until)) {
		a.Until = b.Until
	}
	a.Persistent, a.Continuous, a.AppEnforced = max(a.Persistent, b.Persistent), max(a.Continuous, b.Continuous), a.AppEnforced || b.AppEnforced
	return a
}

// targets are the facts for each of what is signed in to.
func (c *step) targets(base policy.Facts, x SignIn) (all []policy.Facts, err error) {
	switch {
	case x.Action != 0:
		base.Action = x.Action
		return []policy.Facts{base}, nil
	case x.Context != 0:
		base.Client, base.Resource = access.Account, directory.OwnAPI
		base.Contexts.Add(x.Context)
		return []policy.Facts{base}, nil
	case len(x.Apps) == 0:
		return nil, fault.New(fault.Invalid, "Say what is signed in to: applications, an action or an authentication context.")
	case len(x.Apps) > maxApps:
		return nil, fault.New(fault.Invalid, "There are more than 20 applications in one question.")
	}
	for _, id := range x.Apps {
		f := base
		_, errApp := c.Tx.App(directory.AppID(id))
		_, errRes := c.Tx.Resource(directory.ResourceID(id))
		switch {
		case own(id) && id != string(directory.OwnAPI): // pages, reached through it
			f.Client, f.Resource = directory.AppID(id), directory.OwnAPI
		case errApp == nil:
			f.Client = directory.AppID(id)
		case errRes == nil || own(id):
			f.Resource = directory.ResourceID(id)
		case !errors.Is(errApp, store.ErrNotFound):
			return nil, errApp
		case !errors.Is(errRes, store.ErrNotFound):
			return nil, errRes
		default:
			return nil, fault.New(fault.NotFound, "There is no application and no resource "+fault.Quote(id)+".")
		}
		all = append(all, f)
	}
	return all, nil
}

// contains reports whether a place certainly is in a location: for people to read.
func contains(l *policy.Location, a netip.Addr, in policy.Country) bool {
	for _, r := range l.Ranges {
		if a.IsValid() && r.Contains(a) {
			return true
		}
	}
	for _, x := range l.Countries {
		if x == in {
			return true
		}
	}
	return l.Unknown && in == policy.Nowhere
}
