package relay

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// State is what has become of access at one place. The words are those of every
// surface.
type State string

// The states.
const (
	Ended     State = "ended"     // curfew itself refuses it, since the commit
	Confirmed State = "confirmed" // the guard acknowledged it
	Waiting   State = "waiting"   // the guard is connected and has not acknowledged yet
	Closes    State = "closes"    // the guard is silent; it refuses everything by itself from At
	Closed    State = "closed"    // it does so since At, by its own limit; it never counts as confirmed
	Gone      State = "gone"      // the guard process said goodbye at At: it serves nobody
	Lives     State = "lives"     // nobody guards it; it ends by its own expiry at At
	Over      State = "over"      // it did
	Unknown   State = "unknown"   // we cannot know; Why says why
	Answering State = "answering" // of a guard in a list: it is connected
)

// guardNow is a guard process as this node knows it now.
type guardNow struct {
	store.Guard
	// exact: nobody but this node answers it. Never on PostgreSQL, where a guard's
	// next question may reach another node.
	exact   bool
	asking  bool
	ackedAt time.Time
}

// closes is the instant from which the guard refuses everything unless it is
// answered again; a bound where another node may answer it.
func (g *guardNow) closes() time.Time {
	switch {
	case !g.exact:
		return latest(g.Answered, g.Registered).Add(g.MaxStaleness + foreignSlack)
	case g.Answered.IsZero():
		return g.Registered // it was never given anything to accept by
	}
	return g.Closes()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// connected reports whether the guard is, as far as we know, being answered.
func (g *guardNow) connected(now time.Time) bool {
	if g.exact {
		return g.asking || now.Sub(g.Answered) <= 2*time.Second
	}
	return g.asking || now.Sub(g.Answered) <= noteEvery+6*time.Second
}

// counts reports whether the guard guards anything now.
func (g *guardNow) counts(now time.Time) bool { return g.Gone.IsZero() && g.existed(now) }

// existed reports whether the guard had something to confirm at an instant.
func (g *guardNow) existed(at time.Time) bool {
	return (g.Gone.IsZero() || !g.Gone.Before(at)) && !at.After(g.closes().Add(ForgetAfter))
}

// state is the guard's own state, apart from any receipt.
func (g *guardNow) state(now time.Time) State {
	switch {
	case !g.Gone.IsZero():
		return Gone
	case g.connected(now):
		return Answering
	case now.Before(g.closes()):
		return Closes
	}
	return Closed
}

// scene is everything the views are made of besides their subject, read in one
// transaction.
type scene struct {
	now       time.Time
	guards    map[ProcessID]*guardNow
	resources map[directory.ResourceID]*directory.Resource
	apps      map[directory.AppID]*directory.App
}

func (s *Service) scene(tx *store.Tx) (*scene, error) {
	sc := &scene{guards: map[ProcessID]*guardNow{}, resources: map[directory.ResourceID]*directory.Resource{}, apps: map[directory.AppID]*directory.App{}}
	guards, err := tx.Guards()
	if err != nil {
		return nil, err
	}
	resources, err := tx.Resources()
	if err != nil {
		return nil, err
	}
	apps, err := tx.Apps()
	if err != nil {
		return nil, err
	}
	for _, r := range resources {
		sc.resources[r.ID] = r
	}
	for _, a := range apps {
		sc.apps[a.ID] = a
	}
	s.register.mu.Lock()
	defer s.register.mu.Unlock()
	sc.now = s.now().UTC() // after the rows: what happened meanwhile is not in the future
	for _, g := range guards {
		sc.guards[g.ID] = &guardNow{Guard: *g}
	}
	for id, p := range s.register.processes {
		g := sc.guards[id]
		if g == nil {
			continue // in a history that is lost
		}
		g.exact, g.asking, g.ackedAt = p.mine && !s.DB.Postgres(), p.asking > 0, p.ackedAt
		g.Acked = max(g.Acked, p.guard.Acked)
		g.Answered = latest(g.Answered, p.guard.Answered)
		if g.Gone.IsZero() {
			g.Gone = p.guard.Gone
		}
	}
	return sc, nil
}

// cover is who guards a resource.
type cover struct {
	guards, answering int
	staleness         time.Duration // the most patient one's limit
}

func (sc *scene) cover(r directory.ResourceID) (c cover) {
	for _, g := range sc.guards {
		if g.Resource != r || !g.counts(sc.now) {
			continue
		}
		c.guards++
		if g.connected(sc.now) {
			c.answering++
		}
		c.staleness = max(c.staleness, g.MaxStaleness)
	}
	return c
}

func (sc *scene) resourceName(id directory.ResourceID) string {
	if r := sc.resources[id]; r != nil && r.Name != "" {
		return r.Name
	}
	return string(id)
}

func (sc *scene) appName(id directory.AppID) string {
	if a := sc.apps[id]; a != nil && a.Name != "" {
		return a.Name
	}
	return string(id)
}

// read runs f in a read transaction, with the scene.
func (s *Service) read(ctx context.Context, f func(*store.Tx, *scene) error) error {
	if err := s.begin(ctx); err != nil {
		return unavailable(err)
	}
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		sc, err := s.scene(tx)
		if err != nil {
			return err
		}
		return f(tx, sc)
	})
}

