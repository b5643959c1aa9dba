package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unicode"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// ProcessID names one guard process. A restarted guard has a new one.
type ProcessID = directory.ID[store.Guard]

// ErrUnknownProcess: the process is not registered, said goodbye, or belongs to
// another client. It must register again. Kind NotFound.
var ErrUnknownProcess = fault.New(fault.NotFound, "This guard process is not registered. Register again.")

// Bounds of what a client may do.
const (
	maxAsking     = 8    // questions held at once for one process; withdrawn ones count until that is noticed
	maxStreams    = 4    // streams at once for one process
	snapshotBurst = 3    // snapshots at once for one process, then one a second
	registerBurst = 2000 // registrations at once for one client, then 50 a second
	registerRate  = 50
	maxConfirmed  = 1 << 18 // confirmations waiting for the database
)

// Registration is what a guard process says about itself.
type Registration struct {
	Name         string
	Resource     directory.ResourceID
	MaxStaleness time.Duration
	Version      string
	Address      string // where it asked from
}

// Registered is what it is told.
type Registered struct {
	Process                              ProcessID
	Issuers                              []string
	JWKSURI, IntrospectURI, AuthorizeURI string
}

// Register makes a guard process known, durably. Kinds: Invalid, Denied (this
// client may not guard that resource), Limited, Unavailable.
func (s *Service) Register(ctx context.Context, app *directory.App, r Registration) (*Registered, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	switch {
	case !plain(r.Name, 1, 64):
		return nil, fault.New(fault.Invalid, "The name must be 1 to 64 printable characters.")
	case !plain(r.Version, 0, 64):
		return nil, fault.New(fault.Invalid, "The version must be at most 64 printable characters.")
	case r.MaxStaleness < time.Second || r.MaxStaleness > 5*time.Minute:
		return nil, fault.New(fault.Invalid, "The limit of staleness must be between 1 second and 5 minutes.")
	case !slices.Contains(app.Guards, r.Resource):
		return nil, fault.New(fault.Denied, "This client may not guard that resource.")
	}
	now := s.now()
	if !s.register.mayRegister(app.ID, now) {
		return nil, fault.New(fault.Limited, "Too many guard processes were registered. Try again in a second.")
	}
	g := &store.Guard{ID: directory.NewID[store.Guard](now), Name: r.Name, App: app.ID, Resource: r.Resource, MaxStaleness: r.MaxStaleness,
		Version: r.Version, Address: r.Address, Registered: now.UTC()}
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.CreateGuard(g) }); err != nil {
		return nil, unavailable(err)
	}
	head, _ := s.DB.View().Head()
	s.register.add(g, head, true)
	return &Registered{Process: g.ID, Issuers: s.Issuers, JWKSURI: s.JWKSURI, IntrospectURI: s.IntrospectURI, AuthorizeURI: s.AuthorizeURI}, nil
}

func plain(text string, from, to int) bool {
	n := 0
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return false
		}
		n++
	}
	return n >= from && n <= to
}

// Goodbye ends a guard process: it serves nobody any more and confirms nothing.
// Kinds: NotFound, Unavailable.
func (s *Service) Goodbye(ctx context.Context, app *directory.App, id ProcessID) error {
	p, err := s.process(ctx, app, id)
	if err != nil {
		return err
	}
	g := s.register.leave(p, s.now())
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.SaveGuard(&g) }); err != nil {
		s.register.touch(p) // the flusher tries again
		return unavailable(err)
	}
	s.watchers.ringAll()
	return nil
}

// process returns a registered process of app, from memory or, when another node
// registered it, from the database.
func (s *Service) process(ctx context.Context, app *directory.App, id ProcessID) (*process, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	p := s.register.get(id)
	if p == nil {
		var g *store.Guard
		err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { g, err = tx.Guard(id); return err })
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrUnknownProcess
		}
		if err != nil {
			return nil, unavailable(err)
		}
		if g.App != app.ID || !g.Gone.IsZero() {
			return nil, ErrUnknownProcess
		}
		head, _ := s.DB.View().Head()
		p = s.register.add(g, head, false)
	}
	if p.guard.App != app.ID || s.register.hasLeft(p) {
		return nil, ErrUnknownProcess
	}
	if !slices.Contains(app.Guards, p.guard.Resource) {
		return nil, fault.New(fault.Denied, "This client may not guard that resource any more.")
	}
	return p, nil
}

// process is a guard process that asks this node.
type process struct {
	guard store.Guard // Answered, Acked and Gone are guarded by register.mu; the rest never changes
	since cutoff.Pos  // the head when it became known here: what lies before was confirmed by a snapshot at most

	// guarded by register.mu
	ackedAt   time.Time // when Acked last grew
	mine      bool      // this node has answered it
	asking    int       // questions held now
	streams   int
	noted     time.Time // the newest Answered that was written
	snapshots bucket    // rationed answers in full
	judged    bucket    // and questions that need the head lock
}

