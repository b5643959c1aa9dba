package guard

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

const (
	maxAnswer       = 512 << 20        // bytes: a snapshot of a few million cutoffs
	answerCap       = 2 * time.Minute  // for reading one that keeps coming
	snapshotTimeout = 60 * time.Second // for one to begin
)

// answer is one answer of the feed. Of a snapshot the lines are merged into set
// while they are read, so that a large one is never held twice.
type answer struct {
	nonce    string
	cursor   string
	head     cutoff.Pos
	floor    cutoff.Pos
	age      time.Duration
	held     time.Duration
	snapshot bool
	lines    []cutoff.Line // not of a snapshot
	set      *cutoff.Set   // of a snapshot
	largest  cutoff.Pos    // of any line
}

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
		if errors.Is(err, errUnreadable) {
			g.unreadable()
		}
		return cursor, false, fmt.Errorf("ask: %w", err)
	}
	idle = !a.snapshot && a.head == head && g.now().mono-start.mono < int64(g.wait/2)
	return a.cursor, idle, nil
}

// patient cancels a call whose body stops coming.
type patient struct {
	io.Reader
	timer *time.Timer
	limit time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.timer.Reset(p.limit)
	}
	return n, err
}

func (g *Guard) call(ctx context.Context, q url.Values, limit time.Duration) (*answer, error) {
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
	if mediaType(resp.Header) != "application/json" {
		return nil, errors.New("the answer is not JSON")
	}
	return readAnswer(patient{http.MaxBytesReader(nil, resp.Body, maxAnswer), timer, limit})
}

// network remembers that reading failed, to tell that from what was read.
type network struct {
	io.Reader
	err error
}

func (n *network) Read(b []byte) (int, error) {
	c, err := n.Reader.Read(b)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return c, err
}

func readAnswer(from io.Reader) (*answer, error) {
	n := &network{Reader: from}
	dec := json.NewDecoder(n)
	if err := expect(dec, '{'); err != nil {
		return nil, err
	}
	a, seen := new(answer), map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if seen[name] {
			return nil, fmt.Errorf("member %.40q twice", name)
		}
		seen[name] = true
		switch name {
		case "nonce":
			err = dec.Decode(&a.nonce)
		case "cursor":
			err = dec.Decode(&a.cursor)
		case "head":
			err = dec.Decode(&a.head)
		case "floor":
			err = dec.Decode(&a.floor)
		case "age_ms":
			a.age, err = millis(dec)
		case "held_ms":
			a.held, err = millis(dec)
		case "snapshot":
			err = dec.Decode(&a.snapshot)
		case "lines":
			err = a.readLines(dec, n)
		default:
			var skip json.RawMessage
			err = dec.Decode(&skip)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := expect(dec, '}'); err != nil {
		return nil, err
	}
	for _, name := range []string{"nonce", "cursor", "head", "floor", "age_ms", "held_ms"} {
		if !seen[name] {
			return nil, fmt.Errorf("the answer lacks %s", name)
		}
	}
	if a.snapshot && a.set == nil {
		a.set = new(cutoff.Set)
		for _, l := range a.lines { // they came before the word snapshot
			a.set.Merge(l)
		}
		a.lines = nil
	}
	return a, nil
}

func expect(dec *json.Decoder, d json.Delim) error {
	t, err := dec.Token()
	if err == nil && t != d {
		err = fmt.Errorf("the answer is not in form: want %v", d)
	}
	return err
}

// millis reads a duration. It bounds what it reads: an age of a year and one
// of a century say the same.
func millis(dec *json.Decoder) (time.Duration, error) {
	var ms *float64
	if err := dec.Decode(&ms); err != nil {
		return 0, err
	}
	if ms == nil || *ms < 0 {
		return 0, errors.New("a duration is missing or negative")
	}
	return time.Duration(min(*ms, 366*24*3600*1000) * float64(time.Millisecond)), nil
}

func (a *answer) readLines(dec *json.Decoder, n *network) error {
	t, err := dec.Token()
	if err != nil || t == nil {
		return err // null: no lines
	}
	if t != json.Delim('[') {
		return errors.New("lines are not a list")
	}
	if a.snapshot {
		a.set = new(cutoff.Set)
	}
	for dec.More() {
		var l cutoff.Line
		if err := dec.Decode(&l); err != nil {
			return n.unreadable(err)
		}
		if err := l.Valid(); err != nil {
			return n.unreadable(err)
		}
		if a.snapshot {
			a.set.Merge(l)
		} else {
			a.lines = append(a.lines, l)
		}
		a.largest = max(a.largest, l.Pos)
	}
	return expect(dec, ']')
}

// unreadable tells a line that arrived whole and says something this guard does
// not understand from one that was cut off or garbled on the way. After the
// former the guard closes: it must not go on as if nothing had been said.
func (n *network) unreadable(err error) error {
	var syntax *json.SyntaxError
	if n.err != nil || errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%w: %.200v", errUnreadable, err)
}

// check says what is wrong with the answer to question q, given what is known.
func (a *answer) check(q url.Values, head cutoff.Pos) error {
	switch {
	case a.nonce != q.Get("nonce"):
		return errors.New("the answer belongs to another question")
	case a.cursor == "" || len(a.cursor) > 4096:
		return errors.New("no usable cursor")
	case a.head < 0 || a.head > cutoff.MaxPos || a.floor < 0 || a.floor > cutoff.MaxPos:
		return errors.New("a position is out of range")
	case !a.snapshot && !q.Has("after"):
		return errors.New("lines without a snapshot to add them to")
	case a.largest > a.head:
		return errors.New("a line lies beyond the head")
	case a.head < head:
		// Positions never repeat. A server that has lost history says so with
		// an era, which is higher; this one does not know yet, or never will.
		return fmt.Errorf("%w: from %d to %d", errBackwards, head, a.head)
	}
	last := cutoff.Pos(0)
	for _, l := range a.lines {
		if l.Pos <= last {
			return errors.New("lines are not in order")
		}
		last = l.Pos
	}
	return nil
}

// apply takes over an answer whose question began at start. bad is how many
// unreadable lines had been seen by then.
func (g *Guard) apply(a *answer, start instant, q url.Values, bad uint64) error {
	g.mu.Lock()
	v := *g.view.Load()
	if err := a.check(q, v.head); err != nil {
		g.mu.Unlock()
		return err
	}
	if a.snapshot {
		v.set = a.set // a new one: what it forgot lies below its floor
		for _, l := range g.ahead {
			v.set.Merge(l) // only adds; the snapshot may be older than the stream
		}
		v.version++
	}
	for _, l := range a.lines {
		if v.set.Merge(l) {
			v.version++
		}
	}
	keep := g.ahead[:0]
	for _, l := range g.ahead {
		if l.Pos > a.head {
			keep = append(keep, l)
		}
	}
	clear(g.ahead[len(keep):])
	g.ahead = keep
	raised := a.floor > v.floor
	v.floor = max(v.floor, a.floor)
	v.head, v.pos = a.head, max(v.pos, a.head)

	// How old the view is: the time since the question began, less what the
	// node held it, plus what the node's own view may be behind. The node's
	// clock cannot have run longer than ours; if it says so, ours counts.
	now := g.now()
	elapsed := max(0, min(now.mono-start.mono, now.wall-start.wall))
	vouched := start.add(min(a.held, time.Duration(elapsed)) - a.age)
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

	if a.snapshot || raised {
		g.cutHeld(nil)
	}
	for i := range a.lines {
		g.cutHeld(&a.lines[i])
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
