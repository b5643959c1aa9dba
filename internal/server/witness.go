package server

import (
	"context"
	"errors"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	post "github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// usedSpared is the activity's name in the audit log.
const usedSpared = "Use of account spared by conditional access"

// witnessTime bounds the record of one use.
const witnessTime = 5 * time.Second

// witnessed is told of the use of an account that no policy touches, in the middle of a
// transaction: the line on the log is written, the rest waits for its turn. Where too
// many wait the line is all there is.
func (s *Server) witnessed(w access.Witnessed) {
	s.log.Warn("an account that no policy touches is used", "user", w.User, "client", w.Client, "session", w.Session, "policies unreadable", w.Unread)
	select {
	case s.used <- w:
	default:
		s.log.Error("the use of an account that no policy touches is not in the audit log: too many wait", "user", w.User)
	}
}

// witness writes down what was witnessed, until ctx ends.
func (s *Server) witness(ctx context.Context) {
	last := map[directory.UserID]time.Time{} // when it was written to the administrators
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-s.used:
			if err := s.recordUse(ctx, w); err != nil {
				s.log.Error("the use of an account that no policy touches is not in the audit log", "user", w.User, "error", err)
			}
			if w.At.Sub(last[w.User]) < time.Hour {
				continue
			}
			last[w.User] = w.At
			if err := s.warnAdministrators(ctx, w); err != nil {
				s.log.Error("the administrators are not written to about an account that no policy touches", "user", w.User, "error", err)
			}
		}
	}
}

// recordUse has a transaction of its own: one that refreshes share must not be undone by
// a record, nor wait for it.
func (s *Server) recordUse(ctx context.Context, w access.Witnessed) error {
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	return s.db.Update(ctx, func(tx *store.Tx) error {
		u, err := tx.User(w.User)
		if err != nil {
			return err
		}
		tx.By(store.By{Actor: directory.Actor{System: true, App: w.Client, IP: w.IP}})
		r := audit.Record{Action: usedSpared, Target: store.UserParty(u), Changes: []audit.Change{{Property: "Client", New: string(w.Client)}}}
		if !w.Session.IsZero() {
			r.Changes = append(r.Changes, audit.Change{Property: "Session.Id", New: w.Session.String()})
		}
		if w.Unread {
			r.Elaborate = "The policies could not be read; nobody else got in."
		}
		tx.Audit(r)
		return nil
	})
}

// maxWarned bounds the letters about one use.
const maxWarned = 20

// warnAdministrators writes to those who can be written to. Their letters are those to
// a person: nobody sees who else got one.
func (s *Server) warnAdministrators(ctx context.Context, w access.Witnessed) error {
	if s.mail == nil {
		return nil
	}
	var to []*directory.User
	account := w.User.String()
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		to = nil
		u, err := tx.User(w.User)
		if err != nil {
			return err
		}
		account = u.Name
		ids, err := tx.Holders(role.GlobalAdministrator)
		for _, id := range ids {
			u, e := tx.User(id)
			if e == nil && u.Enabled && len(to) < maxWarned {
				to = append(to, u)
			} else if e != nil && !errors.Is(e, store.ErrNotFound) {
				return e
			}
		}
		return err
	})
	for _, u := range to {
		s.write(u, func(l post.Writer, x post.What) *post.Letter {
			x.At, x.IP = w.At, w.IP
			return l.SparedUsed(x, account)
		})
	}
	return err
}