// register holds the processes that ask this node: authoritative for them, and
// written to the database a moment later.
type register struct {
	mu        sync.Mutex
	processes map[ProcessID]*process              // guarded by mu, as all below
	dirty     map[ProcessID]*process              // to be written
	unsaved   []store.Confirmation                // to be written
	heard     map[cutoff.Pos][]store.Confirmation // the newest receipts', written or not
	clients   map[directory.AppID]*bucket
	kick      chan struct{}
}

func (r *register) init() {
	r.processes, r.dirty = map[ProcessID]*process{}, map[ProcessID]*process{}
	r.heard, r.clients = map[cutoff.Pos][]store.Confirmation{}, map[directory.AppID]*bucket{}
	r.kick = make(chan struct{}, 1)
}

// bucket is a token bucket; the zero one is full.
type bucket struct {
	used float64
	at   time.Time
}

func (b *bucket) take(now time.Time, burst, perSecond float64) bool {
	b.used = max(0, b.used-max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
	if b.used+1 > burst {
		return false
	}
	b.used++
	return true
}

func (r *register) mayRegister(app directory.AppID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.clients[app]
	if b == nil {
		b = &bucket{}
		r.clients[app] = b
	}
	return b.take(now, registerBurst, registerRate)
}

// may takes from a bucket of a process: three at once, then one a second.
func (r *register) may(b *bucket, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return b.take(now, snapshotBurst, 1)
}

func (r *register) add(g *store.Guard, head cutoff.Pos, mine bool) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.processes[g.ID]; p != nil {
		return p // two questions came at once
	}
	p := &process{guard: *g, since: head, mine: mine, ackedAt: g.Answered, noted: g.Answered}
	r.processes[g.ID] = p
	return p
}

func (r *register) get(id ProcessID) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.processes[id]
}

func (r *register) hasLeft(p *process) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !p.guard.Gone.IsZero()
}

// ask counts a question in. False: too many are held for this process.
func (r *register) ask(p *process) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.asking >= maxAsking {
		return false
	}
	p.asking++
	return true
}

// answered counts it out. at is the instant of which the answer speaks, zero when
// there was none; it is noted before a byte is sent, so that a guard never closes
// later than we say.
func (r *register) answered(p *process, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.asking--
	if at.IsZero() {
		return
	}
	p.mine = true
	if at.After(p.guard.Answered) {
		p.guard.Answered = at.UTC()
	}
	if at.Sub(p.noted) >= noteEvery {
		r.mark(p)
	}
}

func (r *register) stream(p *process, add int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.streams+add > maxStreams {
		return false
	}
	p.streams += add
	return true
}

// acknowledge merges a position and returns the receipts that are confirmed by it.
func (r *register) acknowledge(p *process, pos cutoff.Pos, at time.Time, between func(from, to cutoff.Pos) []receiptAt) []receiptAt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pos <= p.guard.Acked || !p.guard.Gone.IsZero() {
		return nil
	}
	confirmed := between(max(p.guard.Acked, p.since), pos)
	p.guard.Acked, p.ackedAt = pos, at.UTC()
	r.mark(p)
	for _, x := range confirmed {
		c := store.Confirmation{Pos: x.pos, Process: p.guard.ID, At: at.UTC()}
		r.heard[x.pos] = append(r.heard[x.pos], c)
		if len(r.unsaved) < maxConfirmed { // beyond, the acknowledged position alone tells of it
			r.unsaved = append(r.unsaved, c)
		}
	}
	return confirmed
}

func (r *register) leave(p *process, at time.Time) store.Guard {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.guard.Gone.IsZero() {
		p.guard.Gone = at.UTC()
	}
	return p.guard
}

func (r *register) touch(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark(p)
}

// mark makes p wait to be written. The caller holds mu.
func (r *register) mark(p *process) {
	r.dirty[p.guard.ID] = p
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// heardOf are the confirmations of a line that this node knows.
func (r *register) heardOf(pos cutoff.Pos) []store.Confirmation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heard[pos])
}

// keepHeard bounds the receipts whose confirmations stay in memory after they
// were written.
const keepHeard = 64

// forget drops processes that asked nothing for long, and confirmations that the
// database has.
func (r *register) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.processes {
		last := p.guard.Answered
		if last.IsZero() {
			last = p.guard.Registered
		}
		if p.asking == 0 && p.streams == 0 && r.dirty[id] == nil && now.Sub(last) > p.guard.MaxStaleness+ForgetAfter {
			delete(r.processes, id)
		}
	}
	if len(r.unsaved) > 0 || len(r.heard) <= keepHeard {
		return
	}
	pos := make([]cutoff.Pos, 0, len(r.heard))
	for p := range r.heard {
		pos = append(pos, p)
	}
	slices.Sort(pos)
	for _, p := range pos[:len(pos)-keepHeard] {
		delete(r.heard, p)
	}
}
