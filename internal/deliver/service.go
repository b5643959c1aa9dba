package deliver

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/store"
)

const (
	// atOnce bounds how many recipients are being told, sideBySide how many
	// notices each of them gets at the same time.
	atOnce     = 32
	sideBySide = 4
	// lease is for how long a claim keeps other nodes away. It is renewed with
	// every write of the cursor; what lies between two is far shorter.
	lease = 2 * time.Minute
	// turn is how long a recipient with much to be told is served before others
	// get their turn.
	turn = 30 * time.Second
	// MaxAge is how long a notice is tried. Then it is a dead letter, and so is each
	// later one as old that fails fewTries times.
	MaxAge   = 24 * time.Hour
	fewTries = 5
	// A wait begins at firstWait and doubles up to maxWait.
	firstWait = 2 * time.Second
	maxWait   = 5 * time.Minute
	// idleEvery is how often the cursors of those who had nothing to be told are
	// brought up to date, so that a start need not look far back.
	idleEvery = time.Minute
	pollEvery = time.Second
	linesOnce = 500
)

// Service delivers. Set DB, Keys, Issuer and Egress; call Run.
type Service struct {
	DB     *store.DB
	Keys   *keys.Service
	Issuer func(grant.Issuer) string // the iss of the ID tokens
	Egress *egress.Client
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: nowhere

	mu   sync.Mutex
	todo map[string]*task // guarded by mu: who has something waiting, by recipient
	busy int              // guarded by mu: how many of them are being served
	done chan struct{}    // guarded by mu: rung when one is served; set by start
	// owned are the goroutines that serve; started by pass, waited for by Run.
	owned sync.WaitGroup

	// The goroutine of Run owns these: how far the ledger was looked through.
	pos    cutoff.Pos
	mark   store.Mark
	begun  bool
	idled  time.Time
	idleAt cutoff.Pos
}

// task is what this node knows of a recipient that has something waiting.
type task struct {
	pos    cutoff.Pos // the newest line that concerns it
	due    time.Time
	served bool // right now
}

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// start makes the maps; every entry calls it.
func (s *Service) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.todo == nil {
		s.todo, s.done = map[string]*task{}, make(chan struct{}, 1)
	}
}

// Run delivers until ctx is done, and then lets what is under way come to its end
// or to its context's.
func (s *Service) Run(ctx context.Context) error {
	s.start()
	defer s.owned.Wait()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		changed := s.DB.View().Changed() // before the look: nothing slips in between
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
			s.log().Warn("the ledger was not looked through for deliveries", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-s.done:
		case <-poll.C:
		}
	}
}

// pass looks through what is new in the ledger and begins to serve whoever is
// due. It does not wait for them.
func (s *Service) pass(ctx context.Context) error {
	s.start()
	err := s.look(ctx)
	s.serve(ctx)
	if err == nil {
		err = s.idle(ctx)
	}
	return err
}

// look finds out whom the lines after the last ones concern.
func (s *Service) look(ctx context.Context) error {
	if !s.begun {
		if err := s.begin(ctx); err != nil {
			return err
		}
	}
	for {
		lines, _, _, known := s.DB.View().After(s.pos)
		if known && len(lines) == 0 {
			return nil
		}
		var concerned map[string]cutoff.Pos
		err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
			concerned = map[string]cutoff.Pos{}
			if lines, err = tx.LinesFrom(s.pos, s.mark, linesOnce); err != nil {
				return err
			}
			for _, l := range lines {
				for _, c := range l.Cuts {
					if c.Reach != cutoff.Everything {
						continue
					}
					ids, err := tx.Concerned(c)
					if err != nil {
						return err
					}
					for _, id := range ids {
						concerned[id] = l.Pos
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.want(concerned)
		if len(lines) == 0 {
			return nil
		}
		last := lines[len(lines)-1]
		s.pos, s.mark = last.Pos, last.Mark
	}
}

// begin takes up the oldest cursor, and those who were waiting.
func (s *Service) begin(ctx context.Context) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		all, err := tx.Recipients()
		if err != nil {
			return err
		}
		pos, mark := s.DB.View().Head()
		for _, r := range all {
			if r.Pos < pos {
				pos, mark = r.Pos, r.Mark
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, r := range all {
			if r.Attempts > 0 || r.Item != "" {
				s.todo[r.ID] = &task{pos: r.Pos + 1, due: r.Next}
			}
		}
		s.pos, s.mark, s.begun, s.idleAt = pos, mark, true, pos
		return nil
	})
}

// want notes who has something waiting. Whoever waits after a failure goes on
// waiting.
func (s *Service) want(concerned map[string]cutoff.Pos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, pos := range concerned {
		if t := s.todo[id]; t != nil {
			t.pos = max(t.pos, pos)
		} else {
			s.todo[id] = &task{pos: pos}
		}
	}
}

// serve begins with those who are due, the longest due first.
func (s *Service) serve(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	due := slices.DeleteFunc(slices.Collect(maps.Keys(s.todo)), func(id string) bool { return s.todo[id].served || s.todo[id].due.After(now) })
	slices.SortFunc(due, func(a, b string) int { return s.todo[a].due.Compare(s.todo[b].due) })
	for _, id := range due[:min(len(due), atOnce-s.busy)] {
		t := s.todo[id]
		t.served = true
		s.busy++
		s.owned.Go(func() {
			next, at := s.deliver(ctx, id, t.pos)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.busy--
			if t.served = false; next.IsZero() && t.pos <= at {
				delete(s.todo, id)
			} else {
				t.due = next
			}
			select {
			case s.done <- struct{}{}:
			default:
			}
		})
	}
}

// idle moves the cursors of those whom nothing concerned. Every line up to s.pos
// was looked at here, so a recipient without a task has nothing waiting before it.
func (s *Service) idle(ctx context.Context) error {
	if now := s.now(); s.pos == s.idleAt || now.Sub(s.idled) < idleEvery {
		return nil
	} else {
		s.idled = now
	}
	var behind []*store.Recipient
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		all, err := tx.Recipients()
		behind = slices.DeleteFunc(all, func(r *store.Recipient) bool {
			return r.Pos >= s.pos || r.Item != "" || r.Attempts > 0 || r.Next.After(s.now()) || s.waits(r.ID)
		})
		return err
	})
	for len(behind) > 0 && err == nil {
		some := behind[:min(100, len(behind))]
		behind = behind[len(some):]
		err = s.DB.Update(ctx, func(tx *store.Tx) error {
			for _, r := range some {
				moved := *r
				moved.Pos, moved.Mark = s.pos, s.mark
				// The row as it was read: another node may be at it, or past it.
				if now, err := tx.Recipient(r.ID); err == store.ErrNotFound || err == nil && *now != *r {
					continue
				} else if err != nil {
					return err
				}
				if err := tx.SaveRecipient(&moved, r.Next); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		s.idleAt = s.pos
	}
	return err
}

// waits reports whether this node knows of something that waits for a recipient.
func (s *Service) waits(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.todo[id] != nil
}
