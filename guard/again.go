package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/again"
	"github.com/curfew-id/curfew/guard/internal/wire"
)

// A token that a cutoff of reach judge covers is judged again by the server before
// it is accepted: once, when it is next shown, and then not until the next such
// cutoff (docs/decisions/0021). Where the answer depends on the address, the token is
// good from the address it was judged for, and is judged for each other one.
//
//	born ── judged up to P ──── line J > P ──▶ owed ── asked ──▶ judged up to H ≥ J
//	    never shown from this address ─────────▶│        │ inactive: refused, and remembered until a later line
//	                                            │        └ not answered: refused (503)
//	                                            └ meanwhile every request with it waits for that one question

const (
	askTime    = 3 * time.Second  // for one question, waiting for its turn included
	asksAtOnce = 32               // of one guard; more wait for their turn
	barredFor  = 10 * time.Second // a refusal is asked for again after that, should nothing else have changed
	askTries   = 3                // lines that may come while one request is being judged
	heldAtOnce = 16               // of asksAtOnce, for requests that are held
)

// errOwed is what judge says of a token that must be judged again first. It never
// leaves the package.
var errOwed = errors.New("the token is to be judged again")

var (
	errUnjudged = errors.New("this service must have the token judged again and cannot reach whoever does that")
	errBarred   = errors.New("access with this token is not allowed any more")
	errOutside  = errors.New("access with this token is not allowed from this address")
	errStepUp   = errors.New("more recent or stronger authentication is required")
)

// doubt is what an entry knows about being judged again.
type doubt struct {
	mu     sync.Mutex
	flight *flight // guarded by mu: the question under way; nil: none
	barred *barred // guarded by mu: the last refusal; nil: none
}

type flight struct {
	from netip.Addr
	done chan struct{}
	err  error // written before done is closed
}

// barred is a refusal that goes on until something changes.
type barred struct {
	pos  cutoff.Pos
	from netip.Addr
	at   instant
	why  *Refusal
}

// settle has e judged again until nothing is owed, or it is refused.
func (g *Guard) settle(ctx context.Context, e *entry, from netip.Addr) error {
	for range askTries {
		if err := g.again(ctx, e, from); err != nil {
			return err
		}
		if err := g.judge(e, g.now(), from); err != errOwed {
			return err
		}
	}
	return &Refusal{Kind: Unjudged, Claims: e.claims, cause: errUnjudged}
}

// again puts the question for e, or waits for the one under way. Nil: judge it once
// more, something has changed.
func (g *Guard) again(ctx context.Context, e *entry, from netip.Addr) error {
	need, owed := g.owes(e, from)
	if !owed {
		return nil
	}
	d, now := &e.doubt, g.now()
	d.mu.Lock()
	if b := d.barred; b != nil && b.pos >= need && b.from == from && b.at.since(now) < barredFor {
		d.mu.Unlock()
		why := *b.why
		why.at = now.wall
		return &why
	}
	f := d.flight
	if f == nil {
		f = &flight{from: from, done: make(chan struct{})}
		d.flight = f
		d.mu.Unlock()
		f.err = g.inquire(ctx, e, from, need)
		d.mu.Lock()
		d.flight = nil
		d.mu.Unlock()
		close(f.done)
		return f.err
	}
	d.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return &Refusal{Kind: Unjudged, Claims: e.claims, cause: errUnjudged}
	}
	if f.from != from {
		return nil // what was said of another address does not count for this one
	}
	return f.err
}

// owes is the position up to which e must have been judged to be shown from an
// address, and whether it was not. Nothing from before what was answered already will
// do: a node that knows less knows nothing.
func (g *Guard) owes(e *entry, from netip.Addr) (need cutoff.Pos, owed bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := e.passes.Load()
	need = g.view.Load().set.Judge(&e.owner)
	pass := p.Of(from)
	return max(need, p.Newest()), pass == nil || need > pass.Pos
}

