package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
)

// errTaken: another node has claimed the recipient. What was sent meanwhile is
// sent twice.
var errTaken = errors.New("another node has taken over")

// a round is one turn of one recipient: its row as this node holds it.
type round struct {
	s     *Service
	r     store.Recipient
	saved store.Recipient // r as it stands in the row: its Next is our claim
	app   *directory.App
	until time.Time // the end of the turn
}

// deliver brings one recipient as far as it goes, at least up to a line that
// concerns it. It returns when to try again (zero: nothing is left that it knows
// of) and how far the cursor is.
func (s *Service) deliver(ctx context.Context, id string, upTo cutoff.Pos) (next time.Time, at cutoff.Pos) {
	x, next, err := s.claim(ctx, id, upTo)
	if x == nil {
		if err != nil && ctx.Err() == nil {
			s.log().Warn("a recipient could not be claimed", "recipient", id, "error", err)
			next = s.now().Add(firstWait)
		}
		return next, cutoff.MaxPos
	}
	err = x.run(ctx)
	if err != nil && !errors.Is(err, errTaken) {
		// Ours, not the recipient's: nothing is held against it, and what is not
		// written down has not happened.
		x.r = x.saved
		if x.r.Next = s.now().Add(firstWait); ctx.Err() != nil {
			x.r.Next = time.Time{}
		} else {
			s.log().Warn("delivery interrupted", "recipient", id, "error", err)
		}
		save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = x.save(save)
	}
	if err != nil { // whoever holds it goes on; look again when that lease is over
		return s.now().Add(lease), cutoff.MaxPos
	}
	if x.r.Next.IsZero() && x.more() {
		return s.now(), cutoff.MaxPos
	}
	return x.r.Next, x.r.Pos
}

// more reports whether the turn ended before the work.
func (x *round) more() bool { return !x.s.now().Before(x.until) }

// claim takes a recipient for a lease. No round: it is somebody else's until
// next, or has been told everything up to upTo.
func (s *Service) claim(ctx context.Context, id string, upTo cutoff.Pos) (x *round, next time.Time, err error) {
	now := s.now().UTC().Truncate(time.Microsecond)
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		x, next = nil, time.Time{}
		r, err := tx.Recipient(id)
		if err == store.ErrNotFound || err == nil && r.Pos >= upTo {
			return nil
		}
		if err != nil {
			return err
		}
		if r.Next.After(now) {
			next = r.Next
			return nil
		}
		app, err := tx.App(directory.AppID(r.Target))
		if err != nil {
			return err
		}
		was := r.Next
		r.Next = now.Add(lease)
		x = &round{s: s, r: *r, saved: *r, app: app, until: now.Add(turn)}
		return tx.SaveRecipient(r, was)
	})
	if err != nil {
		x = nil
	}
	return x, next, err
}

// save writes how far the round is. r.Next says what comes: the lease goes on, a
// wait, or nothing.
func (x *round) save(ctx context.Context, letters ...letter) error {
	x.r.Next = x.r.Next.UTC().Truncate(time.Microsecond)
	err := x.s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: directory.Actor{System: true}})
		for _, l := range letters {
			if err := x.give(tx, l); err != nil {
				return err
			}
		}
		err := tx.SaveRecipient(&x.r, x.saved.Next)
		if err == store.ErrNotFound {
			return errTaken
		}
		return err
	})
	if err == nil {
		x.saved = x.r
	}
	return err
}

// run tells the recipient line after line. When it returns nil the claim has been
// given back.
func (x *round) run(ctx context.Context) error {
	for {
		var lines []store.LineAt
		err := x.s.DB.Read(ctx, func(tx *store.Tx) (err error) {
			lines, err = tx.LinesFrom(x.r.Pos, x.r.Mark, linesOnce)
			return err
		})
		if err != nil {
			return err
		}
		for i := range lines {
			last := i == len(lines)-1 && len(lines) < linesOnce
			if waits, err := x.line(ctx, &lines[i], last); err != nil || waits {
				return err
			}
			x.r.Pos, x.r.Mark, x.r.Item = lines[i].Pos, lines[i].Mark, ""
			if last = last || x.more(); last {
				break
			}
		}
		if len(lines) < linesOnce || x.more() {
			x.r.Next = time.Time{}
			return x.save(ctx)
		}
		if err := x.renew(ctx); err != nil {
			return err
		}
	}
}