// GuardView is one guard process of a list, or a resource that none guards (Name
// and Process empty, State Lives).
type GuardView struct {
	Process      string
	Name         string
	App          directory.AppID
	AppName      string
	Resource     directory.ResourceID
	ResourceName string
	State        State
	Age          time.Duration // since its last answer; negative: never answered
	MaxStaleness time.Duration
	Answered     time.Time
	ClosesAt     time.Time
	Registered   time.Time
	Acked        cutoff.Pos
	Version      string
	Address      string
}

// Guards lists the guard processes that are not forgotten and did not leave,
// silent ones first, and the resources that have none. Kinds: Denied, Unavailable.
func (s *Service) Guards(ctx context.Context, actor directory.Actor) (all []GuardView, err error) {
	if err := role.Allowed(actor, role.ReadGuards, role.Target{}).Err(""); err != nil {
		return nil, err
	}
	err = s.read(ctx, func(_ *store.Tx, sc *scene) error {
		all = sc.guardViews()
		return nil
	})
	return all, err
}

func (sc *scene) guardViews() (all []GuardView) {
	for _, g := range sc.guards {
		if !g.counts(sc.now) {
			continue
		}
		v := GuardView{Process: g.ID.String(), Name: g.Name, App: g.App, AppName: sc.appName(g.App), Resource: g.Resource, ResourceName: sc.resourceName(g.Resource),
			State: g.state(sc.now), Age: -1, MaxStaleness: g.MaxStaleness, Answered: g.Answered, ClosesAt: g.closes(), Registered: g.Registered,
			Acked: g.Acked, Version: g.Version, Address: g.Address}
		if !g.Answered.IsZero() {
			v.Age = max(0, sc.now.Sub(g.Answered))
		}
		all = append(all, v)
	}
	for id := range sc.resources {
		if sc.cover(id).guards == 0 {
			all = append(all, GuardView{Resource: id, ResourceName: sc.resourceName(id), State: Lives, Age: -1})
		}
	}
	rank := map[State]int{Closed: 0, Closes: 1, Lives: 2, Answering: 3}
	slices.SortFunc(all, func(a, b GuardView) int {
		return cmp.Or(rank[a.State]-rank[b.State], cmp.Compare(a.Name, b.Name), cmp.Compare(a.ResourceName, b.ResourceName), cmp.Compare(a.Process, b.Process))
	})
	return all
}

// LedgerLine is one line of the ledger for people.
type LedgerLine struct {
	Pos     cutoff.Pos
	At      time.Time
	Cause   string
	Actor   string
	Cuts    []cutoff.Cutoff
	Era     bool
	Receipt string
}

// Ledger lists up to limit lines before a position, the newest first; 0 is from
// the head. Kinds: Denied, Invalid, Unavailable.
func (s *Service) Ledger(ctx context.Context, actor directory.Actor, before cutoff.Pos, limit int) (all []LedgerLine, err error) {
	if err := role.Allowed(actor, role.ReadLedger, role.Target{}).Err(""); err != nil {
		return nil, err
	}
	if err := page(int64(before), limit); err != nil {
		return nil, err
	}
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		lines, err := tx.LinesBefore(before, limit)
		for _, l := range lines {
			all = append(all, LedgerLine{Pos: l.Pos, At: l.At, Cause: string(l.Cause), Actor: l.Actor, Cuts: l.Cuts, Era: l.Era, Receipt: l.Receipt})
		}
		return err
	})
	return all, err
}

func page(before int64, limit int) error {
	if before < 0 || limit < 1 || limit > 1000 {
		return fault.New(fault.Invalid, "A page has 1 to 1000 entries and begins at a position of the ledger.")
	}
	return nil
}
