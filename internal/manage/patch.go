package manage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
)

// NewPassword replaces a password.
type NewPassword struct {
	Value      string // empty: one is generated
	MustChange bool   // at next sign-in
}

// Patch changes a user in one transaction; nil leaves alone.
type Patch struct {
	Name, DisplayName, GivenName, Surname, Mail, Nickname *string
	JobTitle, Department, Office, Mobile, Language        *string
	Enabled                                               *bool
	Password                                              *NewPassword
}

func (s *Service) changeUser(ctx context.Context, actor directory.Actor, id directory.UserID, p Patch, act Act) (password string, r *Receipt, err error) {
	hash := ""
	if p.Password != nil {
		if password, hash, err = s.hashFor(ctx, actor, id, p, act); err != nil {
			return "", nil, err
		}
	}
	urgent := p.Password != nil || p.Enabled != nil && !*p.Enabled
	all, err := s.write(ctx, actor, act, urgent, func(c *step) error { return c.patchUser(id, p, hash) })
	if err != nil {
		return "", nil, err
	}
	if act.DryRun {
		password = ""
	}
	return password, first(all, id.String()), nil
}

// hashFor judges, as the transaction will again, and makes the hash outside of it.
func (s *Service) hashFor(ctx context.Context, actor directory.Actor, id directory.UserID, p Patch, act Act) (password, hash string, err error) {
	var u *directory.User
	err = s.probe(ctx, actor, act, func(c *step) (err error) {
		u, err = c.liveUser(id)
		if errors.Is(err, store.ErrNotFound) {
			return c.noUser(id, p)
		}
		if err != nil {
			return err
		}
		return c.mayPatch(u, p)
	})
	if err != nil {
		return "", "", err
	}
	password = p.Password.Value
	if password == "" {
		password = generatePassword()
	}
	if err := s.checkPassword(u, password); err != nil {
		return "", "", err
	}
	if act.DryRun {
		return password, "", nil
	}
	hash, err = s.Hash(ctx, password)
	return password, hash, err
}

// probe runs a judgement before slow work; the transaction judges again.
func (s *Service) probe(ctx context.Context, actor directory.Actor, act Act, f func(*step) error) error {
	var last *step
	err := s.read(ctx, actor, func(c *step) error {
		last = c
		return f(c)
	})
	s.auditRefusal(ctx, actor, act, last, err)
	return err
}

// noUser is the answer for an id that names nobody: the refusal first, so that
// nobody without a role learns which ids exist.
func (c *step) noUser(id directory.UserID, p Patch) error {
	if err := c.mayPatch(&directory.User{ID: id, Enabled: true}, p); err != nil {
		return err
	}
	return missing(store.ErrNotFound, noSuchUser)
}

