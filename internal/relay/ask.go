package relay

import (
	"context"
	"errors"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// Ask is one question of a guard process.
type Ask struct {
	Process ProcessID
	After   string        // cursor of the last answer; empty: a snapshot
	Wait    time.Duration // how long to hold the question when there is nothing new; at most MaxWait
	Arrived time.Time     // when the question arrived; zero: now
}

// Answer is what the ledger says after the cursor.
type Answer struct {
	Cursor   string
	Head     cutoff.Pos // everything up to here is contained
	Floor    cutoff.Pos
	Age      time.Duration // how old the node's view may be
	Held     time.Duration // how long the node held the question
	Snapshot bool          // build a new set from Lines
	// Lines are the members of a JSON array of cutoff.Line, in pieces that are
	// shared between answers: write them one after the other, change none.
	Lines [][]byte
}

// Ask answers a guard process. The cursor it brings acknowledges: the process says
// that it has applied everything up to there.
//
// Kinds: Invalid (a cursor that is not ours, a wait out of range), NotFound
// (ErrUnknownProcess), Denied, Limited (snapshots are rationed), Unavailable (this
// node cannot vouch for its view).
func (s *Service) Ask(ctx context.Context, app *directory.App, q Ask) (_ *Answer, err error) {
	if q.Arrived.IsZero() {
		q.Arrived = s.now()
	}
	if q.Wait < 0 || q.Wait > MaxWait {
		return nil, fault.New(fault.Invalid, "The wait must be between 0 and 30 seconds.")
	}
	if err := s.begin(ctx); err != nil {
		return nil, unavailable(err)
	}
	if _, err := s.age(); err != nil {
		return nil, err
	}
	w, ok := store.Witness{}, true
	if q.After != "" {
		if w, ok = s.open(q.Process, q.After); !ok {
			return nil, fault.New(fault.Invalid, "This cursor is not one of ours.")
		}
	}
	p, err := s.process(ctx, app, q.Process)
	if errors.Is(err, ErrUnknownProcess) && q.After != "" {
		// A process registered in a history that is lost still is a witness of it.
		if _, werr := s.witness(ctx, w, nil); werr != nil {
			return nil, werr
		}
	}
	if err != nil {
		return nil, err
	}
	if !s.register.ask(p) {
		return nil, fault.New(fault.Limited, "Too many questions are open for this guard process.")
	}
	c := clock{s: s, arrived: q.Arrived}
	defer func() {
		if err != nil {
			c.at = time.Time{}
		}
		s.register.answered(p, c.at)
	}()
	if q.After == "" {
		return s.answerFull(ctx, p, &c)
	}
	good, err := s.witness(ctx, w, p)
	if err != nil {
		return nil, err
	}
	if good {
		s.acknowledge(p, w.Pos, q.Arrived)
	}
	if !good || w.Pos < s.hub.newestEra(s.DB.View()) {
		return s.answerFull(ctx, p, &c)
	}
	return s.follow(ctx, p, w, q.Wait, &c)
}

// clock measures the two figures that let a guard tell how old its view is. They
// are taken before the lines are read, and in this order: at worst a guard thinks
// that its view is older than it is.
type clock struct {
	s         *Service
	arrived   time.Time
	held, age time.Duration
	at        time.Time
}

func (c *clock) measure() (err error) {
	c.at = c.s.now()
	c.held = held(c.arrived, c.at)
	c.age, err = c.s.age()
	return err
}

// follow holds the question until there is a line after w, or the wait is over.
// The age is judged at the moment of answering: it may have grown meanwhile.
func (s *Service) follow(ctx context.Context, p *process, w store.Witness, wait time.Duration, c *clock) (*Answer, error) {
	over := wait <= 0
	var timer *time.Timer
	for {
		changed := s.DB.View().Changed()
		if err := c.measure(); err != nil {
			return nil, err
		}
		lines, head, mark, ok := s.DB.View().After(w.Pos)
		if !ok {
			return s.answerFull(ctx, p, c)
		}
		for i := range lines {
			if lines[i].Era {
				return s.answerFull(ctx, p, c)
			}
		}
		if len(lines) > 0 || over {
			a := &Answer{Cursor: s.seal(p.guard.ID, store.Witness{Pos: head, Mark: mark}), Head: head, Floor: s.currentFloor(), Age: c.age, Held: c.held}
			if len(lines) > 0 {
				a.Lines = [][]byte{s.hub.render(s.DB.View(), w.Pos, head, lines).json}
			}
			return a, nil
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		}
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, "The question was given up.", ctx.Err())
		}
	}
}

func (s *Service) answerFull(ctx context.Context, p *process, c *clock) (*Answer, error) {
	if !s.register.may(&p.snapshots, s.now()) {
		return nil, fault.New(fault.Limited, "Too many snapshots. Try again in a second.")
	}
	f, err := s.full(ctx, c.measure)
	if err != nil {
		return nil, err
	}
	return &Answer{Cursor: s.seal(p.guard.ID, f.at), Head: f.at.Pos, Floor: f.floor, Age: c.age, Held: c.held, Snapshot: true, Lines: f.chunks}, nil
}

// acknowledge notes that a process has applied everything up to pos, and rings
// who waits for that.
func (s *Service) acknowledge(p *process, pos cutoff.Pos, at time.Time) {
	confirmed := s.register.acknowledge(p, pos, at, func(from, to cutoff.Pos) []receiptAt {
		return s.hub.between(s.DB.View(), from, to)
	})
	for _, r := range confirmed {
		s.watchers.ring(r.id)
	}
}

// witness judges a valid cursor. True: the ledger has this line, so the cursor
// acknowledges it. False: it does not say what was applied of this history; the
// process needs a snapshot. When the cursor proves that history was lost, the era
// has begun when this returns.
//
// p is nil for a process that this history does not know.
func (s *Service) witness(ctx context.Context, w store.Witness, p *process) (bool, error) {
	v := s.hub.judge(s.DB.View(), w)
	if v == beyond {
		// This node may merely lag: look at the primary before thinking of loss.
		// When that cannot be done the answer is 503, never an era.
		if err := s.DB.Fresh(ctx); err != nil {
			return false, unavailable(err)
		}
		v = s.hub.judge(s.DB.View(), w)
	}
	switch {
	case v == known:
		return true, nil
	case v == below:
		return false, nil
	case v == unlisted && p != nil && !s.register.may(&p.judged, s.now()):
		return false, fault.New(fault.Limited, "Too many old cursors. Try again in a second.")
	}
	// One at a time: a thousand witnesses of one loss wait here, and all but the
	// first find themselves below the era line.
	select {
	case s.judging <- struct{}{}:
		defer func() { <-s.judging }()
	case <-ctx.Done():
		return false, fault.Wrap(fault.Unavailable, "The question was given up.", ctx.Err())
	}
	if v = s.hub.judge(s.DB.View(), w); v == known || v == below {
		return v == known, nil
	}
	began, err := s.DB.Testify(ctx, w)
	if err != nil {
		return false, unavailable(err)
	}
	if began {
		s.log().Error("a guard remembers history that the ledger does not have: everything is cut", "position", w.Pos)
	}
	return false, nil
}
