package manage

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

var operator = directory.Actor{Operator: true, Name: "operator"}

const api = "https://id.contoso.example/graph"

// house is a service on a real database, with people.
type house struct {
	*Service
	t   *testing.T
	ids map[string]directory.UserID
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	h := &house{t: t, ids: map[string]directory.UserID{}}
	if url == "" {
		url = filepath.Join(t.TempDir(), "curfew.db")
	}
	db := open(t, url, store.Hooks{})
	h.Service = service(db)
	return h
}

func open(t *testing.T, url string, hooks store.Hooks) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: url, Hooks: hooks, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func service(db *store.DB) *Service {
	return &Service{
		DB:     db,
		Revoke: &revoke.Service{DB: db, Log: slog.New(slog.DiscardHandler), Lifetimes: grant.DefaultLifetimes(), Now: time.Now},
		Hash: func(_ context.Context, password string) (string, error) {
			salt := make([]byte, 8)
			rand.Read(salt)
			return "$argon2id$" + base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 8, 1, 16)), nil
		},
		API: api, Reserved: []string{api},
	}
}

// engines runs f on SQLite and on PostgreSQL.
func engines(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, filepath.Join(t.TempDir(), "curfew.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, storetest.Postgres(t)) })
}

// person creates a user with roles and returns the actor that she is.
func (h *house) person(name string, roles ...directory.RoleID) directory.Actor {
	h.t.Helper()
	u, _, err := h.CreateUser(h.t.Context(), operator, NewUser{Name: name + "@contoso.example", DisplayName: strings.ToUpper(name[:1]) + name[1:]}, Act{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.ids[name] = u.ID
	for _, r := range roles {
		h.give(r, NewAssignment{Role: r, User: u.ID})
	}
	return h.actor(name)
}

func (h *house) give(r directory.RoleID, n NewAssignment) directory.AssignmentID {
	h.t.Helper()
	a, err := h.Assign(h.t.Context(), operator, n, Act{})
	if err != nil {
		h.t.Fatal(err)
	}
	return a.ID
}

// actor is somebody at a browser, born at the head as it is now.
func (h *house) actor(name string) directory.Actor {
	h.t.Helper()
	var head cutoff.Pos
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) error { head = tx.Head; return nil }))
	id := h.ids[name]
	return directory.Actor{User: id, Name: name + "@contoso.example", Born: head, Kind: cutoff.Browser, Owner: cutoff.NewOwner(cutoff.Belongs{User: id.String()})}
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) user(name string) *directory.User {
	h.t.Helper()
	var u *directory.User
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { u, err = tx.User(h.ids[name]); return err }))
	return u
}

func (h *house) head() (pos cutoff.Pos) {
	h.t.Helper()
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) error { pos = tx.Head; return nil }))
	return pos
}

func (h *house) audits(target string) (all []audit.Record) {
	h.t.Helper()
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.Audits(store.AuditQuery{Target: target, Limit: 1000})
		return err
	}))
	return all
}

// dead reports whether something of the user born at pos is dead.
func (h *house) dead(name string, pos cutoff.Pos, k cutoff.Kind) bool {
	h.t.Helper()
	o := cutoff.NewOwner(cutoff.Belongs{User: h.ids[name].String()})
	var p cutoff.Pos
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { p, err = tx.Latest(&o, k); return err }))
	return pos < p
}

func want(t *testing.T, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("kind %v (%v), want %v", fault.KindOf(err), err, k)
	}
}

func ptr[T any](v T) *T { return &v }

