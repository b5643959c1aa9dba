package issue_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// The model. Its clock is a step counter; a cutoff is the step of the latest
// cut of a scope, an artefact is alive when it was born at or after every one
// that covers it. That is all there is to know about revocation.
type model struct {
	step int
	cuts map[string]int // "scope:id" or "scope:id tokens" → step
}

func (m *model) cut(what string) { m.step++; m.cuts[what] = m.step }

func (m *model) alive(born int, token bool, scopes ...string) bool {
	for _, s := range append(scopes, "all") {
		if m.cuts[s] > born || token && m.cuts[s+" tokens"] > born {
			return false
		}
	}
	return true
}

type mSession struct {
	s    *grant.Session
	born int
	user int
}

type mGrant struct {
	id      string
	session *mSession
	offline bool
	born    int
	current string   // newest refresh token
	older   []string // every other, oldest first
	retry   bool     // the newest but one may still be retried
	root    *mGrant  // what the mail service made it from; nil: a sign-in gave it
}

type mToken struct {
	text string
	g    *mGrant
	born int
	lost bool
}

// machine drives the real program and the model side by side.
type machine struct {
	*model
	w        *world
	service  *issue.Client // exchanges what it is shown
	users    []*directory.User
	sessions []*mSession
	grants   []*mGrant
	tokens   []*mToken
	codes    map[string]*mSession
	bornAt   map[string]int
	enabled  []bool
	guards   []*mGuard
}

// mGuard is a guard in fifteen lines: a set, filled by asking.
type mGuard struct {
	set   cutoff.Set
	pos   cutoff.Pos
	asked time.Time
}

func (g *mGuard) ask(w *world) {
	lines, head, _, ok := w.DB.View().After(g.pos)
	if !ok {
		g.set = cutoff.Set{}
		head, _, _ = w.DB.Snapshot(context.Background(), 0, func(c cutoff.Cutoff, p cutoff.Pos) { g.set.Merge(cutoff.Line{Pos: p, Cuts: []cutoff.Cutoff{c}}) })
	}
	for _, l := range lines {
		g.set.Merge(l.Line)
	}
	g.pos, g.asked = head, w.Clock.Now()
}

func (m *machine) userScopes(i int) []string { return []string{fmt.Sprint("user:", i)} }

func (m *machine) grantScopes(g *mGrant) []string {
	if g.root != nil {
		return append(m.grantScopes(g.root), "grant:"+g.id, "service", fmt.Sprint("userservice:", g.session.user))
	}
	s := append(m.userScopes(g.session.user), "grant:"+g.id, "app", fmt.Sprint("userapp:", g.session.user))
	if !g.offline {
		s = append(s, "session:"+g.session.s.ID.String())
	}
	return s
}

func (m *machine) sessionAlive(s *mSession) bool {
	return m.enabled[s.user] && m.alive(s.born, false, append(m.userScopes(s.user), "session:"+s.s.ID.String())...)
}

func (m *machine) grantAlive(g *mGrant) bool {
	return m.enabled[g.session.user] && m.alive(g.born, true, m.grantScopes(g)...)
}

func (m *machine) tokenAlive(x *mToken) bool { return m.alive(x.born, true, m.grantScopes(x.g)...) }

var operator = directory.Actor{Operator: true}

// redeemed redeems a code that must be good.
func (m *machine) redeemed(t *rapid.T, s *mSession, code string) {
	tok, err := m.w.redeem(code)
	if err != nil {
		t.Fatalf("a good code was refused: %v", err)
	}
	g := &mGrant{id: tok.Grant.String(), session: s, offline: tok.Refresh != "", born: m.step, current: tok.Refresh}
	m.grants = append(m.grants, g)
	m.tokens = append(m.tokens, &mToken{text: tok.Access, g: g, born: m.step})
}

// TestMain makes runs of the model long enough to meet something twice.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.steps": "60", "rapid.checks": "40"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			if err := f.Value.Set(value); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

