package relay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// EndKind is how something would end if it were revoked now.
type EndKind string

// The kinds.
const (
	AtOnce    EndKind = "at_once"    // curfew itself refuses it
	Within    EndKind = "within"     // guards do; Ending.Within is the bound
	NotBefore EndKind = "not_before" // nobody does; it ends by expiry at Ending.At
)

// Ending is what revoking now would do to something: the bound, never the hope.
type Ending struct {
	Kind   EndKind
	Within time.Duration
	At     time.Time // of NotBefore: the expiry; a verifier may allow Leeway more
}

// Exposure is what is open for one user, and how it would end.
type Exposure struct {
	User        directory.UserID
	Name        string // user name
	DisplayName string
	Enabled     bool
	Service     bool
	Now         time.Time
	Pos         cutoff.Pos // the ledger's head as this was read
	Sessions    []SessionView
	Grants      []GrantView
	// AppTokens are access tokens that the account holds as an application.
	AppTokens []TokenView
	// Residual are access tokens of what was cut already, at resources that nobody
	// guards: they live to their end.
	Residual []TokenView
	// More: there are more sessions or grants than were read.
	More  bool
	Lanes []Lane // curfew first, then resources in order of how they would end
	Last  *LastCut
}

// LastCut is the newest receipt about the user.
type LastCut struct {
	Receipt, Cause, Reason string
	At                     time.Time
	Actor                  audit.Party
}

// SessionView is one browser session.
type SessionView struct {
	ID                                directory.SessionID
	User                              directory.UserID
	UserName                          string
	Agent, IP                         string
	Device                            directory.DeviceID
	Kept                              bool
	Born                              cutoff.Pos
	Created, LastUsed, AuthTime, Ends time.Time // Ends holds unless it is used before
	AMR                               []string
	Provider                          directory.ProviderID // through which they came; empty: proven here
	Causes                            []standing.Cause     // why it is no longer good; none: it is
}

// GrantView is one grant.
type GrantView struct {
	ID                            directory.GrantID
	User                          directory.UserID
	UserName                      string
	App                           directory.AppID
	AppName                       string
	Parent                        directory.GrantID // what it was made from; zero: a sign-in gave it
	Chain                         []grant.Link      // the same and what that was made from, nearest first
	Made                          []grant.Link      // what was made from it and is not swept; of one grant only
	Session                       directory.SessionID
	Offline                       bool // has refresh tokens; one that a sign-in gave then outlives its session
	Device                        directory.DeviceID
	Born                          cutoff.Pos
	Created, LastUsed, Ends, Hard time.Time // Ends holds unless used before; Hard is absolute, zero: none
	Scopes                        []directory.Permission
	Tokens                        []TokenView
	Causes                        []standing.Cause // why it is no longer good; none: it is
}

// TokenView is the latest access token handed out to one app for one resource.
type TokenView struct {
	App             directory.AppID
	AppName         string
	Resource        directory.ResourceID
	ResourceName    string
	Scopes          string
	Issued, Expires time.Time
	Guards          int // processes that guard the resource
	Ends            Ending
}

// Lane is one place where access is checked, for the timeline.
type Lane struct {
	Name              string
	Resource          directory.ResourceID // empty: curfew itself
	Guards, Answering int
	MaxStaleness      time.Duration
	Guarded           bool // by guards, or by curfew itself
	Bars              []Bar
	Ends              Ending
}

// Bar is one session, grant or access token.
type Bar struct {
	Name     string
	From, To time.Time
	Renews   bool // it has no end while it is used
}

// Bounds of what is read for one page.
const (
	maxSessions = 200
	maxGrants   = 500
)