// Every exported method, called by somebody without any role about somebody
// else, is refused; one that is not in this list fails the test.
func TestPowerless(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("ada", role.GlobalAdministrator)
	mallory := h.person("mallory")
	ada := h.ids["ada"]
	g, err := h.CreateGroup(ctx, operator, NewGroup{Name: "admins", RoleAssignable: true}, Act{})
	h.must(err)
	_, err = h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail"), Scopes: &[]directory.Scope{{Name: "Mail.Read"}}}, Act{})
	h.must(err)
	_, sec, err := h.CreateApp(ctx, operator, NewApp{ID: "mail", WithSecret: true, AppPatch: AppPatch{Name: ptr("Mail")}}, Act{})
	h.must(err)
	read := []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}}
	_, err = h.GrantConsent(ctx, operator, "mail", read, Act{})
	h.must(err)
	as, err := h.Assignments(ctx, operator, AssignmentQuery{User: ada})
	h.must(err)
	manifest, err := manifest.Parse(strings.NewReader("[[user]]\nname='eve@contoso.example'\n"), manifest.Options{})
	h.must(err)
	e := func(_ any, err error) error { return err }
	calls := map[string]func(a directory.Actor, act Act) error{
		"Users":    func(a directory.Actor, _ Act) error { return e(h.Users(ctx, a, directory.UserQuery{})) },
		"User":     func(a directory.Actor, _ Act) error { return e(h.Service.User(ctx, a, ada.String())) },
		"Groups":   func(a directory.Actor, _ Act) error { return e(h.Groups(ctx, a)) },
		"Group":    func(a directory.Actor, _ Act) error { return e(h.Group(ctx, a, "admins")) },
		"Apps":     func(a directory.Actor, _ Act) error { return e(h.Apps(ctx, a)) },
		"App":      func(a directory.Actor, _ Act) error { return e(h.App(ctx, a, "mail")) },
		"Audits":   func(a directory.Actor, _ Act) error { return e(h.Audits(ctx, a, AuditQuery{})) },
		"Consents": func(a directory.Actor, _ Act) error { return e(h.Consents(ctx, a, ada)) },

		"Definitions": func(a directory.Actor, _ Act) error { return e(h.Definitions(ctx, a)) },
		"Assignments": func(a directory.Actor, _ Act) error { return e(h.Assignments(ctx, a, AssignmentQuery{})) },
		"Assignment":  func(a directory.Actor, _ Act) error { return e(h.Assignment(ctx, a, as[0].ID)) },
		"Resources":   func(a directory.Actor, _ Act) error { return e(h.Resources(ctx, a)) },
		"Resource":    func(a directory.Actor, _ Act) error { return e(h.Resource(ctx, a, "api://mail")) },

		"CreateUser": func(a directory.Actor, act Act) error {
			_, _, err := h.CreateUser(ctx, a, NewUser{Name: "eve@contoso.example", DisplayName: "Eve"}, act)
			return err
		},
		"UpdateUser": func(a directory.Actor, act Act) error { return e(h.UpdateUser(ctx, a, ada, Patch{}, act)) },
		"SetEnabled": func(a directory.Actor, act Act) error { return e(h.SetEnabled(ctx, a, ada, false, act)) },
		"DeleteUser": func(a directory.Actor, act Act) error { return e(h.DeleteUser(ctx, a, ada, act)) },
		"SetPassword": func(a directory.Actor, act Act) error {
			_, _, err := h.SetPassword(ctx, a, ada, "", true, act)
			return err
		},
		"CreateGroup": func(a directory.Actor, act Act) error { return e(h.CreateGroup(ctx, a, NewGroup{Name: "x"}, act)) },
		"UpdateGroup": func(a directory.Actor, act Act) error {
			return h.UpdateGroup(ctx, a, g.ID, GroupPatch{Name: ptr("y")}, act)
		},
		"DeleteGroup": func(a directory.Actor, act Act) error { return e(h.DeleteGroup(ctx, a, g.ID, act)) },
		"AddMember":   func(a directory.Actor, act Act) error { return h.AddMember(ctx, a, g.ID, a.User, act) },
		"RemoveMember": func(a directory.Actor, act Act) error {
			return e(h.RemoveMember(ctx, a, g.ID, ada, act))
		},
		"Assign": func(a directory.Actor, act Act) error {
			return e(h.Assign(ctx, a, NewAssignment{Role: role.GlobalAdministrator, User: a.User}, act))
		},
		"Unassign": func(a directory.Actor, act Act) error { return e(h.Unassign(ctx, a, as[0].ID, act)) },
		"CreateApp": func(a directory.Actor, act Act) error {
			_, _, err := h.CreateApp(ctx, a, NewApp{ID: "eve"}, act)
			return err
		},
		"UpdateApp":     func(a directory.Actor, act Act) error { return e(h.UpdateApp(ctx, a, "mail", AppPatch{}, act)) },
		"SetAppEnabled": func(a directory.Actor, act Act) error { return e(h.SetAppEnabled(ctx, a, "mail", false, act)) },
		"DeleteApp":     func(a directory.Actor, act Act) error { return e(h.DeleteApp(ctx, a, "mail", act)) },
		"AddSecret":     func(a directory.Actor, act Act) error { return e(h.AddSecret(ctx, a, "mail", time.Time{}, act)) },
		"RotateSecret": func(a directory.Actor, act Act) error {
			_, _, err := h.RotateSecret(ctx, a, "mail", time.Time{}, 0, act)
			return err
		},
		"RemoveSecret": func(a directory.Actor, act Act) error { return e(h.RemoveSecret(ctx, a, "mail", sec.ID, act)) },
		"AddNamedSecret": func(a directory.Actor, act Act) error {
			return e(h.AddNamedSecret(ctx, a, "mail", "x", time.Time{}, act))
		},
		"Together": func(a directory.Actor, act Act) error {
			return e(h.Together(ctx, a, act, func(s *Service) error { return e(s.UpdateApp(ctx, a, "mail", AppPatch{}, act)) }))
		},
		"GiveIdentity": func(a directory.Actor, act Act) error { return h.GiveIdentity(ctx, a, "mail", act) },
		"TakeIdentity": func(a directory.Actor, act Act) error { return e(h.TakeIdentity(ctx, a, "mail", act)) },
		"GrantAppPermission": func(a directory.Actor, act Act) error {
			return h.GrantAppPermission(ctx, a, "mail", "api://mail", "Mail.All", act)
		},
		"RemoveAppPermission": func(a directory.Actor, act Act) error {
			return e(h.RemoveAppPermission(ctx, a, "mail", "api://mail", "Mail.All", act))
		},
		"GrantConsentFor": func(a directory.Actor, act Act) error {
			return e(h.GrantConsentFor(ctx, a, a.User, "mail", read, act))
		},
		"WithdrawConsentAt": func(a directory.Actor, act Act) error {
			return e(h.WithdrawConsentAt(ctx, a, ada, "mail", "api://mail", act))
		},
		"Owners":         func(a directory.Actor, _ Act) error { return e(h.Owners(ctx, a, "mail")) },
		"AddOwner":       func(a directory.Actor, act Act) error { return h.AddOwner(ctx, a, "mail", a.User, act) },
		"RemoveOwner":    func(a directory.Actor, act Act) error { return h.RemoveOwner(ctx, a, "mail", ada, act) },
		"AppAssignments": func(a directory.Actor, _ Act) error { return e(h.AppAssignments(ctx, a, "mail")) },
		"AppAssignmentsOf": func(a directory.Actor, _ Act) error {
			return e(h.AppAssignmentsOf(ctx, a, ada))
		},
		"AssignApp": func(a directory.Actor, act Act) error {
			return e(h.AssignApp(ctx, a, "mail", NewAppAssignment{User: a.User}, act))
		},
		"UnassignApp": func(a directory.Actor, act Act) error {
			return e(h.UnassignApp(ctx, a, "mail", directory.AppAssignmentID{1}, act))
		},
		"CreateResource": func(a directory.Actor, act Act) error {
			return e(h.CreateResource(ctx, a, "api://eve", ResourcePatch{}, act))
		},
		"UpdateResource": func(a directory.Actor, act Act) error {
			return h.UpdateResource(ctx, a, "api://mail", ResourcePatch{}, act)
		},
		"DeleteResource": func(a directory.Actor, act Act) error { return h.DeleteResource(ctx, a, "api://mail", act) },
		"GrantConsent":   func(a directory.Actor, act Act) error { return e(h.GrantConsent(ctx, a, "mail", read, act)) },
		"Named":          func(a directory.Actor, _ Act) error { return e(h.Named(ctx, a, "mail", a.User.String())) },
		"ConsentsTo": func(a directory.Actor, _ Act) error {
			_, _, err := h.ConsentsTo(ctx, a, "mail", directory.UserID{}, 10)
			return err
		},
		"WithdrawConsent": func(a directory.Actor, act Act) error {
			return e(h.WithdrawConsent(ctx, a, directory.UserID{}, "mail", act))
		},
		"NameDirectory": func(a directory.Actor, act Act) error { return h.NameDirectory(ctx, a, "eve.example", "Eve", act) },
		"Settings":      func(a directory.Actor, _ Act) error { return e(h.Settings(ctx, a)) },
		"SetSetting": func(a directory.Actor, act Act) error {
			return h.SetSetting(ctx, a, "lifecycle.role_removed", "everything", act)
		},
		"Import": func(a directory.Actor, act Act) error {
			return e(h.Import(ctx, a, strings.NewReader("userPrincipalName\n"), ImportOptions{DryRun: act.DryRun}))
		},
		"Apply": func(a directory.Actor, act Act) error { return e(h.Apply(ctx, a, manifest, act)) },
	}
	reads := map[string]bool{"Users": true, "User": true, "Groups": true, "Group": true, "Apps": true, "App": true, "Audits": true, "Consents": true,
		"Definitions": true, "Assignments": true, "Assignment": true, "Resources": true, "Resource": true,
		"Owners": true, "AppAssignments": true, "AppAssignmentsOf": true, "Settings": true, "ConsentsTo": true, "Named": true}
	refusals := func() (n int) {
		for _, r := range h.audits("") {
			if r.Result == audit.Refused {
				n++
			}
		}
		return n
	}
	methods := reflect.TypeFor[*Service]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		call := calls[name]
		if call == nil {
			t.Errorf("%s is not tested with a powerless actor", name)
			continue
		}
		head, before := h.head(), refusals()
		want(t, call(mallory, Act{DryRun: true}), fault.Denied)
		if refusals() != before {
			t.Errorf("%s: a dry run was audited", name)
		}
		err := call(mallory, Act{})
		want(t, err, fault.Denied)
		if t.Failed() {
			t.Fatalf("%s: %v", name, err)
		}
		if n := refusals() - before; n != 1 && !reads[name] || n != 0 && reads[name] {
			t.Errorf("%s: %d refusals audited", name, n)
		}
		want(t, call(directory.Actor{}, Act{}), fault.Denied)
		// Roles that a surface remembers are not roles that the directory gives.
		stale := mallory
		stale.Held.Roles = []directory.RoleID{role.GlobalAdministrator}
		want(t, call(stale, Act{}), fault.Denied)
		if h.head() != head {
			t.Errorf("%s: a refusal wrote to the ledger", name)
		}
	}
}

