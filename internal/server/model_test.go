package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
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
	current string               // newest refresh token
	older   []string             // every other, oldest first
	retry   bool                 // the newest but one may still be retried
	first   directory.ResourceID // what it opens if nothing is named
	root    *mGrant              // what the mail service made it from; nil: a sign-in gave it
}

type mToken struct {
	text     string
	g        *mGrant
	born     int
	resource directory.ResourceID
	expires  time.Time
	lost     bool       // with the history it was born in
	death    cutoff.Pos // the ledger's head when it was dead; 0: alive
	single   bool       // the line there is what killed it
}

// machine drives the real program and the model side by side: people,
// applications and administrators on the nodes, and real guards that follow the
// real feed over a network that the machine breaks.
type machine struct {
	*model
	*site
	users    []*directory.User
	sessions []*mSession
	grants   []*mGrant
	tokens   []*mToken
	order    []string // codes not redeemed, the oldest first
	codes    map[string]*mSession
	opens    map[string]directory.ResourceID // each code
	bornAt   map[string]int
	enabled  []bool
	guards   []*mGuard
	receipts []*mReceipt
	rule     mRule

	backup     *backup
	head       cutoff.Pos // the ledger's, before the action
	eras       int        // since the run began
	undetected bool       // history was lost and nobody has said so
	testified  bool       // somebody who remembers it was heard since
	restored   int        // step of the last restore
	ahead      []*mGrant  // used in a history that is lost: their tokens are ahead of their rows
}

func (m *machine) must(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
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

func (m *machine) tokenAlive(x *mToken) bool {
	return !x.lost && m.alive(x.born, true, m.grantScopes(x.g)...)
}

// tokensMax bounds the access tokens that are shown to everybody at every step:
// the newest ones are.
const tokensMax = 24

// handOut notes an access token that was given away.
func (m *machine) handOut(t fataler, g *mGrant, text string) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	a := &issue.Access{}
	if err == nil {
		err = json.Unmarshal(b, a)
	}
	m.must(t, err)
	m.tokens = append(m.tokens, &mToken{text: text, g: g, born: m.step, resource: directory.ResourceID(a.Audience), expires: time.Unix(a.Expires, 0)})
	if len(m.tokens) > tokensMax {
		m.tokens = slices.Clone(m.tokens[1:])
	}
}

// redeemed redeems a code that must be good.
func (m *machine) redeemed(t fataler, n *node, s *mSession, code string, first directory.ResourceID) {
	t.Helper()
	tok, err := n.redeem(code)
	if err != nil {
		t.Fatalf("a good code was refused: %v", err)
	}
	g := &mGrant{id: tok.Grant.String(), session: s, offline: tok.Refresh != "", born: m.step, current: tok.Refresh, first: first}
	m.grants = append(m.grants, g)
	m.handOut(t, g, tok.Access)
}

// signIn makes a session.
func (m *machine) signIn(u int) *mSession {
	s := &mSession{s: m.Session(m.users[u]), born: m.step, user: u}
	m.sessions = append(m.sessions, s)
	return s
}

// node picks who serves a request; it writes there, whatever it has heard.
func (m *machine) node(t *rapid.T) *node {
	n := m.nodes[0]
	if len(m.nodes) > 1 {
		n = m.nodes[rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "node")]
	}
	m.DB = n.db
	return n
}

// mourn notes where what died in this step died.
func (m *machine) mourn() {
	head := m.head
	for _, n := range m.nodes {
		head = max(head, n.head())
	}
	for _, x := range m.tokens {
		if x.death == 0 && !m.tokenAlive(x) && !(x.lost && m.undetected) {
			x.death, x.single = head, head == m.head+1
		}
	}
	m.head = head
}

// check compares program and model about everything there is.
func (m *machine) check(t *rapid.T) {
	n := m.nodes[0]
	m.must(t, n.db.Read(context.Background(), func(tx *store.Tx) error {
		for _, s := range m.sessions {
			x, err := tx.Session(s.s.ID)
			if err != nil {
				return err
			}
			o := x.Owner()
			p, err := tx.Latest(&o, cutoff.Browser)
			if err != nil {
				return err
			}
			if got, want := x.Born >= p, m.alive(s.born, false, append(m.userScopes(s.user), "session:"+s.s.ID.String())...); got != want {
				t.Fatalf("P2: session of user %d: alive=%v, want %v", s.user, got, want)
			}
		}
		for _, g := range m.grants {
			id, err := directory.ParseID[directory.Grant](g.id)
			if err != nil {
				return err
			}
			x, err := tx.Grant(id)
			if err != nil {
				return err
			}
			o := x.Owner()
			p, err := tx.Latest(&o, cutoff.Token)
			if err != nil {
				return err
			}
			if got, want := x.Born >= p, m.alive(g.born, true, m.grantScopes(g)...); got != want {
				t.Fatalf("P2: grant of user %d: alive=%v, want %v", g.session.user, got, want)
			}
		}
		return nil
	}))
	for _, n := range m.nodes {
		if !m.lags(n) {
			m.checkTokens(t, n)
		}
	}
	m.checkGuards(t)
	m.checkReceipts(t)
	m.checkEras(t)
}

