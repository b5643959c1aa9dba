package manage

import (
	"context"
	"errors"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Types of the store that surfaces name without importing it.
type (
	Receipt    = store.Receipt
	UserPage   = store.UserPage
	AuditQuery = store.AuditQuery
)

// UserView is a user with what groups and roles make of it. No password hash is
// in it.
type UserView struct {
	User        *directory.User
	HasPassword bool
	Held        directory.Held
	Groups      []directory.Group
}

// NewUser is a user to be created. Name and DisplayName are required.
type NewUser struct {
	Name, DisplayName, GivenName, Surname, Mail, Nickname string
	JobTitle, Department, Office, Mobile, Language        string
	Disabled                                              bool
	Password                                              string // empty, and not Generate: none; the user cannot sign in by password
	Generate                                              bool   // make a password and return it
	MustChange                                            bool   // at first sign-in
}

const noSuchUser = "There is no such user."

// Users lists users. Password hashes are left out. Kinds: Denied, Invalid (a
// paging key that is not ours), Unavailable.
func (s *Service) Users(ctx context.Context, actor directory.Actor, q directory.UserQuery) (page UserPage, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadUsers, role.Target{}).Err(""); err != nil {
			return err
		}
		page, err = c.Users(q)
		if errors.Is(err, directory.ErrPage) {
			return fault.Wrap(fault.Invalid, "This is not a page of this list.", err)
		}
		for _, u := range page.Users {
			u.Password.Hash = ""
		}
		return err
	})
	return page, err
}

// User returns an existing user by object id or user name. Everyone may read
// themselves. Kinds: Denied, NotFound, Unavailable.
func (s *Service) User(ctx context.Context, actor directory.Actor, ref string) (view *UserView, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		u, err := c.userByRef(ref)
		var target role.Target
		if err == nil {
			target.ID = u.ID
		}
		if err := role.Allowed(c.actor, role.ReadUsers, target).Err(""); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchUser)
		}
		view = &UserView{User: u, HasPassword: u.Password.Hash != ""}
		u.Password.Hash = ""
		if view.Held, err = c.Held(u.ID); err != nil {
			return err
		}
		view.Groups, err = c.GroupsOf(u.ID)
		return err
	})
	return view, err
}

// userByRef returns an existing user; store.ErrNotFound.
func (c *step) userByRef(ref string) (*directory.User, error) {
	id, err := directory.ParseID[directory.User](ref)
	if err != nil {
		return c.UserByName(ref)
	}
	return c.liveUser(id)
}

// liveUser returns a user that is not deleted; store.ErrNotFound.
func (c *step) liveUser(id directory.UserID) (*directory.User, error) {
	u, err := c.User(id)
	if err == nil && !u.Deleted.IsZero() {
		err = store.ErrNotFound
	}
	return u, err
}

// CreateUser creates a user and returns it, with the password if one was
// generated. Kinds: Denied, Invalid, Conflict (the name is taken), Unavailable.
func (s *Service) CreateUser(ctx context.Context, actor directory.Actor, n NewUser, act Act) (u *directory.User, password string, err error) {
	if err := s.probe(ctx, actor, act, func(c *step) error { return c.mayCreateUser(n.Name) }); err != nil {
		return nil, "", err
	}
	if u, err = n.user(); err != nil {
		return nil, "", err
	}
	if n.Generate {
		password = generatePassword()
		n.Password = password
	}
	if n.Password != "" {
		if err := s.checkPassword(u, n.Password); err != nil {
			return nil, "", err
		}
		u.Password = directory.Credential{Version: 1, MustChange: n.MustChange}
		if !act.DryRun {
			if u.Password.Hash, err = s.Hash(ctx, n.Password); err != nil {
				return nil, "", err
			}
		}
	}
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		if err := c.mayCreateUser(u.Name); err != nil {
			return err
		}
		return c.createUser(u)
	})
	if err != nil {
		return nil, "", err
	}
	u.Password.Hash = ""
	if act.DryRun {
		password = ""
	}
	return u, password, nil
}

func (c *step) mayCreateUser(name string) error {
	return c.allow("Add user", audit.Party{Kind: "user", Name: name}, "", role.CreateUser, role.Target{})
}

// createUser inserts u as of now, under a new id.
func (c *step) createUser(u *directory.User) error {
	if err := c.insertUser(u); err != nil {
		return err
	}
	sentence := "Creates " + u.Name
	switch {
	case !u.Enabled:
		sentence += ", disabled"
	case u.Password.Version == 0:
		sentence += ", without a password: it cannot sign in until one is set"
	}
	c.did("Add user", store.UserParty(u), sentence+".", audit.Change{Property: "userPrincipalName", New: u.Name})
	return nil
}