// A refusal says nothing about whether the id exists.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	mallory, ada := h.person("mallory"), h.person("ada", role.GlobalAdministrator)
	none, noGroup := directory.NewID[directory.User](time.Now()), directory.NewID[directory.Group](time.Now())
	for _, c := range []struct {
		actor directory.Actor
		kind  fault.Kind
	}{{mallory, fault.Denied}, {ada, fault.NotFound}} {
		_, err := h.Service.User(ctx, c.actor, none.String())
		want(t, err, c.kind)
		_, err = h.Service.User(ctx, c.actor, "nobody@contoso.example")
		want(t, err, c.kind)
		_, err = h.SetEnabled(ctx, c.actor, none, false, Act{})
		want(t, err, c.kind)
		_, _, err = h.SetPassword(ctx, c.actor, none, "", true, Act{})
		want(t, err, c.kind)
		_, err = h.DeleteUser(ctx, c.actor, none, Act{})
		want(t, err, c.kind)
		_, err = h.DeleteGroup(ctx, c.actor, noGroup, Act{})
		want(t, err, c.kind)
		_, err = h.Group(ctx, c.actor, "none")
		want(t, err, c.kind)
		_, err = h.Unassign(ctx, c.actor, directory.AssignmentID(none), Act{})
		want(t, err, c.kind)
		_, err = h.DeleteApp(ctx, c.actor, "none", Act{})
		want(t, err, c.kind)
		_, err = h.AddSecret(ctx, c.actor, "none", time.Time{}, Act{})
		want(t, err, c.kind)
		want(t, h.DeleteResource(ctx, c.actor, "api://none", Act{}), c.kind)
		_, err = h.WithdrawConsent(ctx, c.actor, none, "none", Act{})
		want(t, err, c.kind)
	}
}

