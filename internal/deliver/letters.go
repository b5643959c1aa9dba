package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// State is how a recipient stands.
type State string

// The states.
const (
	UpToDate State = "upToDate"
	Waiting  State = "waiting" // something is on its way
	Failing  State = "failing" // the last attempt failed
)

// Recipient is an application that is told, as it stands now.
type Recipient struct {
	App         directory.AppID
	Name        string
	Host        string // where it is asked, without path and query
	State       State
	Pos         cutoff.Pos // everything up to here was confirmed or given up, or was nothing for it
	Failing     time.Time  // since when; zero: it is not
	Attempts    int
	Error       string    // of the last attempt
	Next        time.Time // of a failing one: when it is tried again
	DeadLetters int       // given up, and not dropped
}

// LetterID names a dead letter.
type LetterID = directory.ID[store.DeadLetter]

// Letter is a dead letter as people see it.
type Letter struct {
	ID       LetterID
	App      directory.AppID
	Pos      cutoff.Pos
	Cause    standing.Cause // of the line; empty: the ledger has lost it
	Cut      time.Time      // when that was
	User     directory.UserID
	Session  string // empty: all sessions of the user at the application
	Rest     bool   // everything of the line after User, who is zero for all of it
	Attempts int
	Error    string
	GivenUp  time.Time
}

// MaxLetters is how many dead letters are listed at once.
const MaxLetters = 500

// Recipients lists who is told, and how each stands. Kinds: Denied, Revoked,
// Unavailable.
func (s *Service) Recipients(ctx context.Context, actor directory.Actor) (all []Recipient, err error) {
	s.start()
	err = s.read(ctx, actor, func(tx *store.Tx) error {
		all = nil
		rows, err := tx.Recipients()
		if err != nil {
			return err
		}
		letters, err := tx.CountDeadLetters()
		if err != nil {
			return err
		}
		for _, r := range rows {
			x := Recipient{App: directory.AppID(r.Target), State: UpToDate, Pos: r.Pos, DeadLetters: letters[r.ID]}
			app, err := tx.App(x.App)
			if err != nil {
				return err
			}
			if u, err := url.Parse(app.BackChannelLogoutURI); err == nil {
				x.Host = u.Host
			}
			x.Name = app.Name
			switch {
			case !r.Failing.IsZero():
				x.State, x.Failing, x.Attempts, x.Error, x.Next = Failing, r.Failing, r.Attempts, r.Error, r.Next
			case r.Next.After(tx.Now) || s.waits(r.ID):
				x.State = Waiting
			}
			all = append(all, x)
		}
		return nil
	})
	return all, err
}

// Letters lists dead letters, the oldest first, after one of them (zero: from the
// first), at most MaxLetters. Kinds as Recipients.
func (s *Service) Letters(ctx context.Context, actor directory.Actor, after LetterID, limit int) (all []Letter, err error) {
	err = s.read(ctx, actor, func(tx *store.Tx) error {
		all = nil
		rows, err := tx.DeadLetters(after, min(max(limit, 1), MaxLetters))
		if err != nil {
			return err
		}
		for _, d := range rows {
			x := Letter{ID: d.ID, App: appOf(d), Pos: d.Pos, Attempts: d.Attempts, Error: d.Error, GivenUp: d.At}
			if line, err := tx.LineAt(d.Pos); err == nil {
				x.Cause, x.Cut = line.Cause, line.At
			} else if err != store.ErrNotFound {
				return err
			}
			item, isRest := strings.CutPrefix(d.Item, rest)
			x.Rest, x.User = isRest, userOf(item)
			if parts := strings.Split(item, "/"); !isRest && len(parts) == 3 {
				x.Session = parts[1]
			}
			all = append(all, x)
		}
		return nil
	})
	return all, err
}

func appOf(d *store.DeadLetter) directory.AppID {
	_, app, _ := strings.Cut(d.Recipient, ":")
	return directory.AppID(app)
}

