package relay

import (
	"context"
	"time"

	"github.com/curfew-id/curfew/internal/store"
)

// flushGroup bounds how many processes one transaction writes: on SQLite nobody
// else writes meanwhile, and a revocation must not wait for a thousand guards.
const flushGroup = 64

// flushing writes acknowledgements, a moment after the first of them so that the
// others can join. One goroutine does this.
func (s *Service) flushing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := s.flush(last); err != nil {
				s.log().Warn("last acknowledgements not written", "error", err)
			}
			return
		case <-s.register.kick:
		}
		select {
		case <-ctx.Done():
			continue
		case <-time.After(flushEvery):
		}
		if err := s.flush(ctx); err != nil && ctx.Err() == nil {
			s.log().Warn("acknowledgements not written, trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			s.register.again()
		}
	}
}

// flush writes everything that is waiting.
func (s *Service) flush(ctx context.Context) error {
	for {
		b := s.register.take()
		if len(b.guards) == 0 && len(b.confirmed) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			for i := range b.guards {
				if err := tx.SaveGuard(&b.guards[i]); err != nil {
					return err
				}
			}
			return tx.SaveConfirmations(b.confirmed)
		})
		cancel()
		if err != nil {
			s.register.giveBack(b)
			return err
		}
	}
}

// batch is what one transaction writes.
type batch struct {
	guards    []store.Guard
	confirmed []store.Confirmation
}

func (r *register) take() (b batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.dirty {
		if len(b.guards) == flushGroup {
			break
		}
		delete(r.dirty, id)
		p.noted = p.guard.Answered
		b.guards = append(b.guards, p.guard)
	}
	n := min(len(r.unsaved), flushGroup)
	b.confirmed = append(b.confirmed, r.unsaved[:n]...)
	r.unsaved = r.unsaved[n:]
	if len(r.unsaved) == 0 {
		r.unsaved = nil
	}
	return b
}

func (r *register) giveBack(b batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.guards {
		if p := r.processes[b.guards[i].ID]; p != nil {
			r.dirty[p.guard.ID] = p
		}
	}
	r.unsaved = append(b.confirmed, r.unsaved...)
}

// again wakes the flusher when something is still waiting.
func (r *register) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.dirty) > 0 || len(r.unsaved) > 0 {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}
