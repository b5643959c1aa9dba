package govern

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

var directoryParty = audit.Party{Kind: "grant", Name: "a grant"}

var operator = directory.Actor{Operator: true, Name: "operator"}

// house is the verb on a real database, with people.
type house struct {
	*Service
	manage *manage.Service
	t      *testing.T
	clock  *storetest.Clock
	ids    map[string]directory.UserID
}

// on runs f on SQLite and on PostgreSQL.
func on(t *testing.T, f func(t *testing.T, h *house)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, newHouse(t, filepath.Join(t.TempDir(), "curfew.db"))) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, newHouse(t, storetest.Postgres(t))) })
}

// newHouse has grace, a Global Administrator, and ada, whose word counts for nothing.
func newHouse(t *testing.T, url string) *house {
	t.Helper()
	if url == "" {
		url = filepath.Join(t.TempDir(), "curfew.db")
	}
	h := &house{t: t, clock: storetest.NewClock(), ids: map[string]directory.UserID{}}
	lives := grant.DefaultLifetimes()
	db := storetest.Open(t, store.Config{URL: url, Now: h.clock.Now, Sleep: h.clock.Add, Lifetimes: lives, Log: slog.New(slog.DiscardHandler)})
	h.Service = &Service{DB: db, Lifetimes: lives}
	Watch(h.Service)
	h.manage = &manage.Service{DB: db, Now: h.clock.Now, API: directory.OwnAPI, Revoke: &revoke.Service{DB: db, Log: slog.New(slog.DiscardHandler), Lifetimes: lives, Now: h.clock.Now}}
	h.person("grace", role.GlobalAdministrator)
	h.person("ada")
	for _, id := range []string{"mail", "drive"} {
		r := &directory.Resource{ID: directory.ResourceID("api://" + id), Name: strings.ToUpper(id[:1]) + id[1:], Scopes: []directory.Scope{{Name: "Use"}}, Created: h.clock.Now()}
		h.update(func(tx *store.Tx) error {
			if err := tx.SaveResource(r); err != nil {
				return err
			}
			return tx.SaveApp(&directory.App{ID: directory.AppID(id), Object: directory.NewID[directory.App](h.clock.Now()), Name: r.Name, Enabled: true, Created: h.clock.Now(), RedirectURIs: []string{"https://" + id + ".contoso.example/cb"},
				Permissions: []directory.Permission{{Resource: r.ID, Scopes: []string{"Use"}}}})
		})
		h.clock.Add(time.Millisecond)
	}
	return h
}

func (h *house) update(f func(*store.Tx) error) {
	h.t.Helper()
	h.must(h.DB.Update(h.t.Context(), f))
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// person creates somebody with a password and roles.
func (h *house) person(name string, roles ...directory.RoleID) directory.Actor {
	h.t.Helper()
	h.clock.Add(time.Millisecond)
	u := storetest.Person(name, h.clock.Now())
	h.update(func(tx *store.Tx) error { return tx.CreateUser(u) })
	h.ids[name] = u.ID
	for _, r := range roles {
		h.give(name, r)
	}
	return h.actor(name)
}

func (h *house) give(name string, r directory.RoleID) {
	h.t.Helper()
	_, err := h.manage.Assign(h.t.Context(), operator, manage.NewAssignment{User: h.ids[name], Role: r}, manage.Act{})
	h.must(err)
}

// actor is somebody at a browser, born at the head as it is now.
func (h *house) actor(name string) directory.Actor {
	h.t.Helper()
	var head cutoff.Pos
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) error { head = tx.Head; return nil }))
	id := h.ids[name]
	return directory.Actor{User: id, Name: name + "@contoso.example", Born: head, Kind: cutoff.Browser, Owner: cutoff.NewOwner(cutoff.Belongs{User: id.String()})}
}

// session opens a browser session.
func (h *house) session(name, ip string) *grant.Session {
	h.t.Helper()
	h.clock.Add(time.Second)
	now := h.clock.Now()
	s := &grant.Session{ID: directory.NewID[directory.Session](now), User: h.ids[name], Created: now, LastUsed: now, AuthTime: now, AMR: []string{"pwd"}, IP: ip, Agent: "Firefox on Linux"}
	s.Cookie = sha256.Sum256(s.ID[:])
	h.update(func(tx *store.Tx) error { return tx.CreateSession(s) })
	return s
}

// grant gives an application a grant in a session, with an access token out.
func (h *house) grant(s *grant.Session, app string) *grant.Grant {
	h.t.Helper()
	h.clock.Add(time.Second)
	now := h.clock.Now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: s.User, App: directory.AppID(app), Session: s.ID, Offline: true, Created: now, LastUsed: now, AuthTime: s.AuthTime, AMR: s.AMR,
		Scopes: []directory.Permission{{Resource: directory.ResourceID("api://" + app), Scopes: []string{"Use"}}}}
	g.State.Generation = 1
	g.State.Note(g.Scopes[0].Resource, now, now.Add(time.Hour))
	h.update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g
}

func (h *house) audits(action string) (all []audit.Record) {
	h.t.Helper()
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) error {
		found, err := tx.Audits(store.AuditQuery{Limit: 1000})
		for _, r := range found {
			if r.Action == action {
				all = append(all, r)
			}
		}
		return err
	}))
	return all
}

func (h *house) create(k Kind, doc string, how How) *Document {
	h.t.Helper()
	d, _, err := h.Create(h.t.Context(), h.actor("grace"), k, []byte(doc), how)
	h.must(err)
	return d
}

func (h *house) show(k Kind, ref string) *Document {
	h.t.Helper()
	d, err := h.Show(h.t.Context(), h.actor("grace"), k, ref)
	h.must(err)
	return d
}

// doc is a policy in Graph's form: everybody, but for what more says.
func doc(name, state, apps, more string) string {
	return fmt.Sprintf(`{"displayName":%q,"state":%q,"conditions":{"users":{"includeUsers":["All"]},"applications":{"includeApplications":[%q]},"clientAppTypes":["all"]%s`, name, state, apps, more)
}

// mfa and block end a doc.
const (
	mfa   = `,"grantControls":{"operator":"OR","builtInControls":["mfa"]}}`
	block = `,"grantControls":{"operator":"OR","builtInControls":["block"]}}`
	place = `{"@odata.type":"#microsoft.graph.ipNamedLocation","displayName":"Office","isTrusted":true,"ipRanges":[{"@odata.type":"#microsoft.graph.iPv4CidrRange","cidrAddress":"192.0.2.0/24"}]}`
)

func want(t *testing.T, err error, k fault.Kind, says ...string) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("kind %v (%v), want %v", fault.KindOf(err), err, k)
	}
	for _, s := range says {
		if !strings.Contains(fault.Public(err), s) {
			t.Errorf("%q does not say %q", fault.Public(err), s)
		}
	}
}

func has(all []string, x string) bool { return slices.Contains(all, x) }