func TestUserLife(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		h.person("gail", role.GlobalAdministrator)
		grace := h.person("grace", role.UserAdministrator)
		u, pw, err := h.CreateUser(ctx, grace, NewUser{Name: "ada@contoso.example", DisplayName: "Ada Lovelace", Generate: true, MustChange: true}, Act{})
		h.must(err)
		if len(pw) != 19 || u.Password.Hash != "" || u.Nickname != "ada" {
			t.Errorf("%q %+v", pw, u)
		}
		h.ids["ada"] = u.ID
		if x := h.user("ada"); !x.Password.MustChange || x.Password.Version != 1 || !strings.HasPrefix(x.Password.Hash, "$argon2id$") {
			t.Errorf("%+v", x.Password)
		}
		_, _, err = h.CreateUser(ctx, grace, NewUser{Name: "ADA@Contoso.example", DisplayName: "Ada"}, Act{})
		want(t, err, fault.Conflict)

		// A profile edit ends nothing; a rename keeps the id.
		head := h.head()
		r, err := h.UpdateUser(ctx, grace, u.ID, Patch{JobTitle: ptr("Analyst"), Name: ptr("countess@contoso.example")}, Act{})
		h.must(err)
		if r != nil || h.head() != head || h.user("ada").Name != "countess@contoso.example" {
			t.Errorf("%+v %d %+v", r, h.head(), h.user("ada"))
		}
		view, err := h.Service.User(ctx, grace, "Countess@contoso.example")
		h.must(err)
		if view.User.ID != u.ID || view.User.JobTitle != "Analyst" || !view.HasPassword || view.User.Password.Hash != "" {
			t.Errorf("%+v", view)
		}

		for _, c := range []struct {
			cause standing.Cause
			act   func() (*store.Receipt, error)
		}{
			{standing.PasswordReset, func() (*store.Receipt, error) {
				_, r, err := h.SetPassword(ctx, grace, u.ID, "correct horse battery", true, Act{Reason: "lost"})
				return r, err
			}},
			{standing.Disabled, func() (*store.Receipt, error) { return h.SetEnabled(ctx, grace, u.ID, false, Act{Reason: "lost"}) }},
		} {
			born := h.head()
			r, err := c.act()
			h.must(err)
			if r == nil || r.Cause != c.cause || r.Target.ID != u.ID.String() || r.Reason != "lost" || r.Rest == nil || r.Actor.ID != grace.User.String() {
				t.Fatalf("%s: %+v", c.cause, r)
			}
			if !h.dead("ada", born, cutoff.Browser) || h.dead("ada", r.Pos, cutoff.Token) {
				t.Errorf("%s: not cut, or cut for ever", c.cause)
			}
			if a := h.audits(u.ID.String())[0]; a.Receipt != r.ID || a.Pos != r.Pos || a.Actor.ID != grace.User.String() {
				t.Errorf("%s: %+v", c.cause, a)
			}
		}
		// Disabling the disabled changes nothing.
		head = h.head()
		r, err = h.SetEnabled(ctx, grace, u.ID, false, Act{})
		h.must(err)
		if r != nil || h.head() != head {
			t.Errorf("%+v", r)
		}
		_, err = h.SetEnabled(ctx, grace, u.ID, true, Act{})
		h.must(err)

		born := h.head()
		r, err = h.DeleteUser(ctx, grace, u.ID, Act{})
		h.must(err)
		if r.Cause != standing.Deleted || !h.dead("ada", born, cutoff.Browser) {
			t.Errorf("%+v", r)
		}
		_, err = h.Service.User(ctx, grace, u.ID.String())
		want(t, err, fault.NotFound)
		_, err = h.SetEnabled(ctx, grace, u.ID, true, Act{})
		want(t, err, fault.NotFound)
		again, _, err := h.CreateUser(ctx, grace, NewUser{Name: "countess@contoso.example", DisplayName: "Another"}, Act{})
		h.must(err)
		if again.ID == u.ID {
			t.Error("an id was used again")
		}
	})
}

