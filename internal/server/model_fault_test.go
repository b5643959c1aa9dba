package server

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// relayPatience is for how long a node that has just begun answers guards,
// whether or not its next heartbeat comes in time.
const relayPatience = relay.MaxAge / 2

// faults are what networks, machines and their keepers do.
func (m *machine) faults() map[string]func(*rapid.T) {
	faults := map[string]func(*rapid.T){
		"a guard connects": func(t *rapid.T) {
			if len(m.guards) >= guardsMax {
				t.Skip("there are enough")
			}
			m.connect(t, m.newGuard(t), withStream(t))
		},
		"a guard process restarts": func(t *rapid.T) {
			old := m.guards[pick(t, len(m.guards))]
			m.heard(t, old)
			m.stopGuard(old, rapid.Bool().Draw(t, "goodbye"))
			g := &mGuard{name: old.name, resource: old.resource, staleness: old.staleness, at: old.at, first: old.first}
			m.connect(t, g, withStream(t))
		},
		"a guard ends": func(t *rapid.T) {
			g := m.guards[pick(t, len(m.guards))]
			m.heard(t, g)
			m.stopGuard(g, rapid.Bool().Draw(t, "goodbye"))
		},
		"an answer is lost": func(t *rapid.T) {
			g := m.guards[pick(t, len(m.guards))]
			if g.asks == severed || m.lags(m.nodes[g.at]) {
				t.Skip("there is none")
			}
			if g.q == nil {
				m.let(t, g)
			}
			if !g.q.held() {
				m.await(t, g)
			}
			m.loseAnswer(t, g)
		},
		"a late answer arrives": func(t *rapid.T) {
			g := m.guards[pick(t, len(m.guards))]
			if g.asks != delayed || g.q == nil || g.q.held() {
				t.Skip("there is none")
			}
			m.await(t, g)
			m.deliver(t, g) // the one after it waits again
		},
		"a stream opens or breaks": func(t *rapid.T) {
			g := m.guards[pick(t, len(m.guards))]
			switch {
			case g.stream != nil:
				m.endStream(g)
			case g.asks == severed || g.breaks > 2:
				t.Skip("no stream") // the guard waits ever longer before it tries again
			default:
				g.stream = g.wire.take(t, true).open(t, m.nodes[g.at])
			}
		},
		"a guard is led to the other node": func(t *rapid.T) {
			if len(m.nodes) < 2 {
				t.Skip("there is one")
			}
			g := m.guards[pick(t, len(m.guards))]
			g.at, g.refused = 1-g.at, false
			g.wire.lead(m.nodes[g.at])
			if g.q != nil && rapid.Bool().Draw(t, "the connection breaks") {
				m.loseAnswer(t, g)
			}
		},
		"a node lags, or catches up": func(t *rapid.T) {
			if len(m.nodes) < 2 {
				t.Skip("there is one")
			}
			if !m.lagging.Load() {
				// Its age is then known: nothing but its start vouches for it.
				m.restart(t, 1, false)
				m.lagging.Store(true)
				return
			}
			m.lagging.Store(false)
			m.refreshNodes(t)
		},
		"a node restarts": func(t *rapid.T) {
			i := rapid.IntRange(0, len(m.nodes)-1).Draw(t, "node")
			if i == 1 {
				m.lagging.Store(false)
			}
			m.restart(t, i, rapid.Bool().Draw(t, "killed"))
		},
		"a guard's clock runs ahead": func(t *rapid.T) {
			g := m.guards[pick(t, len(m.guards))]
			m.quiet(t)
			g.lead.Add(int64(rapid.IntRange(1, 30).Draw(t, "seconds")) * int64(time.Second))
		},
		"restore a backup": func(t *rapid.T) {
			if m.backup == nil {
				t.Skip("there is none")
			}
			m.restore(t, rapid.Bool().Draw(t, "with the mark files"))
		},
	}
	for i := range guardsMax {
		faults[fmt.Sprintf("the network of guard %d changes", i)] = func(t *rapid.T) {
			if i >= len(m.guards) {
				t.Skip("no such guard")
			}
			g := m.guards[i]
			g.asks = rapid.SampledFrom([]linkMode{flowing, delayed, severed}).Draw(t, "questions")
			g.lines = rapid.SampledFrom([]lineMode{whole, whole, doubled, lost, late}).Draw(t, "lines")
			g.first = rapid.Bool().Draw(t, "lines first")
		}
	}
	return faults
}

