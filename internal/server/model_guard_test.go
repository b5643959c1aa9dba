package server

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/relay"
)

// mGuard is one guard, and what the machine knows about it: what it was given,
// what it has said, and how its network is.
type mGuard struct {
	*guard.Guard
	name      string
	resource  directory.ResourceID
	staleness time.Duration
	lead      atomic.Int64 // its clock before the server's, in ns; only grows
	wire      *wire
	stop      context.CancelFunc
	over      chan struct{}

	at    int      // the node it is led to
	asks  linkMode // what happens to its questions
	lines lineMode // what happens to the lines of its stream
	first bool     // lines arrive before answers

	q       *question // let through, its answer not yet delivered
	refused bool      // its node is too old to answer
	stream  *stream
	breaks  int // of streams: each makes the guard wait longer for the next

	process  *process
	head     cutoff.Pos          // of the last answer it took
	applied  cutoff.Pos          // the same, of this history; -1: none
	streamed map[cutoff.Pos]bool // lines of this history that its streams brought
	vouched  time.Time           // as of when it may speak, on its clock
	witness  bool                // it remembers lines of a history that is lost

	died   map[*mToken]time.Time // when each dead token died, on its clock
	barred map[*mToken]time.Time // since when a policy keeps out who has it, the same
}

// process is a guard process as the server knows it. A guard that the server has
// forgotten becomes another one.
type process struct {
	id    string
	given map[string]cutoff.Pos // position of each cursor, of this history
	heard map[int]cutoff.Pos    // by node: what it has acknowledged there, at least
	most  cutoff.Pos            // what it may have acknowledged anywhere, at most; -1: nothing
	gone  bool                  // it said goodbye
	lost  bool                  // its registration is not in the ledger's history
}

func (p *process) acked() (most cutoff.Pos) {
	for _, pos := range p.heard {
		most = max(most, pos)
	}
	return most
}

type linkMode int

const (
	flowing linkMode = iota // questions and answers pass
	delayed                 // questions pass, answers wait
	severed                 // nothing passes, nor do lines
)

type lineMode int

const (
	whole   lineMode = iota
	doubled          // each line comes twice
	lost             // none comes
	late             // they wait
)

// guardsMax bounds the guards alive at a time.
const guardsMax = 3

func (g *mGuard) now() time.Time { return g.wire.clock() }

// knows reports whether the guard has applied the line that killed x.
func (g *mGuard) knows(x *mToken) bool {
	return g.applied >= x.death || x.single && g.streamed[x.death]
}

