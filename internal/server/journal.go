package server

import (
	"context"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/risks"
)

// openJournal opens the log of sign-ins, unless there is to be none.
func (s *Server) openJournal(ctx context.Context, url string) error {
	keep, err := s.cfg.KeepSignIns()
	if err != nil || keep == 0 {
		return err
	}
	s.journal, err = journal.Open(ctx, journal.Config{URL: journal.Beside(url), Keep: keep, Now: s.now, Log: s.log})
	if err != nil {
		return fmt.Errorf("open the log of sign-ins: %w", err)
	}
	return nil
}

// sweepEvery is how often dead rows are deleted. Nothing depends on it.
const sweepEvery = 10 * time.Minute

func (s *Server) sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if n, err := s.db.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweep", "error", err)
		} else if n > 0 {
			s.log.Info("swept", "rows", n)
		}
		if n, err := risks.Sweep(ctx, s.db, s.now()); err != nil && ctx.Err() == nil {
			s.log.Warn("sweep findings", "error", err)
		} else if n > 0 {
			s.log.Info("swept findings", "rows", n)
		}
		if n, err := s.journal.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("sweep the log of sign-ins", "error", err)
		} else if n > 0 {
			s.log.Info("swept the log of sign-ins", "entries", n)
		}
	}
}
