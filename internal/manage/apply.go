package manage

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Change is one thing that was done, or would be done in a dry run.
type Change struct {
	Kind string // user, group, role, app, resource, provider, location, policy, directory
	Name string
	What string // a sentence
}

// ApplyReport says what Apply did or would do.
type ApplyReport struct {
	Changes   []Change
	Unchanged int // declared things that were so already
	Receipts  []*Receipt
}

// Apply makes the directory what the manifest says, in one transaction: all of
// it or nothing. What the manifest does not mention is left alone; a list that it
// mentions becomes that list. Done again it changes nothing. The password of a
// user is set at creation only. Kinds: Denied, Invalid, NotFound, Conflict,
// Revoked, Unavailable.
func (s *Service) Apply(ctx context.Context, actor directory.Actor, m *manifest.Manifest, act Act) (rep ApplyReport, err error) {
	if m == nil {
		return rep, invalid("There is nothing to apply.")
	}
	hashes := map[string]string{}
	for range 3 { // a user who was there while hashing may be gone in the transaction
		if err := s.hashNew(ctx, actor, m, act, hashes); err != nil {
			return rep, err
		}
		var unchanged int
		var done []Change
		rep.Receipts, err = s.write(ctx, actor, act, false, func(c *step) error {
			a := &applying{step: c, hashes: hashes, gained: map[directory.ResourceID]bool{}}
			if err := a.run(m); err != nil {
				return err
			}
			unchanged, done = a.unchanged, c.said
			return nil
		})
		if !errors.Is(err, errNoHash) {
			rep.Unchanged, rep.Changes = unchanged, done
			return rep, err
		}
	}
	return rep, fault.Wrap(fault.Conflict, "Somebody else is changing these users. Nothing was done; try again.", err)
}

var errNoHash = errors.New("a user to be created has no hash yet")

