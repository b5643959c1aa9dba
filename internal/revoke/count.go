package revoke

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// maxCounted is how many of a user's grants are looked at one by one. What is
// beyond is counted as "more", with the longest life there is as their end.
const maxCounted = 20000

// forgetGuard is how long after a silent guard has closed by its own limit a
// receipt still waits for it.
const forgetGuard = time.Hour

// Count reads what a cut ended and what is still out there, and writes it to
// the receipt. It reads after the cut's own commit: a token is handed out only
// when its expiry was durable and the cutoffs were looked at after that, so
// every token is in what is read here or was never handed out.
func (s *Service) Count(ctx context.Context, receipt string) (*store.Receipt, error) {
	var r *store.Receipt
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if r, err = tx.Receipt(receipt); err != nil || r.Rest != nil {
			return err
		}
		rest, err := s.count(tx, r)
		r.Rest = rest
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.DB.Urgent(ctx, func(tx *store.Tx) error { return tx.SaveRest(receipt, r.Rest) })
	return r, err
}

// Counted is Count for a cut whose transaction has just been committed; nil for none.
// The cut stands whatever goes wrong here, and whether or not the caller still waits:
// what cannot be counted now is counted at the next start, and until then its receipt
// says so.
func (s *Service) Counted(ctx context.Context, c *store.Cut, reason string) *store.Receipt {
	if c == nil || c.Receipt == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	r, err := s.Count(ctx, c.Receipt)
	if err != nil {
		s.Log.Error("the rest of a revocation could not be counted", "receipt", c.Receipt, "error", err)
		return &store.Receipt{ID: c.Receipt, Pos: c.Pos, At: c.At, Cause: c.Cause, Target: c.Target, Reason: reason, Cuts: c.Cuts, Kept: c.Kept}
	}
	return r
}