// Exposure lists what is open for a user. Who may see receipts about somebody may
// see this: it is what those who revoke need, and everybody may see their own.
// Kinds: Denied, NotFound, Unavailable.
func (s *Service) Exposure(ctx context.Context, actor directory.Actor, id directory.UserID) (x *Exposure, err error) {
	if err := role.Allowed(actor, role.ReadReceipts, role.Target{ID: id}).Err(""); err != nil {
		return nil, err
	}
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		u, err := tx.User(id)
		if errors.Is(err, store.ErrNotFound) {
			return fault.New(fault.NotFound, "There is no such user.")
		}
		if err != nil {
			return err
		}
		x = &Exposure{User: u.ID, Name: u.Name, DisplayName: u.DisplayName, Enabled: u.Enabled, Service: u.Service, Now: sc.now, Pos: tx.Head}
		if err := s.sessions(tx, sc, u, x); err != nil {
			return err
		}
		if err := s.grants(tx, sc, u, x); err != nil {
			return err
		}
		if err := sc.appTokens(tx, u, x); err != nil {
			return err
		}
		x.Lanes = sc.lanes(x)
		last, err := tx.Receipts(u.ID.String(), 0, 1)
		if err == nil && len(last) > 0 {
			x.Last = &LastCut{Receipt: last[0].ID, Cause: string(last[0].Cause), Reason: last[0].Reason, At: last[0].At, Actor: last[0].Actor}
		}
		return err
	})
	return x, err
}

func (s *Service) sessions(tx *store.Tx, sc *scene, u *directory.User, x *Exposure) error {
	all, err := tx.Sessions(u.ID, maxSessions)
	if err != nil {
		return err
	}
	x.More = len(all) == maxSessions
	for _, b := range all {
		v, err := s.session(tx, sc, b, u)
		if err != nil {
			return err
		}
		if len(v.Causes) == 0 {
			x.Sessions = append(x.Sessions, *v)
		}
	}
	return nil
}

// session views and judges one session of u.
func (s *Service) session(tx *store.Tx, sc *scene, b *grant.Session, u *directory.User) (*SessionView, error) {
	cuts, err := tx.CutsAfter(directory.Belongs(b.User, b.ID, directory.GrantID{}, "", b.Device), cutoff.Browser, b.Born)
	if err != nil {
		return nil, err
	}
	return &SessionView{ID: b.ID, User: u.ID, UserName: u.Name, Agent: b.Agent, IP: b.IP, Device: b.Device, Kept: b.Kept, Born: b.Born,
		Created: b.Created, LastUsed: b.LastUsed, AuthTime: b.AuthTime, Ends: b.Ends(s.Lifetimes), AMR: b.AMR, Provider: b.Provider,
		Causes: standing.Check(standing.Facts{Now: sc.now, User: u, Ends: b.Ends(s.Lifetimes), Cuts: cuts})}, nil
}

func (s *Service) grants(tx *store.Tx, sc *scene, u *directory.User, x *Exposure) error {
	all, err := tx.Grants(u.ID, maxGrants)
	if err != nil {
		return err
	}
	x.More = x.More || len(all) == maxGrants
	for _, g := range all {
		v, residual, err := s.grant(tx, sc, g, u)
		if err != nil {
			return err
		}
		x.Residual = append(x.Residual, residual...)
		if len(v.Causes) == 0 {
			x.Grants = append(x.Grants, *v)
		}
	}
	return nil
}

// grant views and judges one grant of u. residual are those of its access tokens
// that live on although it does not.
func (s *Service) grant(tx *store.Tx, sc *scene, g *grant.Grant, u *directory.User) (v *GrantView, residual []TokenView, err error) {
	cuts, err := tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born)
	if err != nil {
		return nil, nil, err
	}
	above, err := tx.Above(g, u)
	if err != nil {
		return nil, nil, err
	}
	v = &GrantView{ID: g.ID, User: u.ID, UserName: u.Name, App: g.App, AppName: sc.appName(g.App), Parent: g.Parent(), Chain: g.Chain, Session: g.Session, Offline: g.Offline,
		Device: g.Device, Born: g.Born, Created: g.Created, LastUsed: g.LastUsed, Ends: g.Ends(s.Lifetimes), Hard: g.End, Scopes: g.Scopes}
	if end := above.End; !end.IsZero() && end.Before(v.Ends) {
		v.Ends = end
	}
	v.Causes = standing.Check(standing.Facts{Now: sc.now, User: u, App: sc.apps[g.App], NeedsApp: true, Ends: g.Ends(s.Lifetimes), End: g.End, Cuts: cuts, Above: above.Facts, Orphan: above.Orphan})
	for _, t := range g.State.Tokens {
		view, open := sc.token(g.App, t, g.Scopes)
		switch {
		case !open:
		// A disabled account that is enabled again has not brought its
		// tokens back: their fate hangs on cutoffs alone.
		case len(cuts) == 0 && t.Issued >= u.ValidFrom.Unix() && len(v.Causes) == 0:
			v.Tokens = append(v.Tokens, view)
		case view.Ends.Kind == NotBefore:
			residual = append(residual, view)
		case len(cuts) == 0 && t.Issued >= u.ValidFrom.Unix():
			// The grant is over, its last access token is not: only a cutoff,
			// or its expiry, ends that.
			residual = append(residual, view)
		}
	}
	return v, residual, nil
}