// hashNew makes the hashes for users who do not exist, before the transaction.
func (s *Service) hashNew(ctx context.Context, actor directory.Actor, m *manifest.Manifest, act Act, hashes map[string]string) error {
	var missing []*manifest.User
	err := s.probe(ctx, actor, act, func(c *step) error {
		missing = nil
		if len(m.Users) > 0 {
			if err := c.mayCreateUser(m.Users[0].Name); err != nil {
				return err
			}
		}
		for i := range m.Users {
			u := &m.Users[i]
			if u.Password == "" || hashes[u.Name] != "" {
				continue
			}
			if _, err := c.UserByName(u.Name); errors.Is(err, store.ErrNotFound) {
				missing = append(missing, u)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, u := range missing {
		n := declaredUser(u)
		made, err := n.user()
		if err == nil {
			err = s.checkPassword(made, string(u.Password))
		}
		if err != nil {
			return fault.Wrap(fault.KindOf(err), "User "+fault.Quote(u.Name)+": "+fault.Public(err), err)
		}
		hashes[u.Name] = "dry run"
		if act.DryRun {
			continue
		}
		if hashes[u.Name], err = s.Hash(ctx, string(u.Password)); err != nil {
			return err
		}
	}
	return nil
}

// applying is one run of Apply's transaction.
type applying struct {
	*step
	hashes    map[string]string
	gained    map[directory.ResourceID]bool // resources that changed before their turn
	unchanged int
}

// each calls f for one declared thing and counts it when nothing changed.
func (a *applying) each(kind, name string, f func() error) error {
	before := len(a.said)
	if err := f(); err != nil {
		var known *fault.Fault
		if errors.As(err, &known) && known.Kind != fault.Denied { // a refusal's sentence stands alone
			return fault.Wrap(known.Kind, kind+" "+fault.Quote(name)+": "+known.Public, err)
		}
		return err
	}
	if len(a.said) == before && !(kind == "Resource" && a.gained[directory.ResourceID(name)]) {
		a.unchanged++
	}
	return nil
}

// run goes so that what is named exists when it is named: resources, then
// applications, then what resources lose, users, groups, roles.
func (a *applying) run(m *manifest.Manifest) error {
	var todo []func() error
	add := func(kind, name string, f func() error) {
		todo = append(todo, func() error { return a.each(kind, name, f) })
	}
	if len(m.Locations)+len(m.Policies) > 0 { // before users, as the store's lock order has it
		todo = append(todo, a.HoldPolicies)
	}
	if d := m.Directory; d != nil {
		add("Directory", d.Name, func() error { _, err := a.nameDirectory(d.Domain, d.Name); return err })
	}
	if len(m.Lifecycle) > 0 { // before what it is to count for
		add("Table", "lifecycle", func() error { return a.widen(m.Lifecycle) })
	}
	for i := range m.Resources {
		r := &m.Resources[i]
		todo = append(todo, func() error { return a.resourceGains(r) })
	}
	for i := range m.Apps {
		x := &m.Apps[i]
		add("App", string(x.ID), func() error { return a.app(x) })
	}
	for i := range m.Resources {
		r := &m.Resources[i]
		add("Resource", string(r.ID), func() error { return a.resource(r) })
	}
	for i := range m.Users {
		u := &m.Users[i]
		add("User", u.Name, func() error { return a.user(u) })
	}
	for i := range m.Groups {
		g := &m.Groups[i]
		add("Group", g.Name, func() error { return a.group(g) })
	}
	for i := range m.Providers {
		p := &m.Providers[i]
		add("Provider", string(p.ID), func() error { return a.provider(p) })
	}
	for kind, all := range [][]manifest.Document{m.Locations, m.Policies} {
		for i := range all {
			d := &all[i]
			add([]string{"Location", "Policy"}[kind], d.Name, func() error { return a.document([]string{"location", "policy"}[kind], d) })
		}
	}
	for _, f := range todo {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// resourceGains creates a resource, or gives one what the file adds: it is
// there when applications name it.
func (a *applying) resourceGains(r *manifest.Resource) error {
	about := audit.Party{Kind: "resource", ID: string(r.ID)}
	old, err := a.Tx.Resource(r.ID)
	if errors.Is(err, store.ErrNotFound) {
		if err := a.allow("Add resource", about, "", role.CreateApp, role.Target{}); err != nil {
			return err
		}
		p := resourcePatch(r)
		if p.Name == nil {
			name := string(r.ID)
			p.Name = &name
		}
		_, err = a.createResource(r.ID, p)
		a.gained[r.ID] = true
		return err
	}
	if err != nil {
		return err
	}
	if err := a.allow("Update resource", about, "", role.UpdateApp, role.Target{}); err != nil {
		return err
	}
	all, p := resourcePatch(r), ResourcePatch{}
	if all.Scopes != nil {
		scopes := slices.Clone(*all.Scopes)
		for _, x := range old.Scopes {
			if !slices.ContainsFunc(scopes, func(y directory.Scope) bool { return y.Name == x.Name }) {
				scopes = append(scopes, x)
			}
		}
		if len(scopes) > len(old.Scopes) {
			p.Scopes = &scopes
		}
	}
	if all.AppRoles != nil {
		roles := slices.Clone(*all.AppRoles)
		for _, x := range old.AppRoles {
			if !slices.Contains(roles, x) {
				roles = append(roles, x)
			}
		}
		if len(roles) > len(old.AppRoles) {
			p.AppRoles = &roles
		}
	}
	changed, err := a.changeResource(old, p)
	a.gained[r.ID] = changed
	return err
}

// resource makes it exactly what the file says.
func (a *applying) resource(r *manifest.Resource) error {
	old, err := a.Tx.Resource(r.ID)
	if err != nil {
		return err
	}
	_, err = a.changeResource(old, resourcePatch(r))
	return err
}

func (a *applying) app(x *manifest.App) error {
	about := audit.Party{Kind: "app", ID: string(x.ID), Name: string(x.ID)}
	old, err := a.Tx.App(x.ID)
	if errors.Is(err, store.ErrNotFound) {
		return a.newApp(x, about)
	}
	if err != nil {
		return err
	}
	if err := a.allow(updateApp, about, "", role.UpdateApp, role.Target{}); err != nil {
		return err
	}
	now := *old
	if x.Enabled != nil && *x.Enabled != old.Enabled {
		if err := a.allow(updateApp, about, "", role.CutApp, role.Target{}); err != nil {
			return err
		}
		now.Enabled = *x.Enabled
	}
	if secrets, changed := fileSecret(a.step, old.Secrets, x.Secret); changed {
		target, err := a.appTarget(old)
		if err != nil {
			return err
		}
		if err := a.allow(updateApp, about, string(x.ID), role.UpdateAppKeys, target); err != nil {
			return err
		}
		now.Secrets = secrets
	}
	if err := a.patchApp(&now, old, appPatch(x), updateApp); err != nil {
		return err
	}
	_, err = a.saveApp(old, &now)
	return err
}

func (a *applying) newApp(x *manifest.App, about audit.Party) error {
	if err := a.allow(addApp, about, "", role.CreateApp, role.Target{}); err != nil {
		return err
	}
	app := &directory.App{ID: x.ID, Enabled: x.Enabled == nil || *x.Enabled, Object: directory.NewID[directory.App](a.Now), Created: a.Now}
	if x.Secret != "" {
		if err := a.allow(addApp, about, "", role.UpdateAppKeys, role.Target{}); err != nil {
			return err
		}
		app.Secrets, _ = fileSecret(a.step, nil, x.Secret)
	}
	p := appPatch(x)
	if p.Name == nil {
		name := string(x.ID)
		p.Name = &name
	}
	return a.createApp(app, p)
}

// filePrefix begins the ids of secrets that came from a file, so that replacing
// it there removes the one before, and none that was made elsewhere.
const filePrefix = "file-"

// fileSecret returns the secrets with the file's among them.
func fileSecret(c *step, have []directory.AppSecret, value manifest.Hidden) (secrets []directory.AppSecret, changed bool) {
	if value == "" {
		return have, false
	}
	hash, found := sha256.Sum256([]byte(value)), false
	for _, x := range have {
		same := subtle.ConstantTimeCompare(x.Hash, hash[:]) == 1 && (x.Expires.IsZero() || x.Expires.After(c.Now))
		found = found || same
		if same || !strings.HasPrefix(x.ID, filePrefix) {
			secrets = append(secrets, x)
		} else {
			changed = true
		}
	}
	if !found {
		id := filePrefix + directory.NewID[directory.AppSecret](c.Now).String()
		secrets, changed = append(secrets, storedSecret(c.Now, id, string(value))), true
	}
	return secrets, changed
}

func (a *applying) user(u *manifest.User) error {
	have, err := a.UserByName(u.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if have, err = a.newUser(u); err != nil {
			return err
		}
	case err != nil:
		return err
	case have.Service:
		return fault.New(fault.Conflict, "This name belongs to an application.")
	default:
		p := Patch{DisplayName: u.DisplayName, GivenName: u.GivenName, Surname: u.Surname, Mail: u.Mail, Nickname: u.Nickname, JobTitle: u.JobTitle,
			Department: u.Department, Office: u.Office, Mobile: u.Mobile, Language: u.Language, Enabled: u.Enabled}
		now := *have
		if err := p.apply(&now); err != nil {
			return err
		}
		if now != *have {
			if err := a.patchUser(have.ID, p, ""); err != nil {
				return err
			}
		}
	}
	if u.Roles == nil {
		return nil
	}
	return a.roles(u.Holds, directory.RoleAssignment{User: have.ID})
}

func (a *applying) newUser(u *manifest.User) (*directory.User, error) {
	if err := a.mayCreateUser(u.Name); err != nil {
		return nil, err
	}
	n := declaredUser(u)
	made, err := n.user()
	if err != nil {
		return nil, err
	}
	if u.Password != "" {
		hash := a.hashes[u.Name]
		if hash == "" {
			return nil, errNoHash
		}
		made.Password = directory.Credential{Hash: hash, Version: 1, MustChange: u.MustChange}
	}
	return made, a.createUser(made)
}

// roles makes the direct assignments of a holder exactly those wanted.
func (a *applying) roles(want []role.Role, holder directory.RoleAssignment) error {
	all, err := a.Tx.Assignments()
	if err != nil {
		return err
	}
	held := map[directory.RoleID]bool{}
	for _, x := range all {
		if x.User != holder.User || x.Group != holder.Group {
			continue
		}
		if held[x.Role] = true; slices.ContainsFunc(want, func(r role.Role) bool { return r.ID == x.Role }) {
			continue
		}
		if err := a.allow(removeRole, audit.Party{Kind: "role", ID: string(x.Role), Name: roleName(x.Role)}, "", role.UnassignRole, role.Target{ID: holder.User}); err != nil {
			return err
		}
		if err := a.unassign(x); err != nil {
			return err
		}
	}
	for _, r := range want {
		if held[r.ID] {
			continue
		}
		if err := a.allow(addRole, audit.Party{Kind: "role", ID: string(r.ID), Name: r.Name}, "", role.AssignRole, role.Target{ID: holder.User}); err != nil {
			return err
		}
		if _, err := a.assign(r, NewAssignment{Role: r.ID, User: holder.User, Group: holder.Group}); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) group(x *manifest.Group) error {
	g, err := a.groupByRef(x.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		n := NewGroup{Name: x.Name, RoleAssignable: x.RoleAssignable}
		set(&n.Description, x.Description)
		made, err := a.createGroup(n)
		if err != nil {
			return err
		}
		g = *made
	case err != nil:
		return err
	case g.RoleAssignable != x.RoleAssignable:
		return fault.New(fault.Conflict, "Whether a group can hold roles is decided when it is created. It cannot be changed.")
	default:
		if err := a.mayGroup("Update group", g, role.UpdateGroup, role.UpdateRoleGroup); err != nil {
			return err
		}
		if err := a.changeGroup(g, GroupPatch{Description: x.Description}); err != nil {
			return err
		}
	}
	if x.Members != nil {
		if err := a.members(g, x.Members); err != nil {
			return err
		}
	}
	if x.Roles == nil {
		return nil
	}
	return a.roles(x.Holds, directory.RoleAssignment{Group: g.ID})
}

// members makes a group's members exactly those named.
func (a *applying) members(g directory.Group, names []string) error {
	ids, err := a.Members(g.ID)
	if err != nil {
		return err
	}
	if err := a.mayGroup("Update group", g, role.UpdateMember, role.UpdateRoleGroup); err != nil {
		return err
	}
	want := map[directory.UserID]bool{}
	for _, n := range names {
		u, err := a.userByRef(n)
		if err != nil {
			return missing(err, "There is no user "+fault.Quote(n)+".")
		}
		want[u.ID] = true
		if !slices.Contains(ids, u.ID) {
			if err := a.addMember(g, u); err != nil {
				return err
			}
		}
	}
	for _, id := range ids {
		if want[id] {
			continue
		}
		u, err := a.liveUser(id)
		if errors.Is(err, store.ErrNotFound) {
			continue // deleted, and still remembered for a restore
		}
		if err != nil {
			return err
		}
		if err := a.removeMember(g, u); err != nil {
			return err
		}
	}
	return nil
}