// inquire asks the server and takes its answer over. One that does not come in time
// refuses, as everything else that goes wrong does. The question outlives the
// request that put it: others wait for it.
func (g *Guard) inquire(ctx context.Context, e *entry, from netip.Addr, need cutoff.Pos) error {
	deadline := time.Now().Add(askTime)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	q := again.Question{Token: e.token, ID: e.claims.ID, Pos: need, Address: from}
	a, err := g.put(ctx, &q)
	if err != nil {
		g.log.Warn("a token could not be judged again", "error", err, "token", e.claims.ID, "user", e.claims.User)
		return &Refusal{Kind: Unjudged, Claims: e.claims, cause: errUnjudged}
	}
	now := g.now()
	if a.Active {
		e.admit(a, from)
		return nil
	}
	why := &Refusal{Kind: Barred, Claims: e.claims, cause: errBarred, at: now.wall, dpop: e.claims.bound.jkt != ""}
	switch a.Reason {
	case again.Place:
		why.Kind, why.cause = Outside, errOutside
	case again.Revoked:
		why.Kind, why.cause = Revoked, errRevoked
	case again.StepUp:
		if !e.claims.capable() { // who understands a claims challenge is told there what is missing
			why.Kind, why.cause = StepUp, errStepUp
		}
	}
	if a.Judged >= need {
		e.doubt.mu.Lock()
		e.doubt.barred = &barred{pos: a.Judged, from: from, at: now, why: why}
		e.doubt.mu.Unlock()
	}
	return why
}

// put sends one question when it is its turn.
func (g *Guard) put(ctx context.Context, q *again.Question) (*again.Answer, error) {
	select {
	case g.asks <- struct{}{}:
		defer func() { <-g.asks }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for its turn: %w", ctx.Err())
	}
	reg, ok := g.feed.registered(ctx)
	if !ok || reg.Introspection == "" {
		return nil, errors.New("the server did not say where to ask")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, reg.Introspection, strings.NewReader(q.Form().Encode()))
	if err != nil {
		return nil, err
	}
	g.sign(req)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := refusedBy(resp, http.StatusOK); err != nil {
		return nil, err
	}
	if wire.MediaType(resp.Header) != "application/json" {
		return nil, errors.New("the answer is not JSON")
	}
	return q.Read(resp.Body)
}

// admit takes over that the server has judged the token by what stood at a.Judged.
func (e *entry) admit(a *again.Answer, from netip.Addr) {
	until := int64(0)
	if a.Until > 0 && a.Until < e.claims.Expires.Unix() {
		until = wallNanos(a.Until)
	}
	e.doubt.mu.Lock()
	e.passes.Store(e.passes.Load().With(from, a, until))
	e.doubt.mu.Unlock()
}

// rejudge is Run's loop for what is held: requests whose token has come in doubt are
// judged again at once. What was not judged before the guard would have had to
// close, had it heard nothing, is cut.
func (g *Guard) rejudge(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.holds.owing:
		}
		g.rejudgeHeld(ctx)
	}
}

func (g *Guard) rejudgeHeld(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.MaxStaleness)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	turn := make(chan struct{}, heldAtOnce)
	for _, h := range g.holds.all() {
		if err := g.judge(h.e, g.now(), h.from); err != errOwed {
			g.sentence(h, err)
			continue
		}
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			g.end(h, &Refusal{Kind: Unjudged, Claims: h.e.claims, cause: errUnjudged})
			continue
		}
		all.Go(func() {
			defer func() { <-turn }()
			if err := g.settle(ctx, h.e, h.from); err != nil {
				g.end(h, err)
			}
		})
	}
}

// sentence is what becomes of a held request when its token was looked at.
func (g *Guard) sentence(h *held, err error) {
	switch err {
	case nil:
	case errOwed:
		select {
		case g.holds.owing <- struct{}{}:
		default:
		}
	default:
		g.end(h, err)
	}
}