func withStream(t *rapid.T) bool { return rapid.IntRange(0, 3).Draw(t, "no stream") > 0 }

func (m *machine) newGuard(t *rapid.T) *mGuard {
	g := &mGuard{
		name:      fmt.Sprintf("guard-%d", rapid.IntRange(1, 3).Draw(t, "name")),
		resource:  rapid.SampledFrom([]directory.ResourceID{mail, mail, mail, drive}).Draw(t, "resource"),
		staleness: rapid.SampledFrom([]time.Duration{20 * time.Second, time.Minute}).Draw(t, "limit"),
		at:        rapid.IntRange(0, len(m.nodes)-1).Draw(t, "node"),
		first:     rapid.Bool().Draw(t, "lines first"),
	}
	return g
}

// await waits for the answer of a node that will not hold the question.
func (m *machine) await(t fataler, g *mGuard) {
	t.Helper()
	select {
	case <-g.q.answered:
	case <-time.After(patience):
		t.Fatalf("the node does not answer guard %s, that asked after %d", g.name, g.q.after)
	}
}

// down ends the process of a node; whoever talked to it finds the connection broken.
func (m *machine) down(t fataler, i int, killed bool) {
	n := m.nodes[i]
	for _, g := range m.guards {
		if g.q != nil && g.q.node == n {
			m.loseAnswer(t, g)
		}
		if g.stream != nil && g.stream.q.node == n {
			m.endStream(g)
		}
		m.unheard(killed, i, g)
	}
	for _, k := range m.receipts {
		for _, g := range k.due {
			m.unheard(killed, i, g)
		}
	}
	m.shut(i, killed)
}

// unheard: what a node that is killed heard last may not be written down.
func (m *machine) unheard(killed bool, i int, g *mGuard) {
	if killed {
		delete(g.process.heard, i)
	}
}

func (m *machine) up(i int) {
	m.open(i)
	for _, g := range m.guards {
		if g.at == i {
			g.wire.lead(m.nodes[i])
			g.refused = false
		}
	}
}

func (m *machine) restart(t fataler, i int, killed bool) {
	m.down(t, i, killed)
	m.up(i)
}

// refreshNodes starts anew each node whose heartbeats the clock has outrun: it
// would only refuse until the next one.
func (m *machine) refreshNodes(t fataler) {
	for i, n := range m.nodes {
		if m.engine.Postgres && !m.lags(n) && m.Clock.Now().Sub(n.opened) > relayPatience {
			m.restart(t, i, false)
		}
	}
}

// backup is a copy of the database, as old as the run, and of what lay beside
// the master keys.
type backup struct {
	put   func()
	head  cutoff.Pos
	marks [][]byte
	uses  map[*mGrant]int // how often each refresh token was used by then
	known []*process
}

func (m *machine) makeBackup(t *rapid.T) {
	b := &backup{head: m.nodes[0].head(), uses: map[*mGrant]int{}}
	for i := range m.nodes {
		m.down(t, i, false)
	}
	b.put = storetest.Backup(m.t, m.engine, m.cfg[0])
	for _, cfg := range m.cfg {
		mark, err := os.ReadFile(cfg.Mark)
		m.must(t, err)
		b.marks = append(b.marks, mark)
	}
	for i := range m.nodes {
		m.up(i)
	}
	for _, g := range m.grants {
		b.uses[g] = len(g.older)
	}
	for _, g := range m.guards {
		b.known = append(b.known, g.process)
	}
	m.backup = b
}

