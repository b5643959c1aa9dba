package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// NewApp is an application to be registered. Name is required.
type NewApp struct {
	ID         directory.AppID // empty: a new GUID
	Disabled   bool
	WithSecret bool // make a secret and return it
	AppPatch
}

// AppPatch changes an application; nil leaves alone, a list replaces the list.
type AppPatch struct {
	Name, Publisher              *string
	Public, FirstParty           *bool
	DeviceCode                   *bool
	RedirectURIs, PostLogoutURIs *[]string
	Permissions, AppPermissions  *[]directory.Permission
	Guards                       *[]directory.ResourceID
	AccessTokenMinutes           *int // 0: the resource's
	// AssignmentRequired lets only people in who are assigned; see AssignApp.
	AssignmentRequired *bool
	Roles              *[]directory.AppRole
	Asks               *[]directory.Ask
	// IfVersion is the version that this changes; zero: whichever there is.
	IfVersion int64
	Protocol
}

const (
	noSuchApp  = "There is no such application."
	maxSecrets = 10
)

// errMoved: the row was changed between reading and locking it. Start over.
var errMoved = errors.New("changed meanwhile")

// Apps lists all applications by client_id, without hashes of secrets; whoever
// may not read them all gets those they own. Kinds: Denied, Unavailable.
func (s *Service) Apps(ctx context.Context, actor directory.Actor) (all []*directory.App, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		found, err := c.Tx.Apps()
		if err != nil {
			return err
		}
		refused := role.Allowed(c.actor, role.ReadApps, role.Target{}).Err("")
		for _, a := range found {
			if refused != nil {
				owned, err := c.owns(a)
				if err != nil {
					return err
				}
				if !role.Allowed(c.actor, role.ReadApps, role.Target{Owned: owned}).OK {
					continue
				}
			}
			all = append(all, shown(a))
		}
		if len(all) == 0 {
			return refused
		}
		return nil
	})
	return all, err
}

// App returns an application, without hashes of secrets. Kinds: Denied, NotFound,
// Unavailable.
func (s *Service) App(ctx context.Context, actor directory.Actor, id directory.AppID) (app *directory.App, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		a, err := c.readApp(id)
		if err == nil {
			app = shown(a)
		}
		return err
	})
	return app, err
}

// shown copies an application for the outside: the store's is shared.
func shown(a *directory.App) *directory.App {
	x := *a
	x.Secrets = slices.Clone(a.Secrets)
	for i := range x.Secrets {
		x.Secrets[i].Hash = nil
	}
	return &x
}

// CreateApp registers an application, with a first secret if asked for. Kinds:
// Denied, Invalid, NotFound (a resource or scope), Conflict, Unavailable.
func (s *Service) CreateApp(ctx context.Context, actor directory.Actor, n NewApp, act Act) (app *directory.App, secret *NewSecret, err error) {
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		a := &directory.App{ID: n.ID, Enabled: !n.Disabled, Object: directory.NewID[directory.App](c.Now), Created: c.Now}
		if a.ID == "" {
			a.ID = directory.AppID(directory.NewID[directory.App](c.Now).String())
		}
		about := audit.Party{Kind: "app", ID: string(a.ID), Name: string(a.ID)}
		if err := c.allow(addApp, about, "", role.CreateApp, role.Target{}); err != nil {
			return err
		}
		secret = nil
		if n.WithSecret {
			if err := c.allow(addApp, about, "", role.UpdateAppKeys, role.Target{}); err != nil {
				return err
			}
			x, stored, err := makeSecret(c.Now, time.Time{})
			if err != nil {
				return err
			}
			secret, a.Secrets = x, []directory.AppSecret{stored}
		}
		app = a
		return c.createApp(a, n.AppPatch)
	})
	if err != nil {
		return nil, nil, err
	}
	if act.DryRun {
		secret = nil
	}
	return shown(app), secret, nil
}

const (
	addApp    = "Add application"
	updateApp = "Update application"
	deleteApp = "Delete application"
)

