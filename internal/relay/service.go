package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

const (
	// MaxAge is how old a node's view may be for it to answer guards.
	MaxAge = 10 * time.Second
	// MaxWait bounds how long a question is held.
	MaxWait = 30 * time.Second
	// ForgetAfter is how long after a silent guard has closed by its own limit it
	// is taken for gone: it then guards nothing and confirms nothing.
	ForgetAfter = time.Hour
	// Leeway is what a verifier may add to a token's expiry.
	Leeway = 5 * time.Minute
	// KeepAlive is how often a stream says that it is still there.
	KeepAlive = 10 * time.Second
)

const (
	flushEvery = 50 * time.Millisecond // acknowledgements are written this long after the first
	noteEvery  = 4 * time.Second       // the instant of an answer is written this often
	floorEvery = 10 * time.Second
	// foreignSlack is added to what a row says about a process that another node may
	// answer: the row may lag behind by noteEvery, and a node cut off from the
	// database goes on answering for MaxAge.
	foreignSlack = 15 * time.Second
)

// Service is the feed and everything that is told from it. Set DB and Secret;
// call Run.
type Service struct {
	DB *store.DB
	// Secret is the key of cursors, the same on all nodes: 32 bytes derived from
	// the master key for the purpose "feed cursor".
	Secret []byte
	// Told to every guard that registers.
	Issuers                              []string
	JWKSURI, IntrospectURI, AuthorizeURI string
	Now                                  func() time.Time // nil: time.Now
	Log                                  *slog.Logger     // nil: nowhere
	Lifetimes                            grant.Lifetimes  // zero: grant.DefaultLifetimes

	hub      Hub
	register register
	watchers watchers

	began struct {
		sync.Mutex
		done   bool
		tenant [16]byte
	}
	floor struct {
		sync.Mutex
		pos   cutoff.Pos
		known bool
	}
	snap      atomic.Pointer[snapshot]
	rendering chan struct{} // a lock that can be waited for with a context
	judging   chan struct{} // the same, for witnesses
}

// Run writes what guards acknowledge, keeps the floor, and rings watchers, until
// ctx is done. It writes what is left before it returns.
func (s *Service) Run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	var owned sync.WaitGroup
	owned.Go(func() { s.flushing(ctx) })
	floor, second := time.NewTicker(floorEvery), time.NewTicker(time.Second)
	defer floor.Stop()
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			owned.Wait()
			return nil
		case <-floor.C:
			if err := s.readFloor(ctx); err != nil && ctx.Err() == nil {
				// An old floor is sound: it only makes guards remember more.
				s.log().Warn("floor not read", "error", err)
			}
			s.register.forget(s.now())
			s.dropSnapshot()
		case <-second.C:
			s.watchers.ringAll() // what time alone changes, and what other nodes heard
		}
	}
}

// begin reads what does not change, once. Every method calls it, so that none
// depends on Run having started.
func (s *Service) begin(ctx context.Context) error {
	s.began.Lock()
	defer s.began.Unlock()
	if s.began.done {
		return nil
	}
	if len(s.Secret) < 32 {
		return errors.New("relay: the cursor secret is missing")
	}
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		d, err := tx.Directory()
		s.began.tenant = d.Tenant
		return err
	})
	if err != nil {
		return err
	}
	if err := s.readFloor(ctx); err != nil {
		return err
	}
	if s.Lifetimes == (grant.Lifetimes{}) {
		s.Lifetimes = grant.DefaultLifetimes()
	}
	s.rendering, s.judging = make(chan struct{}, 1), make(chan struct{}, 1)
	s.register.init()
	s.hub.newestEra(s.DB.View()) // from here on it knows each line
	s.began.done = true
	return nil
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

func (s *Service) readFloor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pos, err := s.DB.Floor(ctx)
	if err != nil {
		return err
	}
	s.floor.Lock()
	defer s.floor.Unlock()
	s.floor.pos, s.floor.known = max(s.floor.pos, pos), true
	return nil
}

// currentFloor is the newest floor read: no access token that is still valid was born
// before it.
func (s *Service) currentFloor() cutoff.Pos {
	s.floor.Lock()
	defer s.floor.Unlock()
	return s.floor.pos
}

// tooOld is the answer of a node that cannot vouch for its view. Guards ask
// another node, or close by their own limit.
func tooOld() error {
	return fault.New(fault.Unavailable, "This node has not heard from the database for too long to answer. Ask again.")
}

// age is how old this node's view may be, or an error past the limit.
func (s *Service) age() (time.Duration, error) {
	a := s.DB.Age()
	if a > MaxAge {
		return 0, tooOld()
	}
	return a, nil
}

// held is how long a question has been held: the smaller of the monotonic and the
// wall clock, so that a suspended machine does not claim to have watched.
func held(from, to time.Time) time.Duration {
	return max(0, min(to.Sub(from), to.Round(0).Sub(from.Round(0))))
}
