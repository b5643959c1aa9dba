package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// A reset by mail: a name is typed, a letter goes to the address that the directory
// has, its link lets a new password be set. The link is an artefact like any other:
// born at the head, of one person, good once. It proves the mailbox and nothing more,
// so it opens no session: whoever has a second factor gives it at the sign-in that
// follows. People who hold a role are not reset like this.
const (
	resetTicket = "reset"
	// ResetLife is how long a link works.
	ResetLife = 30 * time.Minute
)

// BeginReset writes to whoever has this user name, or to nobody. There is one answer
// for every name, as soon: all of the work is done later. Kinds: Limited with
// *TooMany (this address asks too often), NotFound (there is no reset by mail here).
func (s *Service) BeginReset(ctx context.Context, name, ip, request string) error {
	if s.Mail == nil {
		return fault.New(fault.NotFound, "Passwords are not reset by mail here. Ask an administrator.")
	}
	if until := s.Limits.reset.take(network(ip), s.now()); !until.IsZero() {
		return tooMany(until)
	}
	// How often an account is written to is nobody's to learn, and a name that is
	// nobody's counts too.
	if !s.Limits.letters.take(directory.FoldName(name), s.now()).IsZero() {
		s.outcome("reset asked for too often", nil, nil, request, nil)
		return nil
	}
	s.Mail.Post(func(ctx context.Context) (*mail.Letter, error) { return s.resetLetter(ctx, name, ip, request) })
	return nil
}

// resetLetter makes the link, and the letter that it stands in; nil for who gets none.
func (s *Service) resetLetter(ctx context.Context, name, ip, request string) (letter *mail.Letter, err error) {
	fresh := newSecret()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		letter = nil
		u, err := byName(tx, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		held, err := tx.Held(u.ID)
		if err != nil {
			return err
		}
		if !resettable(u) {
			return nil
		}
		to := mail.What{To: u.Mail, Name: u.DisplayName}
		if privileged(held) {
			letter = s.Letters().NoReset(to)
			return nil
		}
		letter = s.Letters().ResetLink(to, "/reset?token="+fresh.value, int(ResetLife.Minutes()))
		tx.Audit(audit.Record{Action: "Self-service password reset flow activity progress", Target: store.UserParty(u), IP: ip, Request: request,
			Elaborate: "A link was sent by mail."})
		return s.createTicket(tx, resetTicket, fresh, u, ResetLife, "")
	})
	return letter, err
}

// resettable: somebody who signs in with a password and can be written to.
func resettable(u *directory.User) bool {
	return !u.Service && u.Enabled && u.Deleted.IsZero() && u.Mail != "" && u.Password.Hash != ""
}

// privileged: a mailbox must not be enough to become them.
func privileged(h directory.Held) bool { return len(h.Roles) > 0 || h.RoleAssignableMember }

// resetting reads the ticket of a link and judges it, and whose it is.
func (s *Service) resetting(tx *store.Tx, link string) (*store.Ticket, *directory.User, directory.Held, error) {
	none := directory.Held{}
	t, err := tx.Ticket(resetTicket, hashSecret(link))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, none, resetOver(standing.Over)
	}
	if err != nil {
		return nil, nil, none, fmt.Errorf("read ticket: %w", err)
	}
	u, err := tx.User(t.User)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, none, fmt.Errorf("read user: %w", err)
	}
	f := standing.Facts{Now: tx.Now, User: u, End: t.Expires}
	if f.Cuts, err = tx.CutsAfter(directory.Belongs(t.User, directory.SessionID{}, directory.GrantID{}, "", directory.DeviceID{}), cutoff.Browser, t.Born); err != nil {
		return nil, nil, none, fmt.Errorf("read cutoffs of a ticket: %w", err)
	}
	causes := standing.Check(f)
	var doc pending
	switch {
	case len(causes) > 0:
		return nil, nil, none, resetOver(causes...)
	case !t.Used.IsZero():
		return nil, nil, none, resetOver(standing.Over)
	case json.Unmarshal([]byte(t.Doc), &doc) != nil || doc.Version != u.Password.Version:
		return nil, nil, none, resetOver(standing.PasswordChanged)
	}
	held, err := tx.Held(u.ID)
	if err == nil && (!resettable(u) || privileged(held)) { // a role was given since
		err = resetOver(standing.Over)
	}
	return t, u, held, err
}

// resetOver says one thing whatever the cause: who holds a link that is not good
// learns nothing of the account.
func resetOver(causes ...standing.Cause) error {
	return fault.Wrap(fault.Revoked, "This link is not good any more. Ask for a new one.", &standing.Dead{Causes: causes})
}

// Reset returns whose password the link of a letter lets be set. Kinds: Revoked with
// *standing.Dead (the link is not good), Unavailable.
func (s *Service) Reset(ctx context.Context, link string) (u *directory.User, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		_, u, _, err = s.resetting(tx, link)
		return err
	})
	if err != nil {
		return nil, err
	}
	u.Password.Hash = ""
	return u, nil
}

// FinishReset sets a new password by the link of a letter, which ends everything of
// that person. It signs nobody in. Name and password of a are not read. Kinds: Revoked
// with *standing.Dead (the link is not good), Invalid with ErrNew, Limited with
// *TooMany, Unavailable.
func (s *Service) FinishReset(ctx context.Context, link, newPassword string, a Attempt) (*store.Receipt, error) {
	var u *directory.User
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		_, u, _, err = s.resetting(tx, link)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.CheckNew(u, newPassword); err != nil {
		return nil, err
	}
	// Whoever holds a link could keep the pool busy.
	giveBack, err := s.Limits.try(u.Name, a.IP, s.now(), func() (bool, error) { return false, nil })
	if err != nil {
		return nil, err
	}
	hash, err := s.Hasher.Hash(ctx, newPassword, false)
	giveBack()
	if err != nil {
		return nil, err
	}
	var cut *store.Cut
	err = s.DB.Urgent(ctx, func(tx *store.Tx) error {
		t, u, held, err := s.resetting(tx, link)
		if err != nil {
			return err
		}
		// Before the commit the store judges once more that the link is not cut.
		tx.By(store.By{Actor: person(u, held, t.Born, a)})
		t.Used = tx.Now
		if err := tx.SaveTicket(t); err != nil {
			return err
		}
		before := u.Password.Version
		cut, err = tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error {
			if u.Password.Version != before {
				return resetOver(standing.PasswordChanged)
			}
			setPassword(u, hash, tx.Now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("reset password: %w", err)
		}
		tx.Audit(audit.Record{Action: "Reset password (self-service)", Target: store.UserParty(u)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.outcome("password reset by mail", u, nil, a.Request, nil)
	s.changed(u, a.IP)
	return s.Revoke.Counted(ctx, cut, ""), nil
}

func (s *Service) changed(u *directory.User, ip string) {
	if s.Changed != nil {
		s.Changed(u, ip)
	}
}
