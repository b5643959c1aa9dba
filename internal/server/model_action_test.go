package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

func (m *machine) user(t *rapid.T) int { return rapid.IntRange(0, len(m.users)-1).Draw(t, "user") }

// pick draws one of n, or skips the action when there is none.
func pick(t *rapid.T, n int) int {
	if n == 0 {
		t.Skip("nothing there")
	}
	return rapid.IntRange(0, n-1).Draw(t, "which")
}

// seldom skips two of three: what ends so much leaves little to look at.
func seldom(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "one in three") > 0 {
		t.Skip("not now")
	}
}

// actions are what people, applications and administrators do.
func (m *machine) actions() map[string]func(*rapid.T) {
	ctx := context.Background()
	return map[string]func(*rapid.T){
		"sign in": func(t *rapid.T) {
			for range rapid.IntRange(1, 3).Draw(t, "times") {
				u, n := m.user(t), m.node(t)
				if !m.enabled[u] {
					continue
				}
				s := m.signIn(u)
				scope := m.scope(t)
				code, err := n.code(s.s, scope)
				if m.kept(u, resourceOf(scope)) {
					if err == nil {
						t.Fatal("a code for whom a policy keeps out")
					}
					continue
				}
				m.must(t, err)
				m.redeemed(t, m.node(t), s, code, resourceOf(scope))
			}
		},
		"code":    m.code,
		"redeem":  m.redeem,
		"refresh": m.refresh,
		"retry": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			if !g.retry || !m.grantAlive(g) {
				t.Skip("nothing to retry")
			}
			tok, err := m.node(t).refresh(g, g.older[len(g.older)-1], "api://drive/Read")
			if m.kept(g.session.user, drive) {
				if err == nil {
					t.Fatal("a retry gave a token to whom a policy keeps out")
				}
				return
			}
			if fault.Is(err, fault.Unavailable) {
				t.Skip("retried too often")
			}
			if err != nil || tok.Refresh != g.current {
				t.Fatalf("retry: %v", err)
			}
			m.handOut(t, g, tok.Access)
		},
		"exchange":                           m.exchange,
		"change a policy":                    m.changePolicy,
		"change a policy while a guard asks": m.changePolicyMeanwhile,
		"revoke service": func(t *rapid.T) {
			seldom(t)
			r, err := m.node(t).revoke.App(ctx, operator, guardClient, revoke.Options{})
			m.revoked(t, r, err, nil, func() { m.cut("service") })
		},
		"revoke user in service": func(t *rapid.T) {
			u := m.user(t)
			r, err := m.node(t).revoke.UserApp(ctx, operator, m.users[u].ID, guardClient, revoke.Options{})
			m.revoked(t, r, err, func(x *mToken) bool { return x.g.session.user == u && x.g.root != nil }, func() { m.cut(fmt.Sprint("userservice:", u)) })
		},
		"reuse": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			if len(g.older) < 2 {
				t.Skip("nothing old")
			}
			was := m.grantAlive(g)
			if _, err := m.node(t).refresh(g, g.older[rapid.IntRange(0, len(g.older)-2).Draw(t, "generation")], ""); err == nil {
				t.Fatal("P2: an old refresh token gave tokens")
			}
			if was && !m.kept(g.session.user, g.first) { // whom policies refuse is not looked at further
				m.cut("grant:" + g.id)
			}
		},
		"revoke user": func(t *rapid.T) {
			u := m.user(t)
			r, err := m.node(t).revoke.User(ctx, operator, m.users[u].ID, revoke.Options{})
			m.revoked(t, r, err, func(x *mToken) bool { return x.g.session.user == u }, func() { m.cut(fmt.Sprint("user:", u)) })
		},
		"revoke session": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			r, err := m.node(t).revoke.Session(ctx, operator, s.s.ID, revoke.Options{})
			m.revoked(t, r, err, nil, func() {
				m.cut("session:" + s.s.ID.String())
				for _, g := range m.grants {
					if g.session == s {
						m.cuts["grant:"+g.id] = m.step
					}
				}
			})
		},
		"sign out": func(t *rapid.T) {
			s := m.sessions[pick(t, len(m.sessions))]
			r, err := m.node(t).revoke.SignOut(ctx, s.s.ID)
			m.revoked(t, r, err, nil, func() { m.cut("session:" + s.s.ID.String()) })
		},
		"revoke grant": func(t *rapid.T) {
			g := m.grants[pick(t, len(m.grants))]
			id, err := directory.ParseID[directory.Grant](g.id)
			m.must(t, err)
			r, err := m.node(t).revoke.Grant(ctx, operator, id, revoke.Options{})
			m.revoked(t, r, err, func(x *mToken) bool { return x.g == g }, func() { m.cut("grant:" + g.id) })
		},
		"revoke app": func(t *rapid.T) {
			seldom(t)
			r, err := m.node(t).revoke.App(ctx, operator, m.App.ID, revoke.Options{})
			m.revoked(t, r, err, nil, func() { m.cut("app") })
		},
		"revoke user in app": func(t *rapid.T) {
			u := m.user(t)
			r, err := m.node(t).revoke.UserApp(ctx, operator, m.users[u].ID, m.App.ID, revoke.Options{})
			m.revoked(t, r, err, func(x *mToken) bool { return x.g.session.user == u && x.g.root == nil }, func() { m.cut(fmt.Sprint("userapp:", u)) })
		},
		"revoke everyone": func(t *rapid.T) {
			seldom(t)
			r, err := m.node(t).revoke.Everyone(ctx, operator, revoke.Options{})
			m.revoked(t, r, err, func(*mToken) bool { return true }, func() { m.cut("all") })
		},
		"own password change": m.changePassword,
		"disable": func(t *rapid.T) {
			u := m.user(t)
			m.node(t)
			if !m.enabled[u] {
				t.Skip("disabled")
			}
			m.Disable(m.users[u])
			m.enabled[u] = false
			m.cut(fmt.Sprint("user:", u))
		},
		"enable": func(t *rapid.T) {
			u := m.user(t)
			m.node(t)
			m.Enable(m.users[u])
			m.enabled[u] = true
		},
		"take a role": func(t *rapid.T) {
			u := m.user(t)
			m.node(t)
			a := directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](m.Clock.Now()), Role: role.HelpdeskAdministrator, User: m.users[u].ID}
			m.Update(func(tx *store.Tx) error { return tx.AssignRole(a) })
			m.Update(func(tx *store.Tx) error { _, err := tx.RemoveRole(a.ID); return err })
			m.cut(fmt.Sprint("user:", u, " tokens"))
		},
		"time passes": func(t *rapid.T) {
			m.pass(t, time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds"))*time.Second)
		},
	}
}