func (m *machine) actions(restore func(*machine) (lost bool)) map[string]func(*rapid.T) {
	ctx := context.Background()
	w := m.w
	user := func(t *rapid.T) int { return rapid.IntRange(0, len(m.users)-1).Draw(t, "user") }
	pick := func(t *rapid.T, n int) int {
		if n == 0 {
			t.Skip("nothing there")
		}
		return rapid.IntRange(0, n-1).Draw(t, "which")
	}
	must := func(t *rapid.T, err error) {
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	return map[string]func(*rapid.T){
		"sign in": func(t *rapid.T) {
			u := user(t)
			if !m.enabled[u] {
				t.Skip("disabled")
			}
			m.sessions = append(m.sessions, &mSession{s: w.Session(m.users[u]), born: m.step, user: u})
		},
		"code": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			scope := allScopes
			if rapid.Bool().Draw(t, "session only") {
				scope = "openid api://mail/Read"
			}
			code, err := w.code(s.s, scope)
			if (err == nil) != m.sessionAlive(s) {
				t.Fatalf("authorize in a session that is alive=%v: %v", m.sessionAlive(s), err)
			}
			if err == nil {
				m.codes[code] = s
				m.bornAt[code] = m.step
			}
		},
		"redeem": func(t *rapid.T) {
			codes := slices.Sorted(func(yield func(string) bool) {
				for c := range m.codes {
					if !yield(c) {
						return
					}
				}
			})
			code := codes[pick(t, len(codes))]
			s := m.codes[code]
			delete(m.codes, code)
			good := m.enabled[s.user] && m.alive(m.bornAt[code], false, append(m.userScopes(s.user), "session:"+s.s.ID.String(), "app", fmt.Sprint("userapp:", s.user))...)
			if good {
				m.redeemed(t, s, code)
			} else if _, err := w.redeem(code); err == nil {
				t.Fatal("a dead code gave tokens")
			}
		},
		"refresh": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			if !g.offline {
				t.Skip("no refresh token")
			}
			if g.root != nil {
				tok, err := w.refreshAs(m.service, g.current, "")
				if (err == nil) != m.grantAlive(g) {
					t.Fatalf("refresh of an exchanged grant that is alive=%v: %v", m.grantAlive(g), err)
				}
				if err == nil {
					m.tokens = append(m.tokens, &mToken{text: tok.Access, g: g, born: m.step})
				}
				return
			}
			tok, err := w.refresh(g.current, "")
			if (err == nil) != m.grantAlive(g) {
				t.Fatalf("refresh of a grant that is alive=%v: %v", m.grantAlive(g), err)
			}
			if err == nil {
				g.older = append(g.older, g.current)
				g.current, g.retry = tok.Refresh, true
				m.tokens = append(m.tokens, &mToken{text: tok.Access, g: g, born: m.step})
			}
		},
		"exchange": func(t *rapid.T) {
			x := m.tokens[pick(t, len(m.tokens))]
			a := claims(t, x.text)
			if x.lost || x.g.root != nil || a.Audience != "api://mail" || a.Expires <= w.Clock.Now().Unix() {
				t.Skip("not one for the service")
			}
			good := m.tokenAlive(x) && m.enabled[x.g.session.user]
			tok, err := w.obo(m.service, x.text, driveForMSAL)
			if (err == nil) != good {
				t.Fatalf("exchange of a token that is alive=%v: %v", good, err)
			}
			if err != nil {
				return
			}
			i := slices.IndexFunc(m.grants, func(g *mGrant) bool { return g.root == x.g && m.grantAlive(g) })
			if i < 0 {
				i = len(m.grants)
				m.grants = append(m.grants, &mGrant{id: tok.Grant.String(), session: x.g.session, offline: true, born: m.step, current: tok.Refresh, root: x.g})
			}
			g := m.grants[i]
			if g.id != tok.Grant.String() {
				t.Fatal("a second row beside one that is good")
			}
			m.tokens = append(m.tokens, &mToken{text: tok.Access, g: g, born: m.step})
		},
		"revoke service": func(t *rapid.T) {
			_, err := w.revoke.App(ctx, operator, "mail", revoke.Options{})
			must(t, err)
			m.cut("service")
		},
		"revoke user in service": func(t *rapid.T) {
			u := user(t)
			_, err := w.revoke.UserApp(ctx, operator, m.users[u].ID, "mail", revoke.Options{})
			must(t, err)
			m.cut(fmt.Sprint("userservice:", u))
		},
		"retry": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			if !g.retry || !m.grantAlive(g) {
				t.Skip("nothing to retry")
			}
			tok, err := w.refresh(g.older[len(g.older)-1], "api://drive/Read")
			if fault.Is(err, fault.Unavailable) {
				t.Skip("retried too often")
			}
			if err != nil || tok.Refresh != g.current {
				t.Fatalf("retry: %v", err)
			}
			m.tokens = append(m.tokens, &mToken{text: tok.Access, g: g, born: m.step})
		},
		"reuse": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			if len(g.older) < 2 {
				t.Skip("nothing old")
			}
			was := m.grantAlive(g)
			if _, err := w.refresh(g.older[rapid.IntRange(0, len(g.older)-2).Draw(t, "generation")], ""); err == nil {
				t.Fatal("an old refresh token gave tokens")
			}
			if was {
				m.cut("grant:" + g.id)
			}
		},
		"revoke user": func(t *rapid.T) {
			u := user(t)
			r, err := w.revoke.User(ctx, operator, m.users[u].ID, revoke.Options{})
			must(t, err)
			m.cut(fmt.Sprint("user:", u))
			m.checkReceipt(t, r.Receipt, u)
		},
		"revoke session": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			_, err := w.revoke.Session(ctx, operator, s.s.ID, revoke.Options{})
			must(t, err)
			m.cut("session:" + s.s.ID.String())
			for _, g := range m.grants {
				if g.session == s {
					m.cuts["grant:"+g.id] = m.step
				}
			}
		},
		"sign out": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			_, err := w.revoke.SignOut(ctx, s.s.ID)
			must(t, err)
			m.cut("session:" + s.s.ID.String())
		},
		"revoke grant": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			id, err := directory.ParseID[directory.Grant](g.id)
			must(t, err)
			_, err = w.revoke.Grant(ctx, operator, id, revoke.Options{})
			must(t, err)
			m.cut("grant:" + g.id)
		},
		"revoke app": func(t *rapid.T) {
			_, err := w.revoke.App(ctx, operator, w.App.ID, revoke.Options{})
			must(t, err)
			m.cut("app")
		},
		"revoke user in app": func(t *rapid.T) {
			u := user(t)
			_, err := w.revoke.UserApp(ctx, operator, m.users[u].ID, w.App.ID, revoke.Options{})
			must(t, err)
			m.cut(fmt.Sprint("userapp:", u))
		},
		"revoke everyone": func(t *rapid.T) {
			_, err := w.revoke.Everyone(ctx, operator, revoke.Options{})
			must(t, err)
			m.cut("all")
		},
		"own password change": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			was := m.sessionAlive(s)
			var live []*mGrant
			for _, g := range m.grants {
				if g.session == s && m.grantAlive(g) {
					live = append(live, g)
				}
			}
			w.Update(func(tx *store.Tx) error {
				_, err := tx.ChangeUser(s.s.User, store.UserChange{Keep: s.s.ID}, func(u *directory.User) error { u.Password.Version++; return nil })
				return err
			})
			m.cut(fmt.Sprint("user:", s.user))
			if was {
				s.born = m.step
				for _, g := range live {
					g.born = m.step
				}
			}
		},
		"disable": func(t *rapid.T) {
			u := user(t)
			if !m.enabled[u] {
				t.Skip("disabled")
			}
			w.Disable(m.users[u])
			m.enabled[u] = false
			m.cut(fmt.Sprint("user:", u))
		},
		"enable": func(t *rapid.T) {
			u := user(t)
			w.Enable(m.users[u])
			m.enabled[u] = true
		},
		"take a role": func(t *rapid.T) {
			u := user(t)
			a := directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: role.HelpdeskAdministrator, User: m.users[u].ID}
			w.Update(func(tx *store.Tx) error { return tx.AssignRole(a) })
			w.Update(func(tx *store.Tx) error { _, err := tx.RemoveRole(a.ID); return err })
			m.cut(fmt.Sprint("user:", u, " tokens"))
		},
		"time passes": func(t *rapid.T) {
			w.Clock.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			for _, g := range m.grants {
				g.retry = false // the window may be over
			}
			clear(m.codes) // and the codes
		},
		"a guard connects": func(t *rapid.T) {
			g := &mGuard{pos: -1}
			g.ask(w)
			m.guards = append(m.guards, g)
		},
		"a guard asks": func(t *rapid.T) { m.guards[pick(t, len(m.guards))].ask(w) },
		"guards all ask": func(t *rapid.T) {
			for _, g := range m.guards {
				g.ask(w)
			}
		},
		"restore a backup": func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "one in four") > 0 {
				t.Skip("it takes long")
			}
			if restore(m) {
				m.cut("all")
				for _, x := range m.tokens {
					x.lost = true // dead, and in no receipt but the era's
				}
			} else {
				// No line was lost, so no revocation was. Who holds what of the
				// rows that were lost is not followed further.
				m.tokens = nil
			}
			for i, u := range m.users { // rows are as old as the backup
				w.Read(func(tx *store.Tx) error {
					x, err := tx.User(u.ID)
					if err == nil {
						m.enabled[i] = x.Enabled
					}
					return err
				})
			}
		},
		"": m.check,
	}
}

