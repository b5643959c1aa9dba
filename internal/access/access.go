package access

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
)

// The directory's own pages.
const (
	Portal  = directory.OwnPortal
	Account = directory.OwnAccount
)

// Service judges. Its zero value, and a nil one, judge too, and then know no
// country, nothing of devices, and no risk.
type Service struct {
	DB *store.DB
	// Country looks an address up; nil, or false: it is not known where it is.
	Country func(netip.Addr) (policy.Country, bool)
	// Device reads what is known of a device; nil: nothing but its id.
	Device func(*store.Tx, directory.DeviceID) (policy.Device, error)
	// Risk reads what was computed; nil: nothing was.
	Risk func(*store.Tx, *Use) (Risk, error)
	// Registered reads the methods that a person could give; nil: [Registered].
	Registered func(*store.Tx, directory.UserID) (policy.Methods, error)
	// Witness is told of each use of an account that no policy touches, once an hour for
	// each session and application. It must be quick: transactions wait for it. Nil:
	// nobody is told.
	Witness func(Witnessed)
	told    told
}

// Risk is how likely it is that somebody else is at the keys.
type Risk struct {
	SignIn, User policy.Risk
	// Changed: the password, since the account was found to be at risk.
	Changed bool
}

// Use is one use of a session or a grant, or a sign-in that is about to become one.
type Use struct {
	User directory.UserID
	Held directory.Held
	// Groups are those of the person's that policies name, if Grouped says that
	// they were read.
	Groups  []directory.GroupID
	Grouped bool

	Client   directory.AppID      // who asks
	Resource directory.ResourceID // what is reached; empty: nothing but who somebody is
	Action   policy.Action
	Contexts []string // authentication contexts asked for, or held: "c1"

	Program  policy.ClientType
	Platform policy.Platform
	IP       string
	// Elsewhere: the resource sees another address, from which a token was not good.
	Elsewhere bool
	Flow      policy.Flow
	Device    directory.DeviceID
	Session   directory.SessionID

	AMR                  []string
	AuthTime, SecondTime time.Time

	demanded []string // of the contexts: by this request

	// Interactive: a person is there who can be asked for what is missing. It
	// chooses the words of a refusal.
	Interactive bool
}

// OfSession fills in what a browser session shows. Flow and program are those of a
// person in front of it.
func (u *Use) OfSession(x *grant.Session) *Use {
	u.User, u.Session, u.Device, u.AMR, u.AuthTime, u.SecondTime = x.User, x.ID, x.Device, x.AMR, x.AuthTime, x.SecondTime
	if u.Flow == 0 {
		u.Flow = policy.NoFlow
	}
	if u.Platform == 0 {
		u.Platform = PlatformOf(x.Agent)
	}
	return u
}

// OfGrant fills in what a grant remembers of its sign-in.
func (u *Use) OfGrant(g *grant.Grant) *Use {
	u.User, u.Client, u.Session, u.Device, u.AMR, u.AuthTime, u.SecondTime = g.User, g.App, g.Session, g.Device, g.AMR, g.AuthTime, g.SecondTime
	u.Platform, u.Flow = g.Platform, g.Flow
	if len(u.Contexts) == 0 {
		u.Contexts = g.Contexts
	}
	return u
}

// Demand adds authentication contexts that the request asks for.
func (u *Use) Demand(contexts []string) *Use {
	u.demanded = contexts
	for _, c := range contexts {
		if !slices.Contains(u.Contexts, c) {
			u.Contexts = append(slices.Clone(u.Contexts), c)
		}
	}
	return u
}

// Ruling is what the policies said, with everything to explain it by.
type Ruling struct {
	policy.Verdict
	Facts policy.Facts
	Set   *policy.Set
}

// Here reports whether it might be another from another address. Only of one that
// allows.
func (r *Ruling) Here() bool { return r.Set.Here(&r.Facts, &r.Verdict) }

// Bind says how a token that is given for a use is bound to where it comes from: good
// from one address only, with guards to ask about others; short: not longer than an
// hour, because no guard will ask in between. Where the resource sees another address
// than this server, and no policy is strict, the second takes the place of the first
// (reference/entra.md §5). The directory's own API judges each use by itself.
func (r *Ruling) Bind(u *Use) (from string, short bool) {
	switch own := u.Resource == "" || u.Resource == directory.OwnAPI; {
	case r.Limits.Continuous == policy.NotContinuous:
		return "", true
	case own || !r.Here():
		return "", false
	case u.Elsewhere && r.Limits.Continuous == 0:
		return "", true
	}
	return cmp.Or(u.IP, "unknown"), false
}

// Explain says what each policy did.
func (r *Ruling) Explain() []policy.Result { return r.Set.Explain(&r.Facts, &r.Verdict) }

