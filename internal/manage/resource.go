package manage

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

// ResourcePatch changes a resource; nil leaves alone, a list replaces the list.
type ResourcePatch struct {
	Name      *string
	Scopes    *[]directory.Scope
	AppRoles  *[]string
	TokenLife *time.Duration // of its access tokens; 0: one hour
	// Guarded says that every instance is behind a guard. Saying so, and making
	// lives longer than an hour, takes a live guard; see [Service.UpdateResource].
	Guarded *bool
	// SigningAlg of its access tokens; EncryptionKey is the public JWK to which they
	// are encrypted, empty: none.
	SigningAlg, EncryptionKey *string
	// App is the application whose registration it is part of; it is said once.
	App *directory.AppID
	// IfVersion is the version that this changes; zero: whichever there is.
	IfVersion int64
}

// errOld: somebody changed the row since whoever changes it now has seen it.
var errOld = fault.New(fault.Conflict, "Somebody else changed this since you opened it. Nothing was saved. Look at what stands here now, or save it once more to have it as you typed it.")

const noSuchResource = "There is no such resource."

func resourceParty(r *directory.Resource) audit.Party {
	return audit.Party{Kind: "resource", ID: string(r.ID), Name: r.Name}
}

// Resources lists all resources by identifier; whoever may not read them all gets
// those of applications they own. Kinds: Denied, Unavailable.
func (s *Service) Resources(ctx context.Context, actor directory.Actor) (all []*directory.Resource, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		found, err := c.Tx.Resources()
		if err != nil {
			return err
		}
		refused := role.Allowed(c.actor, role.ReadApps, role.Target{}).Err("")
		for _, r := range found {
			target, err := c.resourceTarget(r)
			if err != nil {
				return err
			}
			if role.Allowed(c.actor, role.ReadApps, target).OK {
				all = append(all, r)
			}
		}
		if len(all) == 0 {
			return refused
		}
		return nil
	})
	return all, err
}

// Resource returns a resource. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Resource(ctx context.Context, actor directory.Actor, id directory.ResourceID) (r *directory.Resource, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadApps, role.Target{}).Err(""); err != nil {
			return err
		}
		r, err = c.Tx.Resource(id)
		return missing(err, noSuchResource)
	})
	return r, err
}

