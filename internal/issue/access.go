package issue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// appRestricted is what the claim controls says where a policy leaves restrictions
// to the application, as in Entra's tokens.
const appRestricted = "app_res"

// byPolicy puts a refusal of conditional access into OAuth's words; other errors stay
// as they are.
func byPolicy(err error) error {
	var r *access.Refused
	if errors.Is(err, access.ErrContext) {
		return refuse(fault.Denied, "unmet_authentication_requirements", 0, "", fault.Public(err))
	}
	if !errors.As(err, &r) {
		return err
	}
	d := &standing.Dead{Causes: standing.Verdict(&r.Ruling.Verdict)}
	return fault.Wrap(fault.KindOf(err), r.Text, errors.Join(r, d, &Error{Code: r.Refusal.Error, Number: r.Number, Sub: r.Suberror, Claims: r.Claims}))
}

// reached is what the policies are asked about: a resource, or, where nothing but
// who somebody is was asked for, none.
func reached(r directory.ResourceID, scopes []string) directory.ResourceID {
	if r == directory.OwnAPI && !slices.ContainsFunc(scopes, func(n string) bool { return !isOIDC(n) }) {
		return ""
	}
	return r
}

// Admit says what policies demand before a code is made of a request: of the session
// and application that it names, as Authorize will ask again. Pages ask it before they
// ask for consent. Kinds as Authorize.
func (s *Service) Admit(ctx context.Context, r AuthorizeRequest) error {
	n := s.noteVisit(&r)
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		x, u, err := s.liveSession(tx, r.Session)
		if err != nil {
			return err
		}
		n.visited(u, x)
		_, err = s.admit(tx, r.App, x, &r)
		return err
	})
	if err != nil { // else Authorize writes it down
		n.end(nil, err)
	}
	return err
}

func (s *Service) admit(tx *store.Tx, app *directory.App, x *grant.Session, r *AuthorizeRequest) (*access.Ruling, error) {
	held, err := tx.Held(x.User)
	if err != nil {
		return nil, err
	}
	u := &access.Use{Held: held, Client: app.ID, Resource: reached(r.Plan.Resource.ID, r.Plan.Scopes), Program: access.ProgramOf(app, r.RedirectURI),
		Platform: access.PlatformOf(r.Agent), IP: r.IP, Interactive: true}
	ruling, err := s.Access.Judge(tx, u.OfSession(x).Demand(r.Contexts))
	if err == nil && ruling.Over(x, tx.Now, s.Lifetimes) {
		return nil, dead([]standing.Cause{standing.Idle})
	}
	return ruling, byPolicy(err)
}

// permit asks the policies about the draft whose resource was chosen, and decides
// when its token ends: nothing outlives the proof that a policy asks for.
func (s *Service) permit(tx *store.Tx, reg *registrations, d *draft, u *access.Use) error {
	u.Held, u.Resource = d.held, reached(d.resource.ID, d.scopes)
	r, err := s.Access.Judge(tx, u)
	if err != nil {
		return byPolicy(err)
	}
	d.use, d.ruling = u, r
	life := s.life(reg, d.resource, d.app, d.cp1)
	var short bool
	if d.from, short = r.Bind(u); short {
		life = min(life, time.Hour)
	}
	d.limit = earlier(d.limit, r.Limits.Until)
	d.expires = earlier(earlier(d.now.Add(life), d.grant.End), d.limit)
	return nil
}

// useOf is one use of a grant by a request.
func useOf(g *grant.Grant, app *directory.App, redirect string, m Meta) *access.Use {
	return (&access.Use{IP: m.IP, Elsewhere: m.Elsewhere, Program: access.ProgramOf(app, redirect)}).OfGrant(g).Demand(m.Contexts)
}

// lastLookAt is lastLook for what was judged by policies: where one has changed since
// the head under which they were read, they are asked once more.
func (s *Service) lastLookAt(ctx context.Context, d *draft) error {
	o := d.grant.Owner()
	if err := s.lastLook(ctx, &o, d.born); err != nil || !s.DB.View().Ruled(d.born) {
		return err
	}
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		d.use.Grouped = false
		_, err := s.Access.Judge(tx, d.use)
		return byPolicy(err)
	})
}

// useOfToken asks the policies about one request to the directory's own API. An
// access token that they refuse is answered like one that was revoked: its client
// renews, and is told there what is missing. Kinds as Own.
func (s *Service) useOfToken(tx *store.Tx, a *Access, user directory.UserID, held directory.Held, scopes []string, m Meta) error {
	if a.IDType == "app" { // no policy is about what an application does as itself
		return nil
	}
	id, err := directory.ParseID[directory.Grant](a.GID)
	if err != nil {
		return err
	}
	g, err := tx.Grant(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && g.User != user {
		return dead([]standing.Cause{standing.Orphaned})
	}
	if err != nil {
		return err
	}
	app, err := tx.App(g.App)
	if err != nil {
		return gone(err)
	}
	x := useOf(g, app, "", m)
	x.Held, x.Resource = held, reached(directory.OwnAPI, scopes)
	_, err = s.Access.Judge(tx, x)
	var r *access.Refused
	if err = byPolicy(err); errors.As(err, &r) {
		return fault.Wrap(fault.Revoked, r.Text, err)
	}
	return err
}

// usable are the limits under which policies let a refresh token be used by a request,
// for what it was first given for; nil: they do not.
func (s *Service) usable(tx *store.Tx, g *grant.Grant, u *directory.User, app *directory.App, m Meta) (*policy.Limits, error) {
	held, err := tx.Held(u.ID)
	if err != nil {
		return nil, err
	}
	x := useOf(g, app, "", m)
	if x.Held = held; len(g.Scopes) > 0 {
		x.Resource = reached(g.Scopes[0].Resource, g.Scopes[0].Scopes)
	}
	r, err := s.Access.Judge(tx, x)
	var refused *access.Refused
	if errors.As(err, &refused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r.Limits, nil
}

// amrOf is the claim in which a token says how its person was proven.
func amrOf(g *grant.Grant) (amr []string) {
	if amr = g.AMR; policy.TwoFactors(policy.MethodsOf(amr)) {
		amr = append(slices.Clone(amr), grant.AMRBoth)
	}
	return amr
}
