package relay

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Holder says whose sessions and grants are listed: those of one application or
// of one device. Those of a user are in an [Exposure].
type Holder struct {
	App    directory.AppID // of grants: also those made from one of the application's
	Device directory.DeviceID
}

// maxRows are gone through for one page. Few rows belong to one application or
// device, and no index leads to them: one would cost every grant space that
// nearly nobody asks for. So a page may hold few of them, or none, and another
// follow.
const maxRows = 5000

var errHolder = fault.New(fault.Invalid, "Say whose: one application or one device.")

// GrantsOf lists live grants of everybody, the newest first, from before a grant
// (zero: the newest) on, and where the next page begins (zero: nowhere). Kinds:
// Denied, Invalid, Unavailable.
func (s *Service) GrantsOf(ctx context.Context, actor directory.Actor, of Holder, before directory.GrantID) (all []GrantView, next directory.GrantID, err error) {
	if err := s.mayList(actor, of, true); err != nil {
		return nil, next, err
	}
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		rows, more, err := tx.GrantsHeld(of.App, of.Device, before, maxRows)
		if err != nil {
			return err
		}
		all, next = nil, more
		return each(tx, rows, func(g *grant.Grant) directory.UserID { return g.User }, func(g *grant.Grant, u *directory.User) error {
			v, _, err := s.grant(tx, sc, g, u)
			if err == nil && len(v.Causes) == 0 {
				all = append(all, *v)
			}
			return err
		})
	})
	return all, next, err
}

// SessionsOf lists live browser sessions on a device, as GrantsOf does.
func (s *Service) SessionsOf(ctx context.Context, actor directory.Actor, of Holder, before directory.SessionID) (all []SessionView, next directory.SessionID, err error) {
	if err := s.mayList(actor, of, false); err != nil {
		return nil, next, err
	}
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		rows, more, err := tx.SessionsHeld(of.Device, before, maxRows)
		if err != nil {
			return err
		}
		all, next = nil, more
		return each(tx, rows, func(x *grant.Session) directory.UserID { return x.User }, func(x *grant.Session, u *directory.User) error {
			v, err := s.session(tx, sc, x, u)
			if err == nil && len(v.Causes) == 0 {
				all = append(all, *v)
			}
			return err
		})
	})
	return all, next, err
}

func (s *Service) mayList(actor directory.Actor, of Holder, apps bool) error {
	if of.Device.IsZero() == (of.App == "") || !apps && of.App != "" {
		return errHolder
	}
	return role.Allowed(actor, role.ReadReceipts, role.Target{}).Err("")
}

// each calls f for each row with the user it is of, read once.
func each[Row any](tx *store.Tx, rows []Row, of func(Row) directory.UserID, f func(Row, *directory.User) error) error {
	users := map[directory.UserID]*directory.User{}
	for _, r := range rows {
		u := users[of(r)]
		if u == nil {
			var err error
			if u, err = tx.User(of(r)); err != nil {
				return err
			}
			users[u.ID] = u
		}
		if err := f(r, u); err != nil {
			return err
		}
	}
	return nil
}

// Grant returns one grant, dead or alive, with what was made from it. Kinds:
// Denied, NotFound, Unavailable.
func (s *Service) Grant(ctx context.Context, actor directory.Actor, id directory.GrantID) (v *GrantView, err error) {
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		g, err := tx.Grant(id)
		if err != nil {
			return noneSuch(err, "grant")
		}
		u, err := owner(tx, actor, g.User)
		if err != nil {
			return err
		}
		if v, _, err = s.grant(tx, sc, g, u); err != nil {
			return err
		}
		below, err := tx.GrantsBelow(id)
		for _, b := range below {
			v.Made = append(v.Made, grant.Link{Grant: b.ID, App: b.App})
		}
		return err
	})
	return v, err
}

// Session returns one browser session, dead or alive. Kinds: Denied, NotFound,
// Unavailable.
func (s *Service) Session(ctx context.Context, actor directory.Actor, id directory.SessionID) (v *SessionView, err error) {
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		x, err := tx.Session(id)
		if err != nil {
			return noneSuch(err, "session")
		}
		u, err := owner(tx, actor, x.User)
		if err == nil {
			v, err = s.session(tx, sc, x, u)
		}
		return err
	})
	return v, err
}

// owner reads whose something is, for those who may see it.
func owner(tx *store.Tx, actor directory.Actor, id directory.UserID) (*directory.User, error) {
	if err := role.Allowed(actor, role.ReadReceipts, role.Target{ID: id}).Err(""); err != nil {
		return nil, err
	}
	return tx.User(id)
}

func noneSuch(err error, what string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "There is no such "+what+". It may have ended long ago.")
	}
	return err
}