// restore puts the backup back. What happened since is lost; whether anybody
// notices at once depends on the mark files, which must never be in a backup.
func (m *machine) restore(t *rapid.T, marks bool) {
	// The mark files know of the lines of this history, not of one that was
	// lost before without anybody noticing.
	lines := m.head > m.backup.head
	before := m.undetected
	for i := range m.nodes {
		m.down(t, i, rapid.Bool().Draw(t, "killed"))
	}
	m.lagging.Store(false)
	if rapid.Bool().Draw(t, "nobody is reached for a while") {
		for _, g := range m.guards {
			g.asks = severed
		}
	}
	m.backup.put()
	if marks {
		for i, cfg := range m.cfg {
			m.must(t, os.WriteFile(cfg.Mark, m.backup.marks[i], 0o600))
		}
	}
	began := 0
	for i := range m.nodes {
		m.up(i)
		if m.nodes[i].db.BeganAtStart() {
			began++
		}
	}
	if want := lines && !marks; (began == 1) != want || began > 1 {
		t.Fatalf("P1: %d nodes began an era at their start; lines were lost: %v, and the marks with them: %v", began, lines, marks)
	}
	m.forget(lines || before)
	if m.undetected = lines || before; began > 0 {
		m.era()
	}
	m.restored = m.step
	m.must(t, m.nodes[0].db.Read(context.Background(), func(tx *store.Tx) error {
		for i, u := range m.users { // rows are as old as the backup
			x, err := tx.User(u.ID)
			if err != nil {
				return err
			}
			m.enabled[i] = x.Enabled
		}
		return nil
	}))
}

// forget is what a restore does to the model. Rows that the lost history made are
// not there any more; nobody is asked about them.
func (m *machine) forget(lost bool) {
	for _, g := range m.grants {
		if uses, there := m.backup.uses[g]; there && len(g.older) > uses {
			m.ahead = append(m.ahead, g)
		}
	}
	m.sessions, m.grants, m.order, m.receipts = nil, nil, nil, nil
	m.eras, m.undetected, m.testified = 0, false, false
	for _, x := range m.tokens {
		x.lost, x.death = true, 0
	}
	if !lost {
		// No line was lost, so no revocation was. Who holds what of the rows
		// that were lost is not followed further.
		m.tokens = nil
	}
	m.head, m.rule = m.backup.head, noRule // it was made before the first policy
	for _, g := range m.guards {
		g.witness = g.head > m.backup.head
		g.applied, g.streamed, g.died, g.barred = -1, map[cutoff.Pos]bool{}, map[*mToken]time.Time{}, map[*mToken]time.Time{}
		g.process.lost = !slices.Contains(m.backup.known, g.process)
		g.process.given, g.process.heard = map[string]cutoff.Pos{}, map[int]cutoff.Pos{}
	}
}

// era is the end of everything that was born before.
func (m *machine) era() {
	m.eras++
	m.undetected, m.testified = false, false
	m.cut("all")
}

// notice looks whether somebody has proven that history was lost.
func (m *machine) notice(t *rapid.T) {
	t.Helper()
	if !m.undetected {
		return
	}
	switch n := m.countEras(t); {
	case n == 1:
		m.era()
	case n > 1:
		t.Fatalf("one loss, %d eras", n)
	case m.testified:
		t.Fatal("P1: somebody remembers the lost history, was heard, and nothing has ended")
	}
}

// checkEras: each loss makes exactly one era, however many witnesses come.
func (m *machine) checkEras(t *rapid.T) {
	t.Helper()
	if m.backup == nil || m.restored == 0 {
		return
	}
	if n := m.countEras(t); n != m.eras {
		t.Fatalf("%d eras since the restore, want %d", n, m.eras)
	}
}

func (m *machine) countEras(t *rapid.T) (n int) {
	m.must(t, m.nodes[0].db.Read(context.Background(), func(tx *store.Tx) error {
		n = 0
		lines, err := tx.LinesBefore(0, 1000)
		for _, l := range lines {
			if l.Era && l.Pos > m.backup.head {
				n++
			}
		}
		return err
	}))
	return n
}

func without[T comparable](all []T, one T) []T {
	return slices.DeleteFunc(all, func(x T) bool { return x == one })
}
