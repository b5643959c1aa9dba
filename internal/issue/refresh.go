package issue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// RefreshRequest presents a refresh token.
type RefreshRequest struct {
	Token    string
	Scope    string // empty: what was asked for first
	Resource []string
	Issuer   grant.Issuer
	Arrived  time.Time // when the request's last byte was read; zero: now
	Meta
}

// What a judgement of a refresh says beyond yes and no.
var (
	errReused  = errors.New("reused")
	errAhead   = errors.New("ahead of its row")
	errTooMany = fault.New(fault.Unavailable, "This refresh token was retried too often. Use the answer to the latest try, or wait.")
)

// Refresh renews tokens. Client authentication and the match of the client come
// first: a token in another client's hands changes nothing. Kinds: Invalid,
// Revoked, Unavailable.
func (s *Service) Refresh(ctx context.Context, client *Client, r RefreshRequest) (tokens *Tokens, err error) {
	n := s.note("refresh", journal.Silent, client, &r.Meta)
	defer func() { n.end(tokens, err) }()
	t, err := grant.Parse(r.Token)
	if err != nil || t.Issuer != r.Issuer {
		return nil, errGrant
	}
	key, known := s.Keys.RefreshKeyByID(t.Key)
	if !known {
		return nil, fault.New(fault.Unavailable, "This node does not have the key of that refresh token yet.")
	}
	if !t.Verify(r.Token, key) {
		return nil, errGrant
	}
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	if r.Arrived.IsZero() { // or it would have arrived before any rotation
		r.Arrived = s.Now()
	}
	var consents []directory.Permission
	for range 4 {
		tokens, err = s.refreshOnce(ctx, client, reg, t, r, consents)
		switch {
		case errors.Is(err, store.ErrOvertaken):
			// A line was written between the judgement and the last look. The
			// grant is judged again: it may have been born again at that line.
		case errors.Is(err, errBeyond) && consents == nil:
			// Another resource than the grant began with: one refresh token
			// serves all that was consented to. Withdrawing a consent cuts the
			// grant, so what is read here needs no second look.
			if consents, err = s.consentsOf(ctx, t.Grant, client.ID); err != nil {
				return nil, err
			}
		default:
			return tokens, err
		}
	}
	return nil, fault.Wrap(fault.Unavailable, "The directory is changing too fast. Try again.", err)
}

// consentsOf never returns nil without an error.
func (s *Service) consentsOf(ctx context.Context, id directory.GrantID, app directory.AppID) ([]directory.Permission, error) {
	all := []directory.Permission{}
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		g, err := tx.Grant(id)
		if err != nil {
			return err
		}
		have, err := consented(tx, g.User, app)
		all = append(all, have...)
		return err
	})
	return all, err
}

func (s *Service) refreshOnce(ctx context.Context, client *Client, reg *registrations, t grant.Refresh, r RefreshRequest, consents []directory.Permission) (*Tokens, error) {
	d := &draft{cp1: r.CP1, key: r.Key}
	r.note.draft = d
	_, err := s.DB.Rotate(ctx, t.Grant, func(f *store.Refresh) error { return s.judge(d, f, client, reg, t, r, consents) })
	if d.alarm != 0 { // whatever became of the answer
		s.raise(ctx, d, r)
	}
	switch {
	case errors.Is(err, errReused):
		if _, err := s.Revoke.EndGrant(ctx, t.Grant, standing.GrantReused, r.IP); err != nil {
			return nil, fault.Wrap(fault.Unavailable, "The refresh token was used before, and the grant could not be ended. Try again.", err)
		}
		s.Log.Warn("an old refresh token was used again", "grant", t.Grant, "client", client.ID, "network", grant.NetworkOf(r.IP))
		return nil, dead([]standing.Cause{standing.Reused})
	case errors.Is(err, errAhead):
		began, err := s.DB.TestifyGrant(ctx, t.Grant, t.Generation)
		if err != nil {
			return nil, err
		}
		s.Log.Error("a refresh token is newer than its row", "grant", t.Grant, "era", began)
		return nil, dead([]standing.Cause{standing.HistoryLost})
	case errors.Is(err, store.ErrNotFound):
		return nil, s.lost(ctx, client, t.Grant, r.IP)
	case err != nil:
		return nil, err
	}
	tokens, err := s.sign(ctx, d)
	if err == nil {
		tokens.Outcome = d.outcome
	}
	return tokens, err
}