// One PATCH that would reset, disable and rename is judged for each of them,
// and done or refused as a whole.
func TestPatchIsJudgedForEachPart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	helpdesk := h.person("helen", role.HelpdeskAdministrator)
	h.person("ada")
	id := h.ids["ada"]
	_, err := h.UpdateUser(ctx, helpdesk, id, Patch{Password: &NewPassword{}}, Act{})
	h.must(err)
	for _, p := range []Patch{
		{Password: &NewPassword{}, Enabled: ptr(false)},
		{Password: &NewPassword{}, Name: ptr("x@contoso.example")},
		{Password: &NewPassword{}, Mobile: ptr("+41")},
		{Password: &NewPassword{}, JobTitle: ptr("x")},
	} {
		version := h.user("ada").Password.Version
		_, err := h.UpdateUser(ctx, helpdesk, id, p, Act{})
		want(t, err, fault.Denied)
		if u := h.user("ada"); u.Password.Version != version || !u.Enabled {
			t.Errorf("%+v: half was done", p)
		}
	}
	// An administrator out of reach, with the missing role named.
	h.person("gail", role.GlobalAdministrator)
	ua := h.person("uma", role.UserAdministrator)
	_, err = h.SetEnabled(ctx, ua, h.ids["gail"], false, Act{})
	want(t, err, fault.Denied)
	if s := fault.Public(err); !strings.Contains(s, "Privileged Authentication Administrator") || !strings.Contains(s, "Gail holds Global Administrator") {
		t.Error(s)
	}
	if a := h.audits(h.ids["gail"].String())[0]; a.Result != audit.Refused || a.Action != "Disable account" || a.Elaborate != fault.Public(err) {
		t.Errorf("%+v", a)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	h.person("ada")
	var said []string
	act := Act{DryRun: true, Effects: &said}
	r, err := h.UpdateUser(ctx, operator, h.ids["ada"], Patch{Enabled: ptr(false), Name: ptr("x@contoso.example")}, act)
	h.must(err)
	if r != nil || !h.user("ada").Enabled || len(said) != 2 || said[0] != "Disables x@contoso.example; every session, grant and access token ends." {
		t.Errorf("%v %q", r, said)
	}
	_, err = h.DeleteUser(ctx, operator, h.ids["gail"], act)
	want(t, err, fault.Conflict)
	_, err = h.SetEnabled(ctx, operator, h.ids["gail"], false, act)
	want(t, err, fault.Conflict)
	if _, _, err := h.CreateUser(ctx, operator, NewUser{Name: "eve@contoso.example", DisplayName: "Eve", Generate: true}, act); err != nil {
		t.Error(err)
	}
	_, err = h.Service.User(ctx, operator, "eve@contoso.example")
	want(t, err, fault.NotFound)
	said = nil
	_, err = h.SetEnabled(ctx, operator, h.ids["ada"], false, Act{Effects: &said})
	h.must(err)
	if len(said) != 1 || h.user("ada").Enabled {
		t.Errorf("%q", said)
	}
}