// Over reports whether a session that was kept, and would go on, is over because
// policies let none outlive the browser: it lives as one that was never kept.
func (r *Ruling) Over(x *grant.Session, now time.Time, l grant.Lifetimes) bool {
	if r.Limits.Persistent != policy.Never || !x.Kept {
		return false
	}
	short := *x
	short.Kept = false
	return !now.Before(short.Ends(l))
}

// Judge decides about a use by the policies and rows of this transaction. A refusal
// is a fault with a *[Refused] inside, and comes with the ruling. Kinds: Denied
// (blocked, or something is to be given; or with [ErrContext]), Unauthenticated (the
// proof is too old), Unavailable.
func (s *Service) Judge(tx *store.Tx, u *Use) (*Ruling, error) {
	// Break-glass is for the day on which a policy cannot be read, too.
	set, err := tx.Policies()
	if err != nil && (set == nil || !set.Spares(u.User)) {
		return nil, err
	}
	if set.Spares(u.User) {
		s.witness(u, tx.Now, err != nil)
	}
	if len(u.Contexts) > 0 {
		if err := u.open(tx); err != nil {
			return nil, err
		}
	}
	r := &Ruling{Set: set}
	if set.Empty() {
		r.Verdict = set.Decide(&r.Facts)
		return r, nil
	}
	if s == nil {
		s = &Service{}
	}
	if err := s.gather(tx, u, r); err != nil {
		return nil, err
	}
	if r.Verdict = set.Decide(&r.Facts); r.Decision == policy.Allow {
		return r, nil
	}
	// What the person could give decides nothing, it only chooses what to ask for.
	read := Registered
	if s.Registered != nil {
		read = s.Registered
	}
	if r.Facts.Registered, err = read(tx, u.User); err != nil {
		return nil, err
	}
	r.Verdict = set.Decide(&r.Facts)
	return r, r.refuse(u)
}

func (s *Service) gather(tx *store.Tx, u *Use, r *Ruling) (err error) {
	f := &r.Facts
	*f = policy.Facts{Now: tx.Now, User: u.User, Groups: u.Groups, Roles: u.Held.Roles, Client: u.Client, Resource: u.Resource, Action: u.Action,
		Program: u.Program, Platform: u.Platform, Flow: u.Flow, Methods: policy.MethodsOf(u.AMR), AuthTime: u.AuthTime, SecondTime: u.SecondTime}
	for _, c := range u.Contexts {
		if n, ok := ContextNumber(c); ok {
			f.Contexts.Add(n)
		}
	}
	if !u.Grouped {
		if f.Groups, err = tx.GroupsAmong(u.User, r.Set.Groups()); err != nil {
			return err
		}
	}
	if a, err := netip.ParseAddr(u.IP); err == nil {
		f.Address = a.Unmap()
		if s.Country != nil {
			if c, ok := s.Country(f.Address); ok {
				f.Country = c
			}
		}
	}
	if f.Device.ID = u.Device; s.Device != nil && !u.Device.IsZero() {
		if f.Device, err = s.Device(tx, u.Device); err != nil {
			return err
		}
	}
	// Of a refresh nobody wants to know a risk that decides nothing; of a sign-in the
	// log does.
	if s.Risk != nil && (u.Interactive || r.Set.Risky()) {
		risk, err := s.Risk(tx, u)
		if err != nil {
			return err
		}
		f.SignInRisk, f.UserRisk, f.PasswordChanged = risk.SignIn, risk.User, risk.Changed
	}
	if len(r.Set.Terms()) > 0 {
		f.Terms, err = tx.Accepted(u.User)
	}
	return err
}

// Facts are what a set of policies is told of a use: of another set than the one that
// decides, for who wants to know what a change of policies would do.
func (s *Service) Facts(tx *store.Tx, u *Use, set *policy.Set) (policy.Facts, error) {
	if s == nil {
		s = &Service{}
	}
	r := &Ruling{Set: set}
	err := s.gather(tx, u, r)
	return r.Facts, err
}

// At decides about the use of a browser session as of now, for pages that want to
// know what is missing before anything is done: u says what is to be reached and how
// the request came. Whether the session is alive is the caller's. Kinds as Judge.
func (s *Service) At(ctx context.Context, id directory.SessionID, u Use) (r *Ruling, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		x, err := tx.Session(id)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.Unauthenticated, "Sign in first.")
		}
		if err != nil {
			return err
		}
		if u.Held, err = tx.Held(x.User); err != nil {
			return err
		}
		u.Interactive = true
		r, err = s.Judge(tx, u.OfSession(x))
		return err
	})
	return r, err
}