// lost says why a grant could not be read with its application. A token of one
// whose row was swept is refused like any other, and whatever was made from it
// ends: nobody can tell any more whether it is the newest generation or a stolen
// one. The rows below remember whose it was: another client changes nothing.
func (s *Service) lost(ctx context.Context, client *Client, id directory.GrantID, ip string) error {
	swept := false
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		g, err := tx.Grant(id)
		if errors.Is(err, store.ErrNotFound) {
			below, err := tx.GrantsBelow(id)
			swept = err == nil && len(below) > 0 && below[0].Chain[0].App == client.ID
			return err
		}
		if err == nil {
			_, err = tx.App(g.App)
			if errors.Is(err, store.ErrNotFound) {
				return dead([]standing.Cause{standing.AppDeleted})
			}
		}
		return err
	})
	if err == nil && swept {
		if _, err := s.Revoke.EndGrant(ctx, id, standing.GrantReused, ip); err != nil {
			return fault.Wrap(fault.Unavailable, "The grant is not there any more, and what was made from it could not be ended. Try again.", err)
		}
	}
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return errGrant
	}
	return err
}

// judge runs inside the transaction, maybe twice, on facts read after its head.
func (s *Service) judge(d *draft, f *store.Refresh, client *Client, reg *registrations, t grant.Refresh, r RefreshRequest, consents []directory.Permission) error {
	g := f.Grant
	r.note.saw(f.User, g)
	d.now, d.outcome, d.alarm = s.Now(), 0, 0
	if g.App != client.ID || g.Issuer != r.Issuer || !g.Offline {
		return errGrant
	}
	if !client.Still(f.App, d.now) {
		return errClient
	}
	causes := standing.Check(standing.Facts{Now: d.now, User: f.User, App: f.App, NeedsApp: true, Unassigned: f.Unassigned, Ends: g.Ends(s.Lifetimes), End: g.End, Cuts: f.Cuts, Above: f.Above.Facts, Orphan: f.Above.Orphan})
	if len(causes) > 0 {
		return dead(causes)
	}
	if g.CNF != "" && g.CNF != r.Key {
		return errHolder
	}
	if err := mustHold(f.App, r.Key); err != nil {
		return err
	}
	d.grant, d.user, d.held, d.app, d.born, d.limit = g, f.User, f.Held, f.App, f.Head, f.Above.End
	d.oidc = permittedOIDC(g.Scopes)
	allowed := g.Scopes
	switch {
	case f.App.FirstParty: // it needs no consent
		allowed = widen(allowed, f.App.Permissions)
	case len(consents) > 0:
		// A consent outlives the application's right to ask for it.
		allowed = widen(allowed, within(f.App.Permissions, consents))
	}
	if err := s.choose(reg, d, allowed, r.Scope, r.Resource); err != nil {
		return err
	}
	asked := useOf(g, f.App, "", r.Meta)
	asked.Groups, asked.Grouped = f.Groups, true
	if err := s.permit(f.Tx, reg, d, asked); err != nil {
		return err
	}
	use := grant.Use{Generation: t.Generation, Resource: d.resource.ID, Arrived: r.Arrived, Now: d.now, Network: grant.NetworkOf(r.IP), Mode: g.Mode(f.App.Refresh)}
	d.outcome, d.alarm = g.State.Rotate(use, s.Lifetimes)
	switch d.outcome {
	case grant.Ahead:
		return errAhead
	case grant.Reused:
		return errReused
	case grant.TooMany:
		return errTooMany
	}
	g.LastUsed = d.now
	g.State.Note(d.resource.ID, d.now, d.expires)
	return nil
}

// permittedOIDC are OpenID Connect's own scopes that the grant was given for.
func permittedOIDC(ps []directory.Permission) (out []string) {
	for _, n := range permitted(ps, directory.OwnAPI) {
		if isOIDC(n) {
			out = append(out, n)
		}
	}
	return out
}

// widen adds permissions that need no further consent.
func widen(have, more []directory.Permission) []directory.Permission {
	p := &Plan{All: slices.Clone(have)}
	for i := range p.All {
		p.All[i].Scopes = slices.Clone(p.All[i].Scopes)
	}
	for _, m := range more {
		p.add(m.Resource, m.Scopes)
	}
	return p.All
}