// renew keeps the claim while nothing is sent.
func (x *round) renew(ctx context.Context) error {
	x.r.Next = x.s.now().Add(lease)
	return x.save(ctx)
}

// line tells the recipient what a line means for it, from r.Item on. It reports
// whether the recipient waits now: after a failure, or because its turn is over.
// The end of the last line there is stays to be written with the end of the round.
func (x *round) line(ctx context.Context, l *store.LineAt, last bool) (waits bool, err error) {
	if planOf(l, x.app.ID).empty() {
		return false, nil
	}
	for {
		var all []notice
		var at string
		var done bool
		err := x.s.DB.Read(ctx, func(tx *store.Tx) (err error) {
			if x.app, err = tx.App(x.app.ID); err != nil {
				return err
			}
			all, at, done, err = page(tx, l, x.app, x.r.Item)
			return err
		})
		if err != nil {
			return false, err
		}
		if x.r.Attempts > 0 && len(all) > 1 { // see first whether it is back
			all, done, at = all[:1], false, all[0].key()
		}
		n, dead, err := x.s.tellAll(ctx, x.app, all)
		var f *failed
		if err != nil && !errors.As(err, &f) {
			return false, err
		}
		if n > 0 {
			x.r.Item, x.r.Attempts, x.r.Failing, x.r.Error = all[n-1].key(), 0, time.Time{}, ""
		}
		for i := range dead {
			dead[i].pos = l.Pos
		}
		if f != nil {
			return x.fail(ctx, l, f, dead)
		}
		if x.r.Item = at; done {
			x.r.Pos, x.r.Mark, x.r.Item = l.Pos, l.Mark, ""
		}
		over := !done && x.more()
		switch young := x.s.now().Before(x.saved.Next.Add(-lease / 2)); {
		case len(dead) > 0 || over:
		case done && (last || len(all) == 0):
			return false, nil
		case len(all) == 0 && young:
			continue // nobody yet among those looked through
		}
		if x.r.Next = x.s.now().Add(lease); over {
			x.r.Next = time.Time{}
		}
		if err := x.save(ctx, dead...); err != nil || done || over {
			return over, err
		}
	}
}

// fail notes a failure: wait, or give the rest of the line up.
func (x *round) fail(ctx context.Context, l *store.LineAt, f *failed, dead []letter) (waits bool, err error) {
	now := x.s.now()
	if x.r.Attempts++; x.r.Failing.IsZero() {
		x.r.Failing = now
		x.s.log().Warn("a recipient does not take what it is told", "recipient", x.r.ID, "line", l.Pos, "why", f.sentence)
	}
	x.r.Error, x.r.Next = f.sentence, now.Add(wait(x.r.Attempts))
	if x.r.Attempts >= fewTries && now.Sub(l.At) >= MaxAge {
		dead = append(dead, letter{pos: l.Pos, item: rest + x.r.Item, attempts: x.r.Attempts, error: f.sentence})
		x.r.Pos, x.r.Mark, x.r.Item, x.r.Attempts = l.Pos, l.Mark, "", 0
		// Failing and Error stay until it takes something.
	}
	return true, x.save(ctx, dead...)
}

// wait is how long to wait after so many failures: about twice as long each time,
// and never the same for everybody.
func wait(attempts int) time.Duration {
	d := min(firstWait<<min(attempts-1, 20), maxWait)
	return d/2 + rand.N(d/2+1)
}

// letter is a dead letter to be written. item is the key of one notice, or rest
// and the key after which everything of the line is meant.
type letter struct {
	pos      cutoff.Pos
	item     string
	attempts int
	error    string
}

const rest = ">"

func (x *round) give(tx *store.Tx, l letter) error {
	d := &store.DeadLetter{ID: directory.NewID[store.DeadLetter](tx.Now), Recipient: x.r.ID, Pos: l.pos, Item: l.item, Attempts: max(l.attempts, 1), Error: l.error, At: tx.Now}
	tx.Audit(audit.Record{Action: giveUpActivity, Result: audit.Failure, Target: store.AppParty(x.app), Elaborate: fmt.Sprintf("Line %d: %s", l.pos, l.error),
		Changes: []audit.Change{{Property: "DeadLetter.Id", New: d.ID.String()}}})
	return tx.CreateDeadLetter(d)
}
