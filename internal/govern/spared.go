package govern

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Spared is an account that no policy touches, for the day on which one locks
// everybody else out.
type Spared struct {
	User     *directory.User // without password hash
	Admin    bool            // holds Global Administrator: else it helps nobody
	LastUsed time.Time       // of its newest session; zero: none is known
}

const (
	addsSpared    = "Add account spared by conditional access"
	removesSpared = "Remove account spared by conditional access"
)

// maxSpared bounds them: each is a door that no policy watches.
const maxSpared = 20

var errNotSpared = fault.New(fault.NotFound, "No such account is spared.")

// SparedAccounts lists them by user name. Kinds: Denied, Unavailable.
func (s *Service) SparedAccounts(ctx context.Context, actor directory.Actor) (all []Spared, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		all = nil
		if err := c.allow("", audit.Party{}, role.ReadSpared, role.Target{}); err != nil {
			return err
		}
		ids, err := c.Tx.Spared()
		if err != nil {
			return err
		}
		for _, id := range ids {
			u, err := c.Tx.User(id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			held, err := c.Held(id)
			if err != nil {
				return err
			}
			x := Spared{User: u, Admin: held.Has(role.GlobalAdministrator)}
			sessions, err := c.Tx.Sessions(id, 1)
			if err != nil {
				return err
			}
			for _, b := range sessions {
				x.LastUsed = b.LastUsed
			}
			u.Password.Hash = ""
			all = append(all, x)
		}
		slices.SortFunc(all, func(a, b Spared) int { return strings.Compare(a.User.Name, b.User.Name) })
		return nil
	})
	return all, err
}

// Spare spares an account, or with spare false no longer. Kinds: Denied, Invalid,
// NotFound, Conflict (it is already; it locks everybody out), Unavailable.
func (s *Service) Spare(ctx context.Context, actor directory.Actor, id directory.UserID, spare bool, how How) (*Effect, error) {
	activity := removesSpared
	if spare {
		activity = addsSpared
	}
	about := audit.Party{Kind: "user", ID: id.String(), Name: id.String()}
	_, effect, err := s.do(ctx, actor, change{activity: activity, about: about, action: role.UpdateSpared, how: how, plan: func(c *step, w *world) (*edit, error) {
		u, err := c.Tx.User(id)
		if err != nil && (!errors.Is(err, store.ErrNotFound) || spare) {
			return nil, missing(err, noSuchUser)
		}
		name := id.String()
		if u != nil {
			name = u.Name
		}
		next := &world{docs: w.docs, broken: w.broken, spared: slices.Clone(w.spared)}
		i := slices.Index(w.spared, id)
		what := "Spares " + name + " of all policies."
		switch {
		case !spare && i < 0:
			return nil, errNotSpared
		case !spare:
			next.spared = slices.Delete(next.spared, i, i+1)
			what = "Spares " + name + " no longer."
		case i >= 0:
			return nil, fault.New(fault.Conflict, "It is spared already.")
		case !u.Deleted.IsZero():
			return nil, fault.New(fault.NotFound, noSuchUser)
		case u.Service:
			return nil, fault.New(fault.Invalid, "An application's identity is not signed in as; no policy is about it.")
		case len(w.spared) >= maxSpared:
			return nil, fault.New(fault.Invalid, "There are as many spared accounts as there may be. Each is a door that no policy watches.")
		default:
			next.spared = append(next.spared, id)
		}
		e, err := plan(w, next)
		if err != nil {
			return nil, err
		}
		e.what, e.spare, e.party = what, &sparing{id, spare}, audit.Party{Kind: "user", ID: id.String(), Name: name}
		return e, nil
	}})
	return effect, err
}

// sparing is the change of who is spared.
type sparing struct {
	user  directory.UserID
	spare bool
}

func (c *step) saveSparing(x *sparing) error {
	if x.spare {
		return c.Tx.SaveDocument(&store.Document{Kind: store.SparedDocument, ID: x.user.String(), Doc: "{}"})
	}
	return missing(c.Tx.DeleteDocument(store.SparedDocument, x.user.String()), "No such account is spared.")
}
