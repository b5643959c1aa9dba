package federate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
)

// Service is the verb. Everything but Log is needed.
type Service struct {
	DB       *store.DB
	Keys     *keys.Service
	Upstream *upstream.Client
	Revoke   *revoke.Service
	SignIn   *signin.Service
	Base     string // public URL without a trailing slash
	// Issuers are our own iss: this directory is no other identity provider.
	Issuers []string
	Log     *slog.Logger // nil: nowhere
}

var (
	errNoProvider = fault.New(fault.NotFound, "There is no such identity provider.")
	errNoUser     = fault.New(fault.NotFound, "There is no such user.")
)

// step is one run of a transaction's closure.
type step struct {
	*deed.Step
	s *Service
}

func (c *step) allow(activity string, about audit.Party, action role.Action, target role.Target) error {
	return c.Allow(activity, about, about.Name, action, target)
}

func (s *Service) read(ctx context.Context, actor directory.Actor, f func(*step) error) error {
	return deed.Look(ctx, s.DB, actor, func(c *deed.Step) error { return f(&step{c, s}) })
}

func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, f func(*step) error) (*store.Receipt, error) {
	return deed.Doer{DB: s.DB, Revoke: s.Revoke, Log: s.Log}.Do(ctx, actor, act, func(c *deed.Step) error { return f(&step{c, s}) })
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// missing turns the store's ErrNotFound into what was asked for.
func missing(err, sentence error) error {
	if errors.Is(err, store.ErrNotFound) {
		return sentence
	}
	return err
}

// freshProof is how recently somebody must have signed in to link an account.
const freshProof = 10 * time.Minute