// checkTokens asks a node about every access token.
func (m *machine) checkTokens(t *rapid.T, n *node) {
	t.Helper()
	now := m.Clock.Now()
	for _, x := range m.tokens {
		if m.undetected && x.lost || !now.Before(x.expires) {
			continue
		}
		got, err := n.issue.Introspect(context.Background(), n.service, x.text, issue.Meta{})
		m.must(t, err)
		if want := m.tokenAlive(x); got.Active != want {
			t.Fatalf("P2: access token of user %d, born %d: active=%v at node %d", x.g.session.user, x.born, got.Active, n.index)
		}
	}
}

// begin gives a run people of its own; the directory is shared between runs.
func begin(t *rapid.T, s *site) *machine {
	m := &machine{model: &model{cuts: map[string]int{}}, site: s, codes: map[string]*mSession{}, opens: map[string]directory.ResourceID{}, rule: noRule, bornAt: map[string]int{}}
	m.refreshNodes(t)
	n := m.nodes[0]
	m.DB = n.db
	for i := range 3 {
		u := storetest.Person(fmt.Sprintf("p%d-%s", i, directory.NewID[directory.User](m.Clock.Now())), m.Clock.Now())
		m.Update(func(tx *store.Tx) error {
			if err := tx.CreateUser(u); err != nil {
				return err
			}
			for _, p := range m.App.Permissions {
				if err := tx.SaveConsent(directory.Consent{User: u.ID, App: m.App.ID, Resource: p.Resource, Scopes: p.Scopes}); err != nil {
					return err
				}
			}
			return tx.SaveConsent(directory.Consent{User: u.ID, App: guardClient, Resource: drive, Scopes: []string{"Read"}})
		})
		m.users, m.enabled = append(m.users, u), append(m.enabled, true)
		// Everybody begins with something to lose.
		x := m.signIn(i)
		for _, scope := range []string{allScopes, allScopes, "openid api://mail/Read"} {
			code, err := n.code(x.s, scope)
			m.must(t, err)
			m.redeemed(t, n, x, code, resourceOf(scope))
		}
	}
	m.connect(t, m.newGuard(t), true)
	// Copying a database takes half a second on PostgreSQL.
	if rapid.IntRange(0, 3).Draw(t, "backup") < 3 != m.engine.Postgres {
		m.makeBackup(t)
	}
	m.head = m.nodes[0].head()
	return m
}

// end lets the guards go and leaves the directory fit for the next run.
func (m *machine) end() {
	for len(m.guards) > 0 {
		m.stopGuard(m.guards[0], true)
	}
	m.lagging.Store(false)
	for i, n := range m.nodes {
		if n.shut { // the run failed between two processes of a node
			m.open(i)
		}
	}
	if m.DB = m.nodes[0].db; m.rule.user >= 0 {
		m.write(-1, "")
	}
}

// wrap makes an action a step: time passes a little before it, and afterwards
// everybody hears what the network lets through.
func (m *machine) wrap(action func(*rapid.T)) func(*rapid.T) {
	return func(t *rapid.T) {
		m.Clock.Add(time.Microsecond)
		action(t)
		m.mourn()
		m.settle(t)
		m.mourn()
	}
}

// lanes are how many machines run beside each other on each engine, each with a
// directory of its own: guards spend most of their time waiting to try again.
var lanes = map[string]int{"sqlite": 3, "postgres": 1}

func setFlag(t *testing.T, name, value string) {
	t.Helper()
	if f := flag.Lookup(name); f.Value.String() == f.DefValue {
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Value.Set(f.DefValue) })
	}
}

// TestModel runs the machines, each as often and as long as the flags of rapid say.
func TestModel(t *testing.T) {
	setFlag(t, "rapid.checks", "12")
	setFlag(t, "rapid.steps", "45")
	var all sync.WaitGroup // t.Parallel would keep all but a few waiting for a core
	for _, e := range storetest.Engines() {
		for lane := range lanes[e.Name] {
			all.Go(func() { t.Run(fmt.Sprint(e.Name, "-", lane+1), func(t *testing.T) { run(t, e) }) })
		}
	}
	all.Wait()
}

func run(t *testing.T, e storetest.Engine) {
	s := newSite(t, e)
	runs, steps := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := begin(rt, s)
		defer m.end()
		actions := m.actions()
		maps.Copy(actions, m.faults())
		for name, action := range actions {
			actions[name] = m.wrap(action)
		}
		actions[""] = func(t *rapid.T) { steps++; m.check(t) }
		runs++
		rt.Repeat(actions)
	})
	t.Logf("%d runs, %d steps", runs, steps)
}