// An administrator who was cut a moment ago changes nothing any more.
func TestActorCutMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	gail := h.person("gail", role.GlobalAdministrator)
	h.person("ada")
	_, err := h.Revoke.User(t.Context(), operator, gail.User, revoke.Options{})
	h.must(err)
	_, err = h.SetEnabled(t.Context(), gail, h.ids["ada"], false, Act{})
	want(t, err, fault.Revoked)
	if !h.user("ada").Enabled {
		t.Error("disabled")
	}
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("ada")
	_, _, err := h.SetPassword(ctx, operator, h.ids["ada"], "short", false, Act{})
	want(t, err, fault.Invalid)
	_, _, err = h.CreateUser(ctx, operator, NewUser{Name: "eve@contoso.example", DisplayName: "Eve", Password: "short"}, Act{})
	want(t, err, fault.Invalid)
	h.CheckPassword = func(u *directory.User, password string) error {
		if u.Name != "ada@contoso.example" {
			t.Errorf("asked about %s", u.Name)
		}
		return fault.New(fault.Invalid, "no")
	}
	_, _, err = h.SetPassword(ctx, operator, h.ids["ada"], "correct horse battery", false, Act{})
	want(t, err, fault.Invalid)
	h.CheckPassword, h.Hash = nil, func(context.Context, string) (string, error) { return "", errors.New("no") }
	if _, _, err = h.SetPassword(ctx, operator, h.ids["ada"], "", false, Act{}); err == nil || h.user("ada").Password.Version != 0 {
		t.Error("a password without a hash")
	}
}