// createApp fills in p, checks and inserts a.
func (c *step) createApp(a *directory.App, p AppPatch) error {
	if !directory.ValidAppID(string(a.ID)) {
		return invalid("A client_id is 1 to 255 printable ASCII characters without spaces.")
	}
	if err := c.s.reserved(string(a.ID)); err != nil {
		return err
	}
	exists := fault.New(fault.Conflict, "There is an application "+fault.Quote(string(a.ID))+" already.")
	if _, err := c.Tx.App(a.ID); err == nil {
		return exists
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := c.patchApp(a, &directory.App{}, p, addApp); err != nil {
		return err
	}
	if err := c.identity(a); err != nil {
		return err
	}
	if err := c.SaveApp(a); err != nil {
		return err
	}
	if a.Version != 1 {
		return exists
	}
	what := "Registers the application " + string(a.ID)
	if !a.Enabled {
		what += ", disabled"
	}
	c.did(addApp, store.AppParty(a), what+".", audit.AppChanges(&directory.App{}, a)...)
	return nil
}

// identity gives an application that can act as itself an identity to act as.
func (c *step) identity(a *directory.App) error {
	if !a.Principal.IsZero() || len(a.Secrets) == 0 && len(a.Keys) == 0 && a.KeysURI == "" && len(a.AppPermissions) == 0 {
		return nil
	}
	return c.makeIdentity(a)
}

func (c *step) makeIdentity(a *directory.App) error {
	// The colon keeps people's names and these apart; see directory.CheckUserName.
	u := &directory.User{Name: "app:" + string(a.ID), DisplayName: a.Name, Service: true, Enabled: true}
	if _, err := c.UserByName(u.Name); err == nil {
		u.Name += ":" + a.Object.String() // client_ids differ by case, names do not
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := c.insertUser(u); err != nil {
		return err
	}
	a.Principal = u.ID
	c.did("Add service principal", store.UserParty(u), "Gives the application "+string(a.ID)+" an identity of its own.")
	return nil
}

// UpdateApp changes what p names and returns the receipt of what that cut: taking
// permissions away ends grants and access tokens. Kinds: Denied, Invalid,
// NotFound, Conflict, Revoked, Unavailable.
func (s *Service) UpdateApp(ctx context.Context, actor directory.Actor, id directory.AppID, p AppPatch, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, false, func(c *step) error {
		old, err := c.ownApp(updateApp, id, role.UpdateApp)
		if err != nil {
			return err
		}
		if p.IfVersion != 0 && p.IfVersion != old.Version {
			return errOld
		}
		a := *old
		if err := c.patchApp(&a, old, p, updateApp); err != nil {
			return err
		}
		_, err = c.saveApp(old, &a)
		return err
	})
	return first(all, string(id)), err
}

// SetAppEnabled disables or enables an application. Disabling ends everything
// people gave it and everything it holds itself. Owners may do neither: what an
// administrator disabled stays so. Kinds as UpdateApp.
func (s *Service) SetAppEnabled(ctx context.Context, actor directory.Actor, id directory.AppID, enabled bool, act Act) (*Receipt, error) {
	action := role.UpdateApp
	if !enabled {
		action = role.CutApp
	}
	all, err := s.write(ctx, actor, act, action == role.CutApp, func(c *step) error {
		old, err := c.Tx.App(id)
		about := audit.Party{Kind: "app", ID: string(id), Name: string(id)}
		if err := c.allow(updateApp, about, "", action, role.Target{}); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		a := *old
		a.Enabled = enabled
		_, err = c.saveApp(old, &a)
		return err
	})
	return first(all, string(id)), err
}

// saveApp writes an application that was read as old in this transaction, and
// reports whether it differs.
func (c *step) saveApp(old, a *directory.App) (bool, error) {
	if err := c.identity(a); err != nil {
		return false, err
	}
	changes := audit.AppChanges(old, a)
	if len(changes) == 0 {
		return false, nil
	}
	if old.Name != a.Name && !a.Principal.IsZero() {
		_, err := c.ChangeUser(a.Principal, store.UserChange{}, func(u *directory.User) error {
			u.DisplayName = a.Name
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	if err := c.storeApp(old, a); err != nil {
		return false, err
	}
	var names []string
	for _, x := range changes {
		names = append(names, x.Property)
	}
	switch {
	case old.Enabled && !a.Enabled:
		c.did("Disable application", store.AppParty(a), "Disables the application "+string(a.ID)+"; its grants and access tokens end.", changes...)
	case !old.Enabled && a.Enabled:
		c.did("Enable application", store.AppParty(a), "Enables the application "+string(a.ID)+"; what had ended stays ended.", changes...)
	default:
		c.did(updateApp, store.AppParty(a), "Changes "+strings.Join(names, ", ")+" of the application "+string(a.ID)+".", changes...)
	}
	return true, nil
}

// storeApp writes an application that was read as old in this transaction.
func (c *step) storeApp(old, a *directory.App) error {
	c.search = true
	if err := c.SaveApp(a); err != nil {
		return err
	}
	if a.Version != old.Version+1 {
		return errMoved // what was changed here was not what is there now
	}
	return nil
}

// patchApp writes p into a and checks the whole; old is what was there before,
// to judge what is gained. It replaces slices and changes none.
func (c *step) patchApp(a, old *directory.App, p AppPatch, activity string) error {
	was := *old
	about := audit.Party{Kind: "app", ID: string(a.ID), Name: string(a.ID)}
	set(&a.Name, p.Name)
	set(&a.Publisher, p.Publisher)
	set(&a.Public, p.Public)
	set(&a.FirstParty, p.FirstParty)
	set(&a.DeviceCode, p.DeviceCode)
	set(&a.RedirectURIs, p.RedirectURIs)
	set(&a.PostLogoutURIs, p.PostLogoutURIs)
	set(&a.AccessTokenMinutes, p.AccessTokenMinutes)
	set(&a.Guards, p.Guards)
	set(&a.AssignmentRequired, p.AssignmentRequired)
	set(&a.Asks, p.Asks)
	var err error
	if p.Roles != nil {
		a.Roles = *p.Roles
		if err := c.checkRoles(a, &was); err != nil {
			return err
		}
	}
	if p.Permissions != nil {
		if a.Permissions, err = c.permissions(*p.Permissions, false); err != nil {
			return err
		}
	}
	if p.AppPermissions != nil {
		if a.AppPermissions, err = c.permissions(*p.AppPermissions, true); err != nil {
			return err
		}
		// To give an application rights of its own is to give rights.
		if gains(was.AppPermissions, a.AppPermissions) {
			if err := c.allow(activity, about, "", role.GrantAppRole, role.Target{}); err != nil {
				return err
			}
		}
	}
	// What it holds as itself, and the tokens of a resource that it guards may see
	// and exchange, are nobody's to give by owning the application.
	if !slices.Equal(a.Guards, was.Guards) || fmt.Sprint(a.AppPermissions) != fmt.Sprint(was.AppPermissions) {
		action := role.UpdateApp
		if activity == addApp {
			action = role.CreateApp
		}
		if err := c.allow(activity, about, "", action, role.Target{}); err != nil {
			return err
		}
	}
	if a.FirstParty && (!was.FirstParty || gains(was.Permissions, a.Permissions)) { // nobody is asked: that is consenting for everybody
		if err := c.allow(activity, about, "", role.GrantConsent, role.Target{}); err != nil {
			return err
		}
	}
	if err := c.patchProtocol(a, &was, &p.Protocol, activity); err != nil {
		return err
	}
	return c.checkApp(a)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// gains reports whether now holds something that old does not.
func gains(old, now []directory.Permission) bool {
	for _, p := range now {
		for _, x := range p.Scopes {
			if !slices.ContainsFunc(old, func(q directory.Permission) bool { return q.Resource == p.Resource && slices.Contains(q.Scopes, x) }) {
				return true
			}
		}
	}
	return false
}

func (c *step) checkApp(a *directory.App) error {
	if err := a.Check(); err != nil {
		return err
	}
	for _, id := range a.Guards {
		if _, err := c.Tx.Resource(id); err != nil {
			return missing(err, "There is no resource "+fault.Quote(string(id))+".")
		}
	}
	return nil
}

// DeleteApp deletes an application, its identity and its consents, and ends what
// it holds. Kinds as UpdateApp.
func (s *Service) DeleteApp(ctx context.Context, actor directory.Actor, id directory.AppID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		a, err := c.Tx.App(id)
		if !c.holdsRegistration(id) {
			if err := c.allow(deleteApp, audit.Party{Kind: "app", ID: string(id), Name: string(id)}, "", role.DeleteApp, role.Target{}); err != nil {
				return err
			}
		}
		if err != nil {
			return missing(err, noSuchApp)
		}
		c.search = true
		if err := c.endIdentity(a); err != nil {
			return err
		}
		if err := c.Tx.DeleteApp(id); err != nil {
			return missing(err, noSuchApp)
		}
		if err := c.orphan(id); err != nil {
			return err
		}
		c.did(deleteApp, store.AppParty(a), "Deletes the application "+string(id)+"; its grants and access tokens end, and a new one of that client_id inherits nothing.")
		return nil
	})
	return first(all, string(id)), err
}

// endIdentity deletes the identity that an application acts as, if it has one.
func (c *step) endIdentity(a *directory.App) error {
	if a.Principal.IsZero() {
		return nil
	}
	_, err := c.ChangeUser(a.Principal, store.UserChange{}, func(u *directory.User) error { u.Deleted = c.Now; return nil })
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
