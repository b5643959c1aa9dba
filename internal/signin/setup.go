package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// setupLife is how long a set-up link works.
const setupLife = 24 * time.Hour

// SetupLink returns the secret of a link with which the first Global
// Administrator can be made, once. A newer link ends an older one. Kinds:
// Conflict (there is a Global Administrator), Unavailable.
func (s *Service) SetupLink(ctx context.Context) (string, error) {
	fresh := newSecret()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: directory.Actor{Operator: true}})
		old, err := tx.TicketByAlias(setupTicket, setupTicket) // locks it: a set-up under way goes first
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("read older link: %w", err)
		}
		if err := noAdministrator(tx); err != nil {
			return err
		}
		if old != nil {
			if err := tx.DeleteTicket(old.Hash); err != nil {
				return err
			}
		}
		return s.createTicket(tx, setupTicket, fresh, nil, setupLife, setupTicket)
	})
	if errors.Is(err, store.ErrDuplicate) {
		return "", fault.Wrap(fault.Conflict, "Another node has just made a set-up link.", err)
	}
	if err != nil {
		return "", err
	}
	return fresh.value, nil
}

func noAdministrator(tx *store.Tx) error {
	n, err := tx.GlobalAdministrators()
	if err == nil && n > 0 {
		err = fault.New(fault.Conflict, "This directory has a Global Administrator. Set-up is over.")
	}
	return err
}

// settingUp reads a set-up ticket and judges it.
func (s *Service) settingUp(tx *store.Tx, secret string) (*store.Ticket, error) {
	t, err := tx.Ticket(setupTicket, hashSecret(secret))
	if errors.Is(err, store.ErrNotFound) {
		return nil, linkOver()
	}
	if err != nil {
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	if err := noAdministrator(tx); err != nil {
		return nil, err
	}
	if !t.Used.IsZero() || !tx.Now.Before(t.Expires) {
		return nil, linkOver()
	}
	return t, nil
}

func linkOver() error {
	return fault.Wrap(fault.Revoked, "This set-up link is over. Start curfew again for a new one.", &standing.Dead{Causes: []standing.Cause{standing.Over}})
}

// SetUp makes the first Global Administrator and signs them in. A user name
// without a domain gets the directory's; a directory without a domain gets the
// user name's. Name and password of a are not read; the session of a.Reprove
// ends. Kinds: Revoked with *standing.Dead (the link is over), Invalid with
// ErrName or ErrNew, Conflict (there is one already, or the name is taken),
// Limited, Unavailable.
func (s *Service) SetUp(ctx context.Context, secret, username, displayName, password string, a Attempt) (*Signed, error) {
	var d store.Directory
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if _, err = s.settingUp(tx, secret); err == nil {
			d, err = tx.Directory()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	u, err := newAdministrator(username, displayName, d.Domain)
	if err != nil {
		return nil, err
	}
	if err := s.CheckNew(u, password); err != nil {
		return nil, err
	}
	hash, err := s.Hasher.Hash(ctx, password, true)
	if err != nil {
		return nil, err
	}
	var signed *Signed
	cookie := newSecret()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		// Whoever has the link has read it from the machine's console.
		tx.By(store.By{Actor: directory.Actor{Operator: true, Name: "operator", IP: a.IP, Request: a.Request}})
		t, err := s.settingUp(tx, secret)
		if err != nil {
			return err
		}
		t.Used = tx.Now
		if err := tx.SaveTicket(t); err != nil {
			return err
		}
		now, err := tx.Directory()
		switch {
		case err != nil:
			return err
		case now.Domain != d.Domain:
			return fault.New(fault.Conflict, "The directory was just given another name. Try again.")
		case now.Domain == "":
			_, domain, _ := strings.Cut(u.Name, "@")
			if now.Name == "" {
				now.Name = domain
			}
			if err := tx.NameDirectory(domain, now.Name); err != nil {
				return err
			}
		}
		u := *u
		u.ID, u.Created = directory.NewID[directory.User](tx.Now), tx.Now
		setPassword(&u, hash, tx.Now)
		if err := tx.CreateUser(&u); err != nil {
			return err
		}
		if err := tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](tx.Now), Role: role.GlobalAdministrator, User: u.ID, Created: tx.Now}); err != nil {
			return err
		}
		tx.Audit(audit.Record{Action: "Add user", Target: store.UserParty(&u)})
		tx.Audit(audit.Record{Action: "Add member to role", Target: store.UserParty(&u), Changes: []audit.Change{{Property: "Role.DisplayName", New: "Global Administrator"}}})
		held, err := tx.Held(u.ID)
		if err != nil {
			return err
		}
		signed, err = s.createSession(tx, &u, held, cookie, a)
		return err
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, fault.Wrap(fault.Conflict, "This user name is taken", errors.Join(ErrName, err))
	}
	if err != nil {
		return nil, err
	}
	if err := s.leave(ctx, a); err != nil {
		return nil, err
	}
	s.outcome("set up", signed.User, signed.Session, a.Request, nil)
	s.note("password", signed.User, signed.Session, a, 0, nil)
	return signed, nil
}

// newAdministrator is the user without id, password and birth.
func newAdministrator(username, displayName, domain string) (*directory.User, error) {
	name := strings.TrimSpace(username)
	local, at, has := strings.Cut(name, "@")
	if !has {
		at, name = domain, name+"@"+domain
	}
	unfit := func(public string) error { return fault.Wrap(fault.Invalid, public, ErrName) }
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError || r == '@'
	}
	switch {
	case local == "" || at == "" || len(name) > 256 || strings.ContainsFunc(local, odd) || strings.ContainsFunc(at, odd):
		example := domain
		if example == "" {
			example = "contoso.example"
		}
		return nil, unfit("The user name must look like grace@" + example)
	case domain != "" && !strings.EqualFold(at, domain):
		return nil, unfit("User names of this directory end in @" + domain)
	}
	shown := strings.TrimSpace(displayName)
	switch {
	case shown == "":
		shown = local
	case len(shown) > 256 || !utf8.ValidString(shown) || strings.ContainsFunc(shown, unicode.IsControl):
		return nil, fault.New(fault.Invalid, "The name is too long or holds a character that cannot be shown")
	}
	return &directory.User{Name: name, DisplayName: shown, Nickname: local, Enabled: true}, nil
}