// scopesAt is what a token for r can do at most.
func scopesAt(ps []directory.Permission, r directory.ResourceID) string {
	for _, p := range ps {
		if p.Resource == r {
			return strings.Join(p.Scopes, ", ")
		}
	}
	return ""
}

// token is an access token that has not expired, a verifier's leeway included.
func (sc *scene) token(app directory.AppID, t grant.Token, allowed []directory.Permission) (v TokenView, open bool) {
	v = TokenView{App: app, AppName: sc.appName(app), Resource: t.Resource, ResourceName: sc.resourceName(t.Resource), Scopes: scopesAt(allowed, t.Resource),
		Issued: time.Unix(t.Issued, 0).UTC(), Expires: time.Unix(t.Expires, 0).UTC()}
	c := sc.cover(t.Resource)
	v.Guards, v.Ends = c.guards, Ending{Kind: NotBefore, At: v.Expires}
	switch {
	case t.Resource == directory.OwnAPI:
		v.Ends = Ending{Kind: AtOnce}
	case c.guards > 0:
		v.Ends = Ending{Kind: Within, Within: c.staleness}
	}
	return v, sc.now.Before(v.Expires.Add(Leeway))
}

// appTokens adds what the account holds as an application.
func (sc *scene) appTokens(tx *store.Tx, u *directory.User, x *Exposure) error {
	if !u.Service {
		return nil
	}
	app, err := tx.AppByPrincipal(u.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := tx.AppTokens(app.ID)
	for _, t := range all {
		v, open := sc.token(app.ID, t, app.AppPermissions)
		switch {
		case !open:
		case t.Issued >= u.ValidFrom.Unix():
			x.AppTokens = append(x.AppTokens, v)
		case v.Ends.Kind == NotBefore:
			x.Residual = append(x.Residual, v)
		}
	}
	return err
}

// lanes arranges everything by the place where it is checked.
func (sc *scene) lanes(x *Exposure) []Lane {
	own := Lane{Name: "curfew", Guarded: true, Ends: Ending{Kind: AtOnce}}
	for _, b := range x.Sessions {
		own.Bars = append(own.Bars, Bar{Name: b.Agent, From: b.Created, To: b.Ends, Renews: true})
	}
	var tokens []TokenView
	for _, g := range x.Grants {
		own.Bars = append(own.Bars, Bar{Name: g.AppName, From: g.Created, To: g.Ends, Renews: true})
		tokens = append(tokens, g.Tokens...)
	}
	tokens = append(append(tokens, x.AppTokens...), x.Residual...)
	at := map[directory.ResourceID]int{}
	var lanes []Lane
	for _, t := range tokens {
		i, ok := at[t.Resource]
		if !ok {
			c := sc.cover(t.Resource)
			i = len(lanes)
			at[t.Resource] = i
			lanes = append(lanes, Lane{Name: t.ResourceName, Resource: t.Resource, Guards: c.guards, Answering: c.answering, MaxStaleness: c.staleness,
				Guarded: t.Ends.Kind != NotBefore, Ends: t.Ends})
		}
		l := &lanes[i]
		l.Bars = append(l.Bars, Bar{Name: t.AppName, From: t.Issued, To: t.Expires})
		if t.Ends.At.After(l.Ends.At) {
			l.Ends.At = t.Ends.At
		}
	}
	rank := map[EndKind]int{AtOnce: 0, Within: 1, NotBefore: 2}
	slices.SortFunc(lanes, func(a, b Lane) int {
		return cmp.Or(rank[a.Ends.Kind]-rank[b.Ends.Kind], cmp.Compare(a.Ends.Within, b.Ends.Within), a.Ends.At.Compare(b.Ends.At), cmp.Compare(a.Name, b.Name))
	})
	if len(own.Bars) == 0 && len(lanes) == 0 {
		return nil
	}
	return append([]Lane{own}, lanes...)
}
