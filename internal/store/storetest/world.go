package storetest

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// World is a store with a few people and an application in it.
type World struct {
	tb    testing.TB
	DB    *store.DB
	Clock *Clock
	Ada   *directory.User // no roles
	Grace *directory.User // Global Administrator
	App   *directory.App

	count func() *counter
}

// NewWorld opens a store on an empty database and fills it.
func NewWorld(tb testing.TB, e Engine, hooks store.Hooks) *World {
	tb.Helper()
	clock := NewClock()
	w := &World{tb: tb, Clock: clock}
	cfg := e.New(tb)(store.Config{Now: clock.Now, Sleep: clock.Add, Hooks: hooks})
	w.DB = Open(tb, cfg)
	w.count = sync.OnceValue(func() *counter { return newCounter(tb, e, cfg) })
	w.Fill()
	return w
}

// Rows says how many rows each table has, one table a line, and on SQLite first a
// number that changes with every change that somebody commits.
func (w *World) Rows() string {
	w.tb.Helper()
	return w.count().rows(w.tb)
}

// Fill creates ada, grace and the application tripboard.
func (w *World) Fill() {
	w.tb.Helper()
	w.Ada, w.Grace = Person("ada", w.Clock.Now()), Person("grace", w.Clock.Now())
	w.App = &directory.App{ID: "tripboard", Object: directory.NewID[directory.App](w.Clock.Now()), Name: "Tripboard", Enabled: true, Public: true}
	w.Update(func(tx *store.Tx) error {
		for _, u := range []*directory.User{w.Ada, w.Grace} {
			if err := tx.CreateUser(u); err != nil {
				return err
			}
		}
		err := tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.GlobalAdministrator, User: w.Grace.ID})
		if err != nil {
			return err
		}
		return tx.SaveApp(w.App)
	})
}

// Person returns a user of contoso.example with a (useless) password hash.
func Person(name string, now time.Time) *directory.User {
	return &directory.User{ID: directory.NewID[directory.User](now), Name: name + "@contoso.example", DisplayName: name, Enabled: true, Created: now,
		Password: directory.Credential{Hash: "hash of " + name, Version: 1, Changed: now}}
}

// Update runs f and fails the test on an error.
func (w *World) Update(f func(*store.Tx) error) {
	w.tb.Helper()
	if err := w.DB.Update(context.Background(), f); err != nil {
		w.tb.Fatalf("update: %v", err)
	}
}

// Read runs f and fails the test on an error.
func (w *World) Read(f func(*store.Tx) error) {
	w.tb.Helper()
	if err := w.DB.Read(context.Background(), f); err != nil {
		w.tb.Fatalf("read: %v", err)
	}
}

// Session signs a user in.
func (w *World) Session(u *directory.User) *grant.Session {
	w.tb.Helper()
	now := w.Clock.Now()
	s := &grant.Session{ID: directory.NewID[directory.Session](now), User: u.ID, Created: now, LastUsed: now, AuthTime: now, AMR: []string{"pwd"}}
	s.Cookie = sha256.Sum256(s.ID[:])
	w.Update(func(tx *store.Tx) error { return tx.CreateSession(s) })
	return s
}

// Grant gives the application a grant in a session.
func (w *World) Grant(s *grant.Session, offline bool) *grant.Grant {
	w.tb.Helper()
	now := w.Clock.Now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: s.User, App: w.App.ID, Session: s.ID, Offline: offline,
		Created: now, LastUsed: now, AuthTime: now, Scopes: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}}, State: grant.State{Generation: 1}}
	w.Update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g
}

// Made gives an application a grant made from another one.
func (w *World) Made(parent *grant.Grant, app directory.AppID) *grant.Grant {
	w.tb.Helper()
	now := w.Clock.Now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: parent.User, App: app, Session: parent.EndsWith(), Offline: true, Created: now, LastUsed: now,
		AuthTime: parent.AuthTime, Chain: parent.Below(), Scopes: parent.Scopes, State: grant.State{Generation: 1}}
	w.Update(func(tx *store.Tx) error { return tx.CreateGrant(g) })
	return g
}

// SessionAlive judges a session as the store sees it now.
func (w *World) SessionAlive(id directory.SessionID) bool {
	w.tb.Helper()
	alive := false
	w.Read(func(tx *store.Tx) error {
		s, err := tx.Session(id)
		if err != nil {
			return err
		}
		cuts, err := tx.CutsAfter(directory.Belongs(s.User, s.ID, directory.GrantID{}, "", s.Device), cutoff.Browser, s.Born)
		alive = len(cuts) == 0
		return err
	})
	return alive
}

// GrantAlive judges a grant as the store sees it now.
func (w *World) GrantAlive(id directory.GrantID) bool {
	w.tb.Helper()
	alive := false
	w.Read(func(tx *store.Tx) error {
		g, err := tx.Grant(id)
		if err != nil {
			return err
		}
		o := g.Owner()
		p, err := tx.Latest(&o, cutoff.Token)
		alive = g.Born >= p
		return err
	})
	return alive
}

// Disable disables a user and returns the line.
func (w *World) Disable(u *directory.User) *store.Cut {
	return w.change(u, func(u *directory.User) { u.Enabled = false })
}

// Enable enables a user.
func (w *World) Enable(u *directory.User) *store.Cut {
	return w.change(u, func(u *directory.User) { u.Enabled = true })
}

func (w *World) change(u *directory.User, f func(*directory.User)) (c *store.Cut) {
	w.tb.Helper()
	w.Update(func(tx *store.Tx) (err error) {
		c, err = tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { f(u); return nil })
		return err
	})
	return c
}

// Revoke revokes a user and returns the line.
func (w *World) Revoke(u *directory.User) (c *store.Cut) {
	w.tb.Helper()
	if err := w.DB.Urgent(context.Background(), func(tx *store.Tx) (err error) {
		c, _, err = tx.RevokeUser(u.ID, directory.SessionID{}, [32]byte{})
		return err
	}); err != nil {
		w.tb.Fatalf("revoke: %v", err)
	}
	return c
}