// CreateResource registers a resource. Kinds: Denied, Invalid, Conflict, Unavailable.
func (s *Service) CreateResource(ctx context.Context, actor directory.Actor, id directory.ResourceID, p ResourcePatch, act Act) (r *directory.Resource, err error) {
	_, err = s.write(ctx, actor, act, false, func(c *step) error {
		if err := c.allow("Add resource", audit.Party{Kind: "resource", ID: string(id)}, "", role.CreateApp, role.Target{}); err != nil {
			return err
		}
		r, err = c.createResource(id, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c *step) createResource(id directory.ResourceID, p ResourcePatch) (*directory.Resource, error) {
	if err := c.s.resourceID(id); err != nil {
		return nil, err
	}
	exists := fault.New(fault.Conflict, "There is a resource "+fault.Quote(string(id))+" already.")
	if _, err := c.Tx.Resource(id); err == nil {
		return nil, exists
	} else if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	r := &directory.Resource{ID: id, Created: c.Now}
	if err := c.patchResource(r, &p); err != nil {
		return nil, err
	}
	if err := c.SaveResource(r); err != nil {
		return nil, err
	}
	if r.Version != 1 {
		return nil, exists
	}
	c.did("Add resource", resourceParty(r), "Registers the resource "+string(id)+".", audit.ResourceChanges(&directory.Resource{}, r)...)
	return r, nil
}

// patchResource writes p into r and checks the whole.
func (c *step) patchResource(r *directory.Resource, p *ResourcePatch) error {
	old := *r
	if p.App != nil && *p.App != old.App {
		if old.App != "" || old.Version > 0 {
			return invalid("Which registration a resource is part of is said when it is registered.")
		}
		if _, err := c.Tx.App(*p.App); err != nil {
			return missing(err, noSuchApp)
		}
		r.App = *p.App
	}
	set(&r.Name, p.Name)
	set(&r.Scopes, p.Scopes)
	set(&r.AppRoles, p.AppRoles)
	set(&r.TokenLife, p.TokenLife)
	set(&r.Guarded, p.Guarded)
	if !r.Guarded && p.TokenLife == nil {
		r.TokenLife = min(r.TokenLife, time.Hour)
	}
	if old.TokenLife > time.Hour && r.TokenLife < old.TokenLife {
		if until := c.Now.Add(old.TokenLife).UTC(); until.After(r.LongUntil) {
			r.LongUntil = until
		}
	}
	set(&r.SigningAlg, p.SigningAlg)
	set(&r.EncryptionKey, p.EncryptionKey)
	// Whoever does not know a scope's id does not change it.
	for i, x := range r.Scopes {
		if j := slices.IndexFunc(old.Scopes, func(y directory.Scope) bool { return y.Name == x.Name }); p.Scopes != nil && x.ID == "" && j >= 0 {
			r.Scopes = slices.Clone(r.Scopes)
			r.Scopes[i].ID, r.Scopes[i].Title, r.Scopes[i].AdminTitle, r.Scopes[i].AdminText, r.Scopes[i].Disabled = old.Scopes[j].ID, old.Scopes[j].Title, old.Scopes[j].AdminTitle, old.Scopes[j].AdminText, old.Scopes[j].Disabled
		}
	}
	if err := r.Check(); err != nil {
		return err
	}
	if r.Guarded && !old.Guarded || r.TokenLife > max(old.TokenLife, time.Hour) {
		return c.proveGuarded(r.ID)
	}
	return nil
}

// proveGuarded refuses unless a live guard of the resource has acknowledged what it
// was given, within its own limit of staleness. It proves that one instance is
// guarded; that all are is what the administrator says.
func (c *step) proveGuarded(id directory.ResourceID) error {
	until, err := c.GuardedUntil()
	if err != nil {
		return err
	}
	if c.Now.Before(until[id]) {
		return nil
	}
	all, err := c.Tx.Guards()
	if err != nil {
		return err
	}
	var last *store.Guard
	for _, g := range all {
		if g.Resource == id && g.Gone.IsZero() && (last == nil || g.Answered.After(last.Answered)) {
			last = g
		}
	}
	why := "No guard of it is registered. Start one, as an application that may guard it"
	switch {
	case last != nil && last.Acked == 0:
		why = "Its guard " + fault.Quote(last.Name) + " has not acknowledged anything yet"
	case last != nil:
		why = "Its guard " + fault.Quote(last.Name) + " was last answered at " + last.Answered.Format(time.RFC3339) + ", longer ago than its limit of " + last.MaxStaleness.String()
	}
	return fault.New(fault.Conflict, "There is no proof that the resource "+fault.Quote(string(id))+" is guarded. "+why+"; then try again.")
}

// UpdateResource changes what p names. A scope or application role that an
// application names stays. To call it guarded, or to make lives longer than an
// hour, a guard of it must be live (Conflict says what is missing); no longer
// guarded, lives are an hour again. Kinds: Denied, Invalid, NotFound, Conflict, Unavailable.
func (s *Service) UpdateResource(ctx context.Context, actor directory.Actor, id directory.ResourceID, p ResourcePatch, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		old, err := c.Tx.Resource(id)
		var target role.Target
		if err == nil {
			if target, err = c.resourceTarget(old); err != nil {
				return err
			}
		}
		if err := c.allow("Update resource", audit.Party{Kind: "resource", ID: string(id)}, "", role.UpdateApp, target); err != nil {
			return err
		}
		if err != nil {
			return missing(err, noSuchResource)
		}
		if p.IfVersion != 0 && p.IfVersion != old.Version {
			return errOld
		}
		_, err = c.changeResource(old, p)
		return err
	})
	return err
}

// changeResource reports whether there was something to change.
func (c *step) changeResource(old *directory.Resource, p ResourcePatch) (bool, error) {
	if err := c.s.reserved(string(old.ID)); err != nil {
		return false, err
	}
	r := *old
	if err := c.patchResource(&r, &p); err != nil {
		return false, err
	}
	changes := audit.ResourceChanges(old, &r)
	if len(changes) == 0 {
		return false, nil
	}
	for _, x := range old.Scopes {
		if !slices.ContainsFunc(r.Scopes, func(y directory.Scope) bool { return y.Name == x.Name }) {
			if err := c.unused(r.ID, x.Name, false); err != nil {
				return false, err
			}
		}
	}
	for _, x := range old.AppRoles {
		if !slices.Contains(r.AppRoles, x) {
			if err := c.unused(r.ID, x, true); err != nil {
				return false, err
			}
		}
	}
	if err := c.SaveResource(&r); err != nil {
		return false, err
	}
	if r.Version != old.Version+1 {
		return false, errMoved
	}
	var names []string
	for _, x := range changes {
		names = append(names, x.Property)
	}
	c.did("Update resource", resourceParty(&r), "Changes "+strings.Join(names, ", ")+" of the resource "+string(r.ID)+".", changes...)
	return true, nil
}

// unused refuses to take away what an application names: taking it from the
// application is what ends its tokens.
func (c *step) unused(id directory.ResourceID, scope string, appRole bool) error {
	apps, err := c.Tx.Apps()
	if err != nil {
		return err
	}
	for _, a := range apps {
		ps := a.Permissions
		if appRole {
			ps = a.AppPermissions
		}
		for _, p := range ps {
			if p.Resource == id && slices.Contains(p.Scopes, scope) {
				return fault.New(fault.Conflict, "The application "+fault.Quote(string(a.ID))+" has the permission "+fault.Quote(scope)+". Take it from the application first.")
			}
		}
	}
	return nil
}

// DeleteResource deletes a resource that no application names any more. Its
// tokens live to their end; guards go on refusing what is cut. Kinds: Denied,
// NotFound, Conflict, Unavailable.
func (s *Service) DeleteResource(ctx context.Context, actor directory.Actor, id directory.ResourceID, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		if err := c.allow("Delete resource", audit.Party{Kind: "resource", ID: string(id)}, "", role.DeleteApp, role.Target{}); err != nil {
			return err
		}
		if err := s.reserved(string(id)); err != nil {
			return err
		}
		r, err := c.Tx.Resource(id)
		if err != nil {
			return missing(err, noSuchResource)
		}
		apps, err := c.Tx.Apps()
		if err != nil {
			return err
		}
		names := func(ps []directory.Permission) bool {
			return slices.ContainsFunc(ps, func(p directory.Permission) bool { return p.Resource == id })
		}
		for _, a := range apps {
			if names(a.Permissions) || names(a.AppPermissions) || slices.Contains(a.Guards, id) {
				return fault.New(fault.Conflict, "The application "+fault.Quote(string(a.ID))+" still names this resource. Take it from the application first.")
			}
		}
		if err := c.Tx.DeleteResource(id); err != nil {
			return missing(err, noSuchResource)
		}
		c.did("Delete resource", resourceParty(r), "Deletes the resource "+string(id)+".")
		return nil
	})
	return err
}