// scope is one with a refresh token, or one that ends with its session.
func (m *machine) scope(t *rapid.T) string {
	return rapid.SampledFrom([]string{allScopes, "openid api://mail/Read", "openid offline_access api://drive/Read"}).Draw(t, "scope")
}

func (m *machine) code(t *rapid.T) {
	s := m.sessions[pick(t, len(m.sessions))]
	scope := m.scope(t)
	code, err := m.node(t).code(s.s, scope)
	if want := m.sessionAlive(s) && !m.kept(s.user, resourceOf(scope)); (err == nil) != want {
		t.Fatalf("P2: authorize in a session, which is good=%v: %v", want, err)
	}
	if err == nil {
		m.codes[code], m.opens[code] = s, resourceOf(scope)
		m.bornAt[code] = m.step
		m.order = append(m.order, code)
	}
}

func (m *machine) refresh(t *rapid.T) {
	i := pick(t, len(m.grants)+len(m.ahead))
	if i >= len(m.grants) {
		m.refreshLost(t, m.ahead[i-len(m.grants)])
		return
	}
	g := m.grants[i]
	if !g.offline {
		t.Skip("no refresh token")
	}
	tok, err := m.node(t).refresh(g, g.current, "")
	if want := m.grantAlive(g) && !m.kept(g.session.user, g.first); (err == nil) != want {
		t.Fatalf("P2: refresh of a grant, which is good=%v: %v", want, err)
	}
	if err == nil {
		g.older = append(g.older, g.current)
		g.current, g.retry = tok.Refresh, true
		m.handOut(t, g, tok.Access)
	}
}

// exchange shows the mail service a token for mail.
func (m *machine) exchange(t *rapid.T) {
	x := m.tokens[pick(t, len(m.tokens))]
	if x.lost || x.g.root != nil || x.resource != mail || !m.Clock.Now().Before(x.expires) {
		t.Skip("not one for the service")
	}
	good := m.tokenAlive(x) && m.enabled[x.g.session.user] && !m.kept(x.g.session.user, mail) && !m.kept(x.g.session.user, drive)
	tok, err := m.node(t).exchange(x.text)
	if (err == nil) != good {
		t.Fatalf("P2: exchange of a token that is alive=%v: %v", good, err)
	}
	if err != nil {
		return
	}
	i := slices.IndexFunc(m.grants, func(g *mGrant) bool { return g.root == x.g && m.grantAlive(g) })
	if i < 0 {
		i = len(m.grants)
		m.grants = append(m.grants, &mGrant{id: tok.Grant.String(), session: x.g.session, offline: true, born: m.step, current: tok.Refresh, first: drive, root: x.g})
	}
	g := m.grants[i]
	if g.id != tok.Grant.String() {
		t.Fatal("a second grant beside one that is good")
	}
	if tok.Refresh != g.current {
		g.older, g.current, g.retry = append(g.older, g.current), tok.Refresh, false
	}
	m.handOut(t, g, tok.Access)
}

// refreshLost shows a refresh token of a history that is lost, newer than its row.
func (m *machine) refreshLost(t *rapid.T, g *mGrant) {
	if _, err := m.node(t).refresh(g, g.current, ""); err == nil {
		t.Fatal("P1: a refresh token of a lost history gave tokens")
	}
	// Of a grant that is dead anyway it proves nothing.
	if m.enabled[g.session.user] && m.alive(m.restored, true, m.grantScopes(g)...) {
		m.testified = m.undetected
	}
}

func (m *machine) redeem(t *rapid.T) {
	code := m.order[pick(t, len(m.order))]
	n, s := m.node(t), m.codes[code]
	m.order = without(m.order, code)
	scopes := append(m.userScopes(s.user), "session:"+s.s.ID.String(), "app", fmt.Sprint("userapp:", s.user))
	if m.enabled[s.user] && m.alive(m.bornAt[code], false, scopes...) && !m.kept(s.user, m.opens[code]) {
		m.redeemed(t, n, s, code, m.opens[code])
	} else if _, err := n.redeem(code); err == nil {
		t.Fatal("P2: a dead code gave tokens")
	}
}

func (m *machine) changePassword(t *rapid.T) {
	s := m.sessions[pick(t, len(m.sessions))]
	m.node(t)
	was := m.sessionAlive(s)
	var live []*mGrant
	for _, g := range m.grants {
		if g.session == s && m.grantAlive(g) {
			live = append(live, g)
		}
	}
	m.Update(func(tx *store.Tx) error {
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
}

// pass lets time pass, for everybody alike.
func (m *machine) pass(t *rapid.T, d time.Duration) {
	m.quiet(t)
	m.Clock.Add(d)
	for _, g := range m.grants {
		g.retry = false // the window may be over
	}
	m.order = nil // and the codes
	m.refreshNodes(t)
}