// patchUser judges and changes one user with its row locked.
func (c *step) patchUser(id directory.UserID, p Patch, hash string) error {
	var before, after directory.User
	cut, err := c.ChangeUser(id, store.UserChange{}, func(u *directory.User) error {
		if !u.Deleted.IsZero() {
			return store.ErrNotFound
		}
		if err := c.mayPatch(u, p); err != nil {
			return err
		}
		before = *u
		if err := p.apply(u); err != nil {
			return err
		}
		if p.Password != nil {
			u.Password = directory.Credential{Hash: hash, Version: u.Password.Version + 1, Changed: c.Now, MustChange: p.Password.MustChange}
		}
		after = *u
		return nil
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c.noUser(id, p)
	case err != nil:
		return taken(err, "There is a user of that name already.")
	}
	if cut != nil {
		c.cuts = append(c.cuts, cut)
	}
	if p.Password != nil {
		if err := c.remediate(&after); err != nil {
			return err
		}
	}
	c.tellUser(&before, &after, p.Password != nil)
	return nil
}

// remediate closes what was found about the risk of an account that an administrator
// has given a new password. Who gives one to themselves has proven nothing by it.
func (c *step) remediate(u *directory.User) error {
	if c.actor.User == u.ID {
		return nil
	}
	return risks.Remediate(c.Tx, &risks.Detection{User: u.ID, Rule: risk.Reset, IP: c.actor.IP, Actor: cmp.Or(c.actor.Name, string(c.actor.App)), Request: c.actor.Request,
		Why: "An administrator gave the account a new password."}, c.Now)
}

// fields pairs what a Patch names with where it goes.
func (p *Patch) fields(u *directory.User) []struct {
	property string
	to       *string
	from     *string
} {
	return []struct {
		property string
		to       *string
		from     *string
	}{
		{"userPrincipalName", &u.Name, p.Name}, {"displayName", &u.DisplayName, p.DisplayName}, {"givenName", &u.GivenName, p.GivenName}, {"surname", &u.Surname, p.Surname},
		{"mail", &u.Mail, p.Mail}, {"mailNickname", &u.Nickname, p.Nickname}, {"jobTitle", &u.JobTitle, p.JobTitle}, {"department", &u.Department, p.Department},
		{"officeLocation", &u.Office, p.Office}, {"mobilePhone", &u.Mobile, p.Mobile}, {"preferredLanguage", &u.Language, p.Language},
	}
}

func (p *Patch) apply(u *directory.User) error {
	for _, f := range p.fields(u) {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if p.Enabled != nil {
		u.Enabled = *p.Enabled
	}
	if u.Service {
		if p.Name != nil || p.Password != nil {
			return invalid("An application's identity has no password and no user name of its own.")
		}
		return directory.CheckRequired("The display name", u.DisplayName, 256)
	}
	if p.Name != nil {
		if err := directory.CheckUserName(u.Name); err != nil {
			return err
		}
	}
	return checkProfile(u)
}

// mayPatch asks for every action that p is on u.
func (c *step) mayPatch(u *directory.User, p Patch) error {
	t, err := c.target(u)
	if err != nil {
		return err
	}
	about, asked := store.UserParty(u), false
	ask := func(activity string, a role.Action) {
		asked = true
		if err == nil {
			err = c.allow(activity, about, calling(u), a, t)
		}
	}
	if p.Password != nil {
		ask("Reset user password", role.ResetPassword)
	}
	if p.Enabled != nil && *p.Enabled {
		ask("Enable account", role.EnableUser)
	} else if p.Enabled != nil {
		ask("Disable account", role.DisableUser)
	}
	if p.Name != nil && *p.Name != u.Name {
		ask("Update user", role.RenameUser)
	}
	if p.Mobile != nil && *p.Mobile != u.Mobile {
		ask("Update user", role.UpdateUserPhone)
	}
	rest := p
	rest.Name, rest.Mobile, rest.Enabled, rest.Password = nil, nil, nil, nil
	if rest != (Patch{}) || !asked {
		ask("Update user", role.UpdateUser)
	}
	return err
}

// calling is how sentences call a user.
func calling(u *directory.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Name
}

const everythingEnds = "every session, grant and access token ends"

// tellUser writes what changed between two rows of one user.
func (c *step) tellUser(old, u *directory.User, password bool) {
	about := store.UserParty(u)
	if old.Enabled && !u.Enabled {
		c.did("Disable account", about, "Disables "+u.Name+"; "+everythingEnds+".", audit.Change{Property: "accountEnabled", Old: "true", New: "false"})
	}
	if !old.Enabled && u.Enabled {
		c.did("Enable account", about, "Enables "+u.Name+"; what had ended stays ended.", audit.Change{Property: "accountEnabled", Old: "false", New: "true"})
	}
	if password {
		sentence := "Resets the password of " + u.Name + "; " + everythingEnds
		if u.Password.MustChange {
			sentence += "; a new one must be chosen at the next sign-in"
		}
		c.did("Reset user password", about, sentence+".")
	}
	if changes := profileChanges(old, u); len(changes) > 0 {
		var names []string
		for _, x := range changes {
			names = append(names, x.Property)
		}
		sentence := "Changes " + strings.Join(names, ", ") + " of " + old.Name + "."
		if old.Name != u.Name {
			sentence = "Renames " + old.Name + " to " + u.Name + "."
			if rest := slices.DeleteFunc(names, func(s string) bool { return s == "userPrincipalName" }); len(rest) > 0 {
				sentence += " Changes " + strings.Join(rest, ", ") + "."
			}
		}
		c.did("Update user", about, sentence, changes...)
	}
}

func profileChanges(old, u *directory.User) (changes []audit.Change) {
	a, b := (&Patch{}).fields(old), (&Patch{}).fields(u)
	for i := range a {
		if *a[i].to != *b[i].to {
			changes = append(changes, audit.Change{Property: a[i].property, Old: *a[i].to, New: *b[i].to})
		}
	}
	return changes
}