func (c *step) insertUser(u *directory.User) error {
	u.ID, u.Created, u.ValidFrom = directory.NewID[directory.User](c.Now), c.Now, c.Now
	if u.Password.Version > 0 {
		u.Password.Changed = c.Now
	}
	return taken(c.Tx.CreateUser(u), "There is a user named "+fault.Quote(u.Name)+" already.")
}

// user checks n and returns the user it describes, without a password.
func (n *NewUser) user() (*directory.User, error) {
	u := &directory.User{Name: n.Name, DisplayName: n.DisplayName, GivenName: n.GivenName, Surname: n.Surname, Mail: n.Mail, Nickname: n.Nickname, JobTitle: n.JobTitle,
		Department: n.Department, Office: n.Office, Mobile: n.Mobile, Language: n.Language, Enabled: !n.Disabled}
	if u.Nickname == "" {
		u.Nickname, _, _ = strings.Cut(u.Name, "@")
	}
	if err := directory.CheckUserName(u.Name); err != nil {
		return nil, err
	}
	return u, checkProfile(u)
}

// checkProfile checks every property of a user but its name.
func checkProfile(u *directory.User) error {
	if err := directory.CheckRequired("The display name", u.DisplayName, 256); err != nil {
		return err
	}
	for _, f := range []struct {
		what, value string
		limit       int
	}{{"The given name", u.GivenName, 64}, {"The surname", u.Surname, 64}, {"The mail nickname", u.Nickname, 64}, {"The job title", u.JobTitle, 128},
		{"The department", u.Department, 64}, {"The office", u.Office, 128}, {"The mobile number", u.Mobile, 64}} {
		if err := directory.CheckText(f.what, f.value, f.limit); err != nil {
			return err
		}
	}
	if len(u.Language) > 35 || strings.Trim(u.Language, directory.Alphanumeric+"-") != "" {
		return invalid("The language is a tag such as en or de-CH.")
	}
	return directory.CheckMail(u.Mail)
}

// UpdateUser changes what p names, in one transaction, and returns the receipt
// of what that cut: nil when nothing was. Kinds: Denied, Invalid, NotFound,
// Conflict (the name is taken; the last Global Administrator), Revoked (the
// actor was cut meanwhile), Unavailable.
func (s *Service) UpdateUser(ctx context.Context, actor directory.Actor, id directory.UserID, p Patch, act Act) (*Receipt, error) {
	_, r, err := s.changeUser(ctx, actor, id, p, act)
	return r, err
}

// SetEnabled disables or enables a user. Disabling ends everything; enabling
// only lets new things be born. Kinds as UpdateUser.
func (s *Service) SetEnabled(ctx context.Context, actor directory.Actor, id directory.UserID, enabled bool, act Act) (*Receipt, error) {
	return s.UpdateUser(ctx, actor, id, Patch{Enabled: &enabled}, act)
}

// SetPassword is an administrator's reset; an empty password generates one. It
// returns the password and the receipt of what the reset ended. Kinds as UpdateUser.
func (s *Service) SetPassword(ctx context.Context, actor directory.Actor, id directory.UserID, password string, mustChange bool, act Act) (string, *Receipt, error) {
	return s.changeUser(ctx, actor, id, Patch{Password: &NewPassword{Value: password, MustChange: mustChange}}, act)
}

// DeleteUser deletes a user: the name is free at once, the id never again.
// Everything ends. Kinds as UpdateUser.
func (s *Service) DeleteUser(ctx context.Context, actor directory.Actor, id directory.UserID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		err := c.deleteUser(id, func(u *directory.User) error {
			if u.Service {
				return fault.New(fault.Conflict, "This is the identity of an application. Delete or disable the application.")
			}
			return nil
		})
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := c.allow("Delete user", audit.Party{Kind: "user", ID: id.String()}, "", role.DeleteUser, role.Target{ID: id}); err != nil {
			return err
		}
		return missing(err, noSuchUser)
	})
	return first(all, id.String()), err
}

func (c *step) deleteUser(id directory.UserID, check func(*directory.User) error) error {
	var was directory.User
	cut, err := c.ChangeUser(id, store.UserChange{}, func(u *directory.User) error {
		if !u.Deleted.IsZero() {
			return store.ErrNotFound
		}
		t, err := c.target(u)
		if err != nil {
			return err
		}
		if err := c.allow("Delete user", store.UserParty(u), calling(u), role.DeleteUser, t); err != nil {
			return err
		}
		was = *u
		u.Deleted = c.Now
		return check(u)
	})
	if err != nil {
		return err
	}
	c.cuts = append(c.cuts, cut)
	c.did("Delete user", store.UserParty(&was), "Deletes "+was.Name+"; "+everythingEnds+", and the name can be taken by somebody else.")
	return nil
}
