package server

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/store"
)

// Apply applies a manifest file as the operator. Secrets may come from the
// environment and from files beside it.
func (s *Server) Apply(ctx context.Context, file string) (manage.ApplyReport, error) {
	f, err := os.Open(file)
	if err != nil {
		return manage.ApplyReport{}, fault.Wrap(fault.Invalid, "The manifest cannot be read.", err)
	}
	defer f.Close()
	m, err := manifest.Parse(f, manifest.Options{Getenv: os.LookupEnv, ReadFile: func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
		return os.ReadFile(name)
	}})
	if err != nil {
		return manage.ApplyReport{}, err
	}
	r, err := s.manage.Apply(ctx, operator, m, manage.Act{Reason: "manifest at start"})
	if err == nil {
		s.log.Info("manifest applied", "changes", len(r.Changes), "unchanged", r.Unchanged)
	}
	return r, err
}

// SetupURL returns a one-time link for the first Global Administrator, or "" when
// there is one.
func (s *Server) SetupURL(ctx context.Context) (string, error) {
	secret, err := s.signin.SetupLink(ctx)
	if fault.Is(err, fault.Conflict) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return s.cfg.PublicURL + "/setup?token=" + secret, nil
}

// Lost says what a restore means: everything born before Era is cut, and what
// happened between the newest ledger line of the backup and At is not known.
type Lost struct {
	Era    cutoff.Pos
	Newest time.Time // zero: the ledger was empty
	At     time.Time
}

// Restore tells the directory that history was lost. Opening the server may have
// found that out by itself; then there is nothing more to do. Kinds: Unavailable.
func (s *Server) Restore(ctx context.Context) (Lost, error) {
	lost := Lost{At: s.now()}
	newest := func() (l store.LineAt, err error) {
		err = s.db.Read(ctx, func(tx *store.Tx) error {
			lines, err := tx.LinesBefore(0, 2)
			for _, x := range lines {
				if x.Era && s.db.BeganAtStart() && x.Pos == lines[0].Pos {
					lost.Era = x.Pos
					continue
				}
				if l.Pos == 0 {
					l = x
				}
			}
			return err
		})
		return l, err
	}
	l, err := newest()
	if err != nil {
		return lost, err
	}
	lost.Newest = l.At
	if lost.Era > 0 {
		return lost, nil
	}
	if err := s.db.Restore(ctx); err != nil {
		return lost, err
	}
	lost.Era, _ = s.db.View().Head()
	return lost, nil
}
