package guard

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/guard/internal/wire"
)

const (
	maxAnswer       = 512 << 20        // bytes: a snapshot of a few million cutoffs
	answerCap       = 2 * time.Minute  // for reading one that keeps coming
	snapshotTimeout = 60 * time.Second // for one to begin
)

// ask puts one question and applies the answer. It returns the cursor to ask
// with next (the old one after an error), and whether the answer came at once
// with nothing new although the server might have held the question.
func (g *Guard) ask(ctx context.Context, process, cursor string, hurry bool) (next string, idle bool, err error) {
	ctx, done := g.feed.begin(ctx)
	defer done(nil)
	q := url.Values{"process": {process}, "nonce": {crand.Text()}}
	limit := snapshotTimeout
	if cursor != "" {
		q.Set("after", cursor)
		var wait time.Duration
		if !hurry {
			wait = g.wait
			q.Set("wait", wait.String())
		}
		// Half of what is left: a question that hangs is given up while there
		// is time to ask again before the guard has to close.
		limit = wait + (g.cfg.MaxStaleness-wait)/2
	}
	g.mu.RLock()
	bad, head := g.bad, g.view.Load().head
	g.mu.RUnlock()
	start := g.now()
	a, err := g.call(ctx, q, limit)
	if err == nil {
		err = g.apply(a, start, q, bad)
	}
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errInterrupted) {
			return cursor, false, errInterrupted
		}
		if errors.Is(err, wire.ErrUnreadable) {
			g.unreadable()
		}
		return cursor, false, fmt.Errorf("ask: %w", err)
	}
	idle = !a.Snapshot && a.Head == head && g.now().mono-start.mono < int64(g.wait/2)
	return a.Cursor, idle, nil
}

func (g *Guard) call(ctx context.Context, q url.Values, limit time.Duration) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+answerCap)
	defer cancel()
	timer := time.AfterFunc(limit, cancel)
	defer timer.Stop()
	req, err := g.newRequest(ctx, http.MethodGet, q, nil)
	if err != nil {
		return nil, err
	}
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
	return wire.Read(wire.Patient{Reader: http.MaxBytesReader(nil, resp.Body, maxAnswer), Timer: timer, Limit: limit})
}

// apply takes over an answer whose question began at start. bad is how many
// unreadable lines had been seen by then.
func (g *Guard) apply(a *wire.Answer, start instant, q url.Values, bad uint64) error {
	g.mu.Lock()
	v := *g.view.Load()
	if err := a.Check(q, v.head); err != nil {
		g.mu.Unlock()
		return err
	}
	if a.Snapshot {
		v.set = a.Set // a new one: what it forgot lies below its floor
		for _, l := range g.ahead {
			v.set.Merge(l) // only adds; the snapshot may be older than the stream
		}
		v.version++
	}
	for _, l := range a.Lines {
		if v.set.Merge(l) {
			v.version++
		}
	}
	keep := g.ahead[:0]
	for _, l := range g.ahead {
		if l.Pos > a.Head {
			keep = append(keep, l)
		}
	}
	clear(g.ahead[len(keep):])
	g.ahead = keep
	raised := a.Floor > v.floor
	v.floor = max(v.floor, a.Floor)
	v.head, v.pos = a.Head, max(v.pos, a.Head)

	// How old the view is: the time since the question began, less what the
	// node held it, plus what the node's own view may be behind. The node's
	// clock cannot have run longer than ours; if it says so, ours counts.
	now := g.now()
	elapsed := max(0, min(now.mono-start.mono, now.wall-start.wall))
	vouched := start.add(min(a.Held, time.Duration(elapsed)) - a.Age)
	if !v.open || vouched.since(now) <= v.vouched.since(now) {
		v.vouched = vouched
	}
	// A line that could not be read came while we asked: this answer may have
	// been written before it.
	v.open = bad == g.bad && !g.stopped
	g.distrust(&v)
	g.view.Store(&v)
	g.lastErr = nil
	g.tell()
	g.mu.Unlock()

	if a.Snapshot || raised {
		g.cutHeld(nil)
	}
	for i := range a.Lines {
		g.cutHeld(&a.Lines[i])
	}
	return nil
}

// unreadable closes the guard until an answer to a later question can be read.
func (g *Guard) unreadable() {
	g.mu.Lock()
	g.bad++
	g.close("a line of the feed cannot be read; this guard may be too old for its server")
	g.mu.Unlock()
	g.cutHeld(nil)
}