func (s *Service) read(ctx context.Context, actor directory.Actor, f func(*store.Tx) error) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if err := role.Allowed(a, role.ReadReceipts, role.Target{}).Err(""); err != nil {
			return err
		}
		return f(tx)
	})
}

// Act says how something is done.
type Act struct {
	Reason string // for the audit log, 500 bytes at most
	DryRun bool   // make every check, write and send nothing
}

var errDry = errors.New("dry run")

// update runs a write of somebody who may change applications; a refusal is
// written down.
func (s *Service) update(ctx context.Context, actor directory.Actor, act Act, action string, f func(*store.Tx) error) error {
	if len(act.Reason) > 500 {
		return fault.New(fault.Invalid, "The reason is too long: 500 characters at most.")
	}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if err := role.Allowed(a, role.UpdateApp, role.Target{}).Err(""); err != nil {
			return err
		}
		return f(tx)
	})
	if !fault.Is(err, fault.Denied) || act.DryRun {
		return err
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	return errors.Join(err, s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		tx.Audit(audit.Record{Action: action, Result: audit.Refused, Elaborate: fault.Public(err)})
		return nil
	}))
}

// Wake tries an application again now, instead of when its wait is over. Kinds:
// Denied, NotFound, Revoked, Unavailable.
func (s *Service) Wake(ctx context.Context, actor directory.Actor, app directory.AppID, act Act) error {
	s.start()
	id := store.KindLogout + ":" + string(app)
	err := s.update(ctx, actor, act, wakeActivity, func(tx *store.Tx) error {
		r, err := tx.Recipient(id)
		if err == store.ErrNotFound {
			return fault.New(fault.NotFound, "That application has no back-channel logout address.")
		}
		if act.DryRun && err == nil {
			return errDry
		}
		if err != nil || r.Failing.IsZero() { // a lease is not cut short
			return err
		}
		was := r.Next
		r.Next = time.Time{}
		tx.Audit(audit.Record{Action: wakeActivity, Target: audit.Party{Kind: "app", ID: string(app), Name: string(app)}})
		return tx.SaveRecipient(r, was)
	})
	if errors.Is(err, errDry) {
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.todo[id]; t != nil {
		t.due = time.Time{}
	}
	select {
	case s.done <- struct{}{}:
	default:
	}
	return nil
}

// What the audit log calls what is done here.
const (
	giveUpActivity = "Give up logout notice"
	retryActivity  = "Retry logout notice"
	dropActivity   = "Drop logout notice"
	wakeActivity   = "Retry application"
)

// retryTime bounds how long a retry takes. What is left of a long letter stays in
// it.
const retryTime = 20 * time.Second

// Retry sends a dead letter again, now, as it would read today, and forgets it
// once the application has confirmed it. Kinds: Denied, NotFound, Conflict (there
// is nobody to tell any more), Revoked, Unavailable (not confirmed; the sentence says
// why).
func (s *Service) Retry(ctx context.Context, actor directory.Actor, id LetterID, act Act) error {
	ctx, cancel := context.WithTimeout(ctx, retryTime)
	defer cancel()
	for {
		var d *store.DeadLetter
		var app *directory.App
		var all []notice
		var at string
		var done bool
		err := s.update(ctx, actor, act, retryActivity, func(tx *store.Tx) (err error) {
			if d, err = letterOf(tx, id); err != nil {
				return err
			}
			app, err = tx.App(appOf(d))
			if errors.Is(err, store.ErrNotFound) || err == nil && app.BackChannelLogoutURI == "" {
				return fault.New(fault.Conflict, "The application has no back-channel logout address any more. Drop the letter.")
			}
			if err != nil {
				return err
			}
			line, err := tx.LineAt(d.Pos)
			if err == store.ErrNotFound {
				return fault.New(fault.Conflict, "The ledger has lost that line, and told everybody that everything ended since. Drop the letter.")
			}
			if err == nil {
				all, at, done, err = again(tx, &line, app, d)
			}
			if err == nil && act.DryRun {
				err = errDry
			}
			return err
		})
		if errors.Is(err, errDry) {
			return nil
		}
		if err != nil {
			return err
		}
		n, dead, err := s.tellAll(ctx, app, all)
		var f *failed
		if err != nil && !errors.As(err, &f) {
			return fault.Wrap(fault.Unavailable, "There was no time to tell the application everything. Retry the rest.", err)
		}
		whole := strings.HasPrefix(d.Item, rest)
		if !whole && f == nil && len(dead) > 0 {
			f = &failed{sentence: dead[0].error}
		}
		if f == nil && done && len(dead) == 0 {
			return s.end(ctx, actor, id, act, retryActivity)
		}
		err = s.update(ctx, actor, act, retryActivity, func(tx *store.Tx) error {
			switch {
			case f != nil:
				d.Attempts, d.Error = d.Attempts+1, f.sentence
				if whole && n > 0 {
					d.Item = rest + all[n-1].key()
				}
			case whole:
				d.Item = rest + at
			}
			for _, l := range dead {
				if !whole {
					break
				}
				one := &store.DeadLetter{ID: directory.NewID[store.DeadLetter](tx.Now), Recipient: d.Recipient, Pos: d.Pos, Item: l.item, Attempts: 1, Error: l.error, At: tx.Now}
				if err := tx.CreateDeadLetter(one); err != nil {
					return err
				}
			}
			return tx.SaveDeadLetter(d)
		})
		if err != nil {
			return err
		}
		if f != nil {
			return fault.New(fault.Unavailable, f.sentence)
		}
	}
}

// again is what a dead letter says now: what was one notice to end all a user's
// sessions may have to name them meanwhile.
func again(tx *store.Tx, l *store.LineAt, app *directory.App, d *store.DeadLetter) (all []notice, at string, done bool, err error) {
	if after, ok := strings.CutPrefix(d.Item, rest); ok {
		return page(tx, l, app, after)
	}
	parts := strings.Split(d.Item, "/")
	if len(parts) != 3 {
		return nil, "", true, fmt.Errorf("dead letter %s: item %q", d.ID, d.Item)
	}
	n := notice{user: userOf(d.Item), plain: parts[2] == "p"}
	if parts[1] == "" {
		all, err = ofUser(tx, l, app, n.user)
		return all, "", true, err
	}
	n.session, err = directory.ParseID[directory.Session](parts[1])
	return []notice{n}, "", true, err
}

func letterOf(tx *store.Tx, id LetterID) (*store.DeadLetter, error) {
	d, err := tx.DeadLetter(id)
	if err == store.ErrNotFound {
		err = fault.New(fault.NotFound, "There is no such dead letter.")
	}
	return d, err
}

// Drop forgets a dead letter: the application is never told. Kinds: Denied,
// NotFound, Revoked, Unavailable.
func (s *Service) Drop(ctx context.Context, actor directory.Actor, id LetterID, act Act) error {
	return s.end(ctx, actor, id, act, dropActivity)
}

func (s *Service) end(ctx context.Context, actor directory.Actor, id LetterID, act Act, activity string) error {
	err := s.update(ctx, actor, act, activity, func(tx *store.Tx) error {
		d, err := letterOf(tx, id)
		if err != nil {
			return err
		}
		tx.Audit(audit.Record{Action: activity, Target: audit.Party{Kind: "app", ID: string(appOf(d)), Name: string(appOf(d))}, Elaborate: fmt.Sprintf("Line %d: %s", d.Pos, d.Error),
			Changes: []audit.Change{{Property: "DeadLetter.Id", Old: id.String()}}})
		if err := tx.DeleteDeadLetter(id); err != nil || !act.DryRun {
			return err
		}
		return errDry
	})
	if errors.Is(err, errDry) {
		return nil
	}
	return err
}