// connect starts a guard and returns when it is open.
func (m *machine) connect(t *rapid.T, g *mGuard, withStream bool) {
	t.Helper()
	clock := func() time.Time { return m.Clock.Now().Add(time.Duration(g.lead.Load())) }
	base := clock()
	g.wire, g.over = newWire(clock), make(chan struct{})
	g.died, g.barred, g.streamed = map[*mToken]time.Time{}, map[*mToken]time.Time{}, map[cutoff.Pos]bool{}
	g.wire.asks = func() bool { return m.canAsk(g) }
	g.head, g.applied = -1, -1
	g.wire.lead(m.nodes[g.at])
	var err error
	g.Guard, err = guard.New(guard.Config{
		Issuer: modelBase, ClientID: guardClient, ClientSecret: guardPassword, Audience: string(g.resource), Name: g.name, MaxStaleness: g.staleness,
		HTTPClient: &http.Client{Transport: g.wire}, Log: slog.New(slog.DiscardHandler),
		Now: clock, Mono: func() time.Duration { return clock().Sub(base) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	go func() {
		defer close(g.over)
		if err := g.Run(ctx); err != nil {
			panic(err)
		}
	}()
	m.guards = append(m.guards, g)
	g.wire.next(t, true) // it has registered
	for _, x := range m.tokens {
		if _, err := g.Check(x.text); err == nil {
			t.Fatal("P3: a guard that was never answered accepts a token")
		}
	}
	if withStream {
		g.stream = g.wire.take(t, true).open(t, m.nodes[g.at])
	}
	m.settle(t)
	if g.applied < 0 && g.refused {
		return // its node is too old to answer; it stays closed
	}
	ready, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.Ready(ready); err != nil {
		t.Fatal(err)
	}
}

// stopGuard ends a guard process, which says goodbye if it can, or is killed.
func (m *machine) stopGuard(g *mGuard, goodbye bool) {
	if goodbye = goodbye && g.asks != severed; !goodbye {
		g.wire.kill()
	}
	g.stop()
	<-g.over
	if g.q != nil {
		g.q.lose()
		g.q = nil
	}
	m.endStream(g)
	g.process.gone = goodbye
	m.guards = slices.DeleteFunc(m.guards, func(x *mGuard) bool { return x == g })
}

func (m *machine) endStream(g *mGuard) {
	if g.stream != nil {
		g.stream.end()
		g.stream = nil
		g.breaks++
	}
}

// heard waits until the node has taken in what a held question acknowledges.
func (m *machine) heard(t fataler, g *mGuard) {
	if g.q == nil || !g.q.held() {
		return
	}
	n, p := g.q.node, g.process
	until(t, "an acknowledgement", func() bool {
		all, err := n.relay.Guards(context.Background(), operator)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(v relay.GuardView) bool { return v.Process == p.id && v.Acked >= p.heard[n.index] })
	})
}

// loseAnswer breaks the connection of the question that was let through: the
// node has worked it off, or held it.
func (m *machine) loseAnswer(t fataler, g *mGuard) {
	m.heard(t, g)
	g.q.lose()
	g.q = nil
}

// quiet waits until no guard waits for a timer of its own. Then the clock may
// jump, and nobody has read it half before and half after.
func (m *machine) quiet(t fataler) {
	for _, g := range m.guards {
		if g.q == nil {
			g.wire.next(t, false)
		}
	}
}

// settle lets everything happen that the network allows, until nobody has
// anything new to say.
func (m *machine) settle(t *rapid.T) {
	t.Helper()
	last := cutoff.Pos(-1)
	for range 8 {
		for _, n := range m.nodes {
			if !m.lags(n) {
				m.must(t, n.db.Fresh(context.Background()))
			}
		}
		head := m.nodes[0].head()
		if head == last {
			return
		}
		last = head
		for _, g := range m.guards {
			m.settleGuard(t, g)
		}
		m.notice(t)
	}
	t.Fatal("guards and nodes never come to rest")
}

// lags reports whether a node is kept from hearing of the others.
func (m *machine) lags(n *node) bool { return n.index == 1 && m.lagging.Load() }

func (m *machine) settleGuard(t *rapid.T, g *mGuard) {
	t.Helper()
	if g.asks == severed {
		return
	}
	if g.first {
		m.bring(t, g)
	}
	m.converse(t, g)
	if !g.first {
		m.bring(t, g)
	}
}

// converse carries questions and answers until the guard is up to date and its
// question is held, or the network or the node keeps it from that.
func (m *machine) converse(t *rapid.T, g *mGuard) {
	t.Helper()
	for range 12 {
		n := m.nodes[g.at]
		if g.q == nil {
			old := m.lags(n) && n.db.Age() > relay.MaxAge
			if g.applied >= n.head() && g.process.acked() >= n.head() || old && g.refused {
				return
			}
			m.let(t, g)
		}
		if g.q.held() {
			return
		}
		m.await(t, g)
		if _, status := g.q.read(t); status == http.StatusOK || status == http.StatusNotFound {
			m.testified = m.testified || g.q.witness
		}
		if g.asks == delayed {
			return
		}
		m.deliver(t, g)
	}
	t.Fatalf("guard %s never becomes current: %+v", g.name, g.Status())
}

// let lets the guard's next question through to its node.
func (m *machine) let(t *rapid.T, g *mGuard) {
	t.Helper()
	g.q = g.wire.take(t, false)
	query := g.q.req.URL.Query()
	if id := query.Get("process"); g.process == nil || g.process.id != id {
		g.process = &process{id: id, given: map[string]cutoff.Pos{}, heard: map[int]cutoff.Pos{}, most: -1}
	}
	n, p := m.nodes[g.at], g.process
	after := query.Get("after")
	pos, known := p.given[after]
	g.q.head, g.q.after = n.head(), -1
	g.q.waits = query.Has("wait") && !(m.lags(n) && n.db.Age() > relay.MaxAge)
	if known {
		g.q.after, p.most = pos, max(p.most, pos)
	}
	g.q.lags = m.lags(n)
	g.q.witness = m.undetected && g.witness && after != "" && !known
	g.q.pass(n)
	if g.q.held() {
		p.heard[n.index] = max(p.heard[n.index], pos)
	}
}

// held reports whether the node holds the question: it has nothing to say to it.
func (q *question) held() bool { return q.waits && q.after >= 0 && q.node.head() == q.after }

// longWay is how long, on the guard's clock alone, an answer without news takes:
// one that came at once would make the guard wait before it asks again.
const longWay = 3 * time.Second

// deliver gives the guard the answer to its question and waits until it has
// applied it.
func (m *machine) deliver(t *rapid.T, g *mGuard) {
	t.Helper()
	q, p := g.q, g.process
	g.q = nil
	a, status := q.read(t)
	if a == nil {
		q.reply <- reply{res: q.rec.Result()}
		switch {
		case status == http.StatusTooManyRequests:
			m.Clock.Add(time.Second)
		case status == http.StatusServiceUnavailable && m.lags(q.node):
			g.refused = true
		case status != http.StatusNotFound:
			t.Fatalf("the node answers %d %s", status, q.rec.Body)
		}
		return
	}
	if a.held() > q.left.Sub(q.arrived) {
		t.Fatalf("the node says it held the question %s, it was there for %s", a.held(), q.left.Sub(q.arrived))
	}
	if since := q.arrived.Sub(q.node.opened); q.lags && a.age() < since {
		t.Fatalf("the node says its view is %s old, it could commit nothing for %s", a.age(), since)
	}
	if a.Head < q.head {
		t.Fatalf("the answer ends at %d, the node knew %d when it was asked", a.Head, q.head)
	}
	p.given[a.Cursor] = a.Head
	if q.after >= 0 {
		p.heard[q.node.index] = max(p.heard[q.node.index], q.after)
	}
	if !a.Snapshot && a.Head == g.head {
		g.lead.Add(int64(longWay))
	}
	q.reply <- reply{res: q.rec.Result()}
	g.wire.next(t, false)
	if st := g.Status(); st.Confirmed != a.Head {
		t.Fatalf("the guard is at %d after an answer that ends at %d: %v", st.Confirmed, a.Head, st.LastError)
	}
	g.head, g.applied, g.refused = a.Head, a.Head, false
	since := q.began.Add(min(a.held(), g.now().Sub(q.began)) - a.age())
	if since.After(g.vouched) {
		g.vouched = since
	}
}

// bring delivers the lines of a guard's stream, as well as its network does.
func (m *machine) bring(t *rapid.T, g *mGuard) {
	t.Helper()
	if g.stream == nil || g.lines == late {
		return
	}
	for _, l := range g.stream.await(t, g.stream.q.node.head()) {
		switch g.lines {
		case lost:
			continue
		case doubled:
			g.stream.deliver(l)
		}
		g.stream.deliver(l)
		g.streamed[l.pos] = true
	}
}

// checkGuards is P3: who was cut is refused by whoever can know, and by everybody
// who cannot vouch for more; and nobody else is.
func (m *machine) checkGuards(t *rapid.T) {
	t.Helper()
	for _, g := range m.guards {
		now, st := g.now(), g.Status()
		age := now.Sub(g.vouched)
		// A guard may have read its clock when it began to ask, up to a second of
		// an era before the machine did.
		if d := age - g.staleness; max(d, -d) > 2*time.Second && st.Closed != (d > 0) {
			t.Fatalf("P3: guard %s, limit %s, was answered as of %s ago and is closed=%v", g.name, g.staleness, age, st.Closed)
		}
		for _, x := range m.tokens {
			_, err := g.Check(x.text)
			alive := m.tokenAlive(x)
			if !alive && g.died[x].IsZero() {
				g.died[x] = now
			}
			switch {
			case x.resource != g.resource:
				if err == nil {
					t.Fatalf("guard of %s accepts a token for %s", g.resource, x.resource)
				}
			case m.undetected && x.lost: // nobody has told yet that it is
			case err == nil && !alive && g.knows(x):
				t.Fatalf("P3: guard %s accepts what line %d killed; it has applied %d", g.name, x.death, g.applied)
			case err == nil && !alive && now.Sub(g.died[x]) > g.staleness:
				t.Fatalf("P3: guard %s accepts what died %s ago; its limit is %s", g.name, now.Sub(g.died[x]), g.staleness)
			case err == nil && st.Closed:
				t.Fatalf("P3: guard %s is closed and accepts a token", g.name)
			case alive && !m.undetected:
				m.checkKept(t, g, x, err)
			}
		}
	}
}