// check compares program and model about everything there is.
func (m *machine) check(t *rapid.T) {
	for _, s := range m.sessions {
		if got := m.w.SessionAlive(s.s.ID); got != m.alive(s.born, false, append(m.userScopes(s.user), "session:"+s.s.ID.String())...) {
			t.Fatalf("session of user %d: alive=%v", s.user, got)
		}
	}
	for _, g := range m.grants {
		id, err := directory.ParseID[directory.Grant](g.id)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.w.GrantAlive(id); got != m.alive(g.born, true, m.grantScopes(g)...) {
			t.Fatalf("grant of user %d: alive=%v", g.session.user, got)
		}
	}
	head, _ := m.w.DB.View().Head()
	for _, x := range m.tokens {
		want := m.tokenAlive(x)
		if got := m.w.alive(x.text); got != want {
			t.Fatalf("access token of user %d: alive=%v in the node's view", x.g.session.user, got)
		}
		a := claims(t, x.text)
		o := a.Owner()
		for _, g := range m.guards {
			if g.pos == head && g.set.Dead(&o, a.Born, cutoff.Token) == want {
				t.Fatalf("a guard at the head says dead=%v", want)
			}
			if want && g.set.Dead(&o, a.Born, cutoff.Token) {
				t.Fatal("a guard refuses what is alive")
			}
		}
	}
}