// CountAll makes up for receipts whose rest was not counted because the process
// died in between.
func (s *Service) CountAll(ctx context.Context) error {
	var open []*store.Receipt
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { open, err = tx.Uncounted(1000); return err })
	if err != nil {
		return err
	}
	for _, r := range open {
		if _, err := s.Count(ctx, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) count(tx *store.Tx, r *store.Receipt) (*store.Rest, error) {
	rest := &store.Rest{}
	guards, err := tx.Guards()
	if err != nil {
		return nil, err
	}
	for _, g := range guards {
		if g.Gone.IsZero() && r.At.Before(g.Closes().Add(forgetGuard)) {
			rest.Guards = append(rest.Guards, g.ID)
		}
	}
	for _, c := range r.Cuts {
		if c.Reach == cutoff.Judge {
			continue // it ends nothing
		}
		if err := s.countCut(tx, r, c, rest); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(rest.Tokens, func(a, b store.OutstandingAt) int { return a.Expires.Compare(b.Expires) })
	for _, t := range rest.Tokens {
		if t.Expires.After(rest.Last) {
			rest.Last = t.Expires
		}
	}
	return rest, nil
}

func (s *Service) countCut(tx *store.Tx, r *store.Receipt, c cutoff.Cutoff, rest *store.Rest) error {
	var grants []*grant.Grant
	var before earlier
	var err error
	switch c.Scope {
	case cutoff.User, cutoff.UserApp:
		userID, app, _ := strings.Cut(c.ID, ":")
		id, perr := directory.ParseID[directory.User](userID)
		if perr != nil {
			return perr
		}
		if grants, err = tx.Grants(id, maxCounted); err != nil {
			return err
		}
		if before, err = earlierCuts(tx, r, id); err != nil {
			return err
		}
		if len(grants) == maxCounted {
			rest.More++
			rest.Last = r.At.Add(28 * time.Hour) // the longest life there is
		}
		if app != "" {
			grants = slices.DeleteFunc(grants, func(g *grant.Grant) bool { return !through(g, app) })
		}
		if c.Scope == cutoff.User {
			if err := s.countUser(tx, r, c, id, before, rest); err != nil {
				return err
			}
		}
	case cutoff.Session:
		id, perr := directory.ParseID[directory.Session](c.ID)
		if perr != nil {
			return perr
		}
		rest.Sessions++
		if grants, err = tx.GrantsOfSession(id); err != nil {
			return err
		}
		grants = slices.DeleteFunc(grants, func(g *grant.Grant) bool { return g.EndsWith() != id })
	case cutoff.Grant:
		id, perr := directory.ParseID[directory.Grant](c.ID)
		if perr != nil {
			return perr
		}
		if grants, err = tx.GrantsBelow(id); err != nil {
			return err
		}
		switch g, err := tx.Grant(id); {
		case err == nil:
			grants = append(grants, g)
		case !errors.Is(err, store.ErrNotFound): // swept; what was made from it is not
			return err
		}
	case cutoff.Device:
		id, perr := directory.ParseID[directory.Device](c.ID)
		if perr != nil {
			return perr
		}
		if grants, err = s.countDevice(tx, r, id, rest); err != nil {
			return err
		}
	default: // an application, the directory: as many as there are users
		rest.More++
		life, err := tx.LongestLife()
		if err != nil {
			return err
		}
		rest.Last = r.At.Add(life)
		return nil
	}
	for _, g := range grants {
		s.countGrant(r, g, before, rest)
	}
	return nil
}

// earlier are the newest positions before a receipt's at which its user was cut:
// what was born before them was dead already and is not this cut's doing.
type earlier struct{ everything, tokens cutoff.Pos }

func earlierCuts(tx *store.Tx, r *store.Receipt, user directory.UserID) (e earlier, err error) {
	past, err := tx.Receipts(user.String(), r.Pos, 50)
	for _, p := range past {
		for _, c := range p.Cuts {
			switch {
			case c.Scope != cutoff.User || c.ID != user.String() || c.Reach == cutoff.Judge:
			case c.Reach == cutoff.Everything:
				e.everything, e.tokens = max(e.everything, p.Pos), max(e.tokens, p.Pos)
			default:
				e.tokens = max(e.tokens, p.Pos)
			}
		}
	}
	return e, err
}

// dead reports whether something born at born was cut before r by the user's
// earlier cutoffs or by one of its own, which b names without the user.
func (s *Service) dead(r *store.Receipt, born, user cutoff.Pos, b cutoff.Belongs, k cutoff.Kind) bool {
	o := cutoff.NewOwner(b)
	own := s.DB.View().Latest(&o, k)
	return born < user || born < own && own < r.Pos
}

// countDevice adds the sessions on a device, and returns the grants.
func (s *Service) countDevice(tx *store.Tx, r *store.Receipt, id directory.DeviceID, rest *store.Rest) ([]*grant.Grant, error) {
	sessions, err := devices.Sessions(tx, id, maxCounted)
	if err != nil {
		return nil, err
	}
	for _, x := range sessions {
		if x.Born < r.Pos && r.At.Before(x.Ends(s.Lifetimes)) && !x.Created.After(r.At) &&
			!s.dead(r, x.Born, 0, cutoff.Belongs{User: x.User.String(), Session: x.ID.String()}, cutoff.Browser) {
			rest.Sessions++
		}
	}
	grants, err := devices.Grants(tx, id, maxCounted)
	if len(grants) == maxCounted {
		rest.More++
		rest.Last = r.At.Add(28 * time.Hour) // the longest life there is
	}
	// Those that the line names are counted by that name.
	return slices.DeleteFunc(grants, func(g *grant.Grant) bool {
		return slices.ContainsFunc(r.Cuts, func(c cutoff.Cutoff) bool { return c.Scope == cutoff.Grant && c.ID == g.ID.String() })
	}), err
}

// countUser adds sessions and app-only tokens of the user.
func (s *Service) countUser(tx *store.Tx, r *store.Receipt, c cutoff.Cutoff, id directory.UserID, before earlier, rest *store.Rest) error {
	if c.Reach == cutoff.Everything {
		sessions, err := tx.Sessions(id, maxCounted)
		if err != nil {
			return err
		}
		for _, x := range sessions {
			if x.Born < r.Pos && r.At.Before(x.Ends(s.Lifetimes)) && !x.Created.After(r.At) &&
				!s.dead(r, x.Born, before.everything, cutoff.Belongs{Session: x.ID.String()}, cutoff.Browser) {
				rest.Sessions++
			}
		}
	}
	app, err := tx.AppByPrincipal(id)
	if err == store.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	tokens, err := tx.AppTokens(app.ID)
	for _, t := range tokens {
		addToken(r, app.ID, t, rest)
	}
	return err
}

// through reports whether a grant is one of the application, or was made from one.
func through(g *grant.Grant, app string) bool {
	return string(g.App) == app || slices.ContainsFunc(g.Chain, func(l grant.Link) bool { return string(l.App) == app })
}

func (s *Service) countGrant(r *store.Receipt, g *grant.Grant, before earlier, rest *store.Rest) {
	own := g.Belongs()
	own.User = ""
	switch {
	case g.Born >= r.Pos && !r.Kept:
		return // born later
	case g.Born >= r.Pos:
		// Born again at this line: the refresh token lives, but access tokens
		// cannot be born again.
	case r.At.Before(g.Ends(s.Lifetimes)) && !s.dead(r, g.Born, before.tokens, own, cutoff.Token):
		rest.Grants++
	}
	for _, t := range g.State.Tokens {
		addToken(r, g.App, t, rest)
	}
}

func addToken(r *store.Receipt, app directory.AppID, t grant.Token, rest *store.Rest) {
	if t.Expires <= r.At.Unix() {
		return
	}
	i := slices.IndexFunc(rest.Tokens, func(o store.OutstandingAt) bool { return o.Resource == t.Resource && o.App == app })
	if i < 0 {
		rest.Tokens = append(rest.Tokens, store.OutstandingAt{Resource: t.Resource, App: app})
		i = len(rest.Tokens) - 1
	}
	o := &rest.Tokens[i]
	o.Count++
	if e := time.Unix(t.Expires, 0).UTC(); e.After(o.Expires) {
		o.Expires, o.Issued = e, time.Unix(t.Issued, 0).UTC()
	}
}
