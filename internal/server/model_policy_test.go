package server

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// mRule is the one policy of a directory: it keeps a person from a resource. It ends
// nothing: whoever it lets in again goes on with what they have.
type mRule struct {
	user     int                  // -1: it is about nobody
	resource directory.ResourceID // "": about everything
	step     int                  // when it was written
	pos      cutoff.Pos           // its line; 0: none of this history
}

var noRule = mRule{user: -1}

// kept reports whether the policy keeps somebody from a resource.
func (m *machine) kept(user int, r directory.ResourceID) bool {
	return user == m.rule.user && (m.rule.resource == "" || m.rule.resource == r)
}

func (m *machine) keptToken(x *mToken) bool { return m.kept(x.g.session.user, x.resource) }

// resourceOf is what a first token for a scope opens.
func resourceOf(scope string) directory.ResourceID {
	if scope == "openid offline_access api://drive/Read" {
		return drive
	}
	return mail
}

// write changes the policy. It stays enabled and about something, so that facts are
// always gathered.
func (m *machine) write(user int, r directory.ResourceID) {
	who, what := "None", "All"
	if user >= 0 {
		who = m.users[user].ID.String()
	}
	if r != "" {
		what = string(r)
	}
	m.Rule(storetest.Policy(1, fmt.Sprintf(`"users":{"includeUsers":[%q]},"applications":{"includeApplications":[%q]}`, who, what), storetest.Blocks))
	m.step++
	m.rule = mRule{user: user, resource: r, step: m.step, pos: m.nodes[0].head()}
	for _, n := range m.nodes {
		m.rule.pos = max(m.rule.pos, n.head())
	}
}

func (m *machine) drawRule(t *rapid.T) (int, directory.ResourceID) {
	return rapid.IntRange(-1, len(m.users)-1).Draw(t, "kept out"), rapid.SampledFrom([]directory.ResourceID{"", mail, mail, drive}).Draw(t, "of")
}

// changePolicy keeps somebody out, or lets them in again.
func (m *machine) changePolicy(t *rapid.T) {
	user, r := m.drawRule(t)
	m.node(t)
	m.write(user, r)
}

// changePolicyMeanwhile changes it while a guard has a token judged again, after the
// policies were read and before the answer is given: what the guard was told of is
// the policy before.
func (m *machine) changePolicyMeanwhile(t *rapid.T) {
	g := m.guards[pick(t, len(m.guards))]
	user, r := m.drawRule(t)
	if user < 0 || m.undetected || !m.canAsk(g) || g.asks != flowing {
		t.Skip("nobody asks")
	}
	m.node(t)
	m.write(-1, "") // puts all in doubt
	m.settle(t)
	changed := false
	m.nodes[g.at].between = func() {
		if !changed {
			changed = true
			m.write(user, r)
		}
	}
	for _, x := range m.tokens {
		if x.resource == g.resource && x.g.session.user == user {
			g.Check(x.text)
		}
	}
	m.nodes[g.at].between = nil
}

// hook lets the machine act between the facts and the answer of a judgement.
func (n *node) hook() {
	read := n.access.Risk
	n.access.Risk = func(tx *store.Tx, u *access.Use) (access.Risk, error) {
		r, err := read(tx, u)
		if n.between != nil {
			n.between()
		}
		return r, err
	}
}

// canAsk reports whether a guard reaches whoever judges tokens again.
func (m *machine) canAsk(g *mGuard) bool { return g.asks != severed && !m.lags(m.nodes[g.at]) }

// checkKept is what a guard may say of a token that no cutoff has killed, under the
// policy: who knows of it refuses whom it keeps out, everybody does when they would
// have to close, and nobody else is refused.
func (m *machine) checkKept(t *rapid.T, g *mGuard, x *mToken, err error) {
	t.Helper()
	now, st := g.now(), g.Status()
	if !m.keptToken(x) {
		delete(g.barred, x)
	} else if g.barred[x].IsZero() {
		g.barred[x] = now
	}
	knows := m.rule.pos == 0 || g.applied >= m.rule.pos || g.streamed[m.rule.pos]
	switch {
	case err == nil && m.keptToken(x) && knows:
		t.Fatalf("P3: guard %s accepts a token of user %d for %s whom line %d keeps out; it has applied %d", g.name, x.g.session.user, x.resource, m.rule.pos, g.applied)
	case err == nil && m.keptToken(x) && now.Sub(g.barred[x]) > g.staleness:
		t.Fatalf("P3: guard %s accepts a token of user %d who has been kept out for %s", g.name, x.g.session.user, now.Sub(g.barred[x]))
	case err == nil || m.keptToken(x) || st.Closed || g.applied < 0 || !now.Before(x.expires):
	case x.born >= m.rule.step || m.canAsk(g) && knows:
		t.Fatalf("guard %s refuses a token of user %d, born %d, that is alive and that line %d does not keep out: %v", g.name, x.g.session.user, x.born, m.rule.pos, err)
	}
}