// checkReceipt: every unexpired access token of the user is in the receipt.
func (m *machine) checkReceipt(t *rapid.T, r *store.Receipt, user int) {
	for _, x := range m.tokens {
		a := claims(t, x.text)
		if x.lost || x.g.session.user != user || a.Expires <= m.w.Clock.Now().Unix() {
			continue
		}
		if _, err := m.w.issue.Introspect(context.Background(), m.w.client, x.text); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(r.Rest.Tokens, func(o store.OutstandingAt) bool {
			return string(o.Resource) == a.Audience && o.Expires.Unix() >= a.Expires
		}) {
			t.Fatalf("receipt %s does not list a token for %s until %d: %+v", r.ID, a.Audience, a.Expires, r.Rest)
		}
	}
}

// begin gives a run people of its own; the directory is shared between runs.
func begin(t *rapid.T, w *world, service *issue.Client) *machine {
	m := &machine{model: &model{cuts: map[string]int{}}, w: w, service: service, codes: map[string]*mSession{}, bornAt: map[string]int{}}
	for i := range 3 {
		u := storetest.Person(fmt.Sprintf("p%d-%s", i, directory.NewID[directory.User](w.Clock.Now())), w.Clock.Now())
		w.Update(func(tx *store.Tx) error {
			if err := tx.CreateUser(u); err != nil {
				return err
			}
			for _, p := range w.App.Permissions {
				if err := tx.SaveConsent(directory.Consent{User: u.ID, App: w.App.ID, Resource: p.Resource, Scopes: p.Scopes}); err != nil {
					return err
				}
			}
			return tx.SaveConsent(directory.Consent{User: u.ID, App: "mail", Resource: "api://drive", Scopes: []string{"Read"}})
		})
		m.users, m.enabled = append(m.users, u), append(m.enabled, true)
		// Everybody begins with something to lose.
		x := &mSession{s: w.Session(u), user: i}
		m.sessions = append(m.sessions, x)
		for _, scope := range []string{allScopes, allScopes, "openid api://mail/Read"} {
			code, err := w.code(x.s, scope)
			if err != nil {
				t.Fatal(err)
			}
			m.redeemed(t, x, code)
		}
	}
	return m
}

func TestModel(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		var cfg store.Config
		mark := filepath.Join(t.TempDir(), "mark")
		prepare := e.New
		e.New = func(tb testing.TB) func(store.Config) store.Config {
			complete := prepare(tb)
			return func(c store.Config) store.Config {
				c.Mark = mark // on PostgreSQL too: it lies beside the master key, not in the database
				cfg = complete(c)
				return cfg
			}
		}
		w := newWorld(t, e, store.Hooks{})
		service := w.mailService()
		shut := func() {
			if err := w.DB.Close(); err != nil {
				t.Fatal(err)
			}
		}
		reopen := func() {
			w.DB = storetest.Open(t, cfg)
			w.wire()
		}
		rapid.Check(t, func(rt *rapid.T) {
			m := begin(rt, w, service)
			// The backup is as old as the run: its people are in it, what they
			// do afterwards is lost when it is put back.
			shut()
			put := storetest.Backup(t, e, cfg)
			reopen()
			kept, _ := w.DB.View().Head()
			rt.Repeat(m.actions(func(m *machine) bool {
				before, _ := w.DB.View().Head()
				shut()
				put()
				reopen()
				// Rows that the lost history made are not there any more.
				m.sessions, m.grants, m.codes = nil, nil, map[string]*mSession{}
				for _, g := range m.guards {
					g.pos = -1
					g.ask(w)
				}
				return before > kept
			}))
		})
	})
}
