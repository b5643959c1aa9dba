package guard

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

const tokenKind = cutoff.Token

// ErrUnguarded is the cause of a context that [Hold] returned cancelled,
// because its parent did not come from Middleware.
var ErrUnguarded = errors.New("guard: this context did not come from Middleware")

// holds are the requests that outlive their check.
type holds struct {
	wake  chan struct{} // a held token may end sooner than the watch thinks
	owing chan struct{} // a held token must be judged again

	mu sync.Mutex
	m  map[*held]struct{}
}

type held struct {
	e    *entry
	from netip.Addr // of the request
	cut  context.CancelCauseFunc
}

func (h *holds) init() {
	h.wake, h.owing = make(chan struct{}, 1), make(chan struct{}, 1)
	h.m = make(map[*held]struct{})
}

func (h *holds) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.m)
}

func (h *holds) all() []*held {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.m))
}

// Hold is for requests that live long: streams, websockets, downloads. The
// context it returns ends as soon as the token of the request dies: when a
// cutoff arrives that covers it, when it must be judged again and does not pass, when
// it expires, when the guard closes. The
// reason is its [context.Cause], a [*Refusal]. Call the function it returns
// when the request is over.
//
//	ctx, done := guard.Hold(r.Context())
//	defer done()
//	for { select { case <-ctx.Done(): return; case m := <-mail: … } }
func Hold(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		cancel(ErrUnguarded) // doubt closes
		return ctx, func() {}
	}
	g, h := r.g, &held{r.e, r.from, cancel}
	g.holds.mu.Lock()
	g.holds.m[h] = struct{}{}
	g.holds.mu.Unlock()
	// Judged after it was registered: a line that came before is seen here, one
	// that comes after finds the request in the list.
	g.sentence(h, g.judge(h.e, g.now(), h.from))
	select {
	case g.holds.wake <- struct{}{}:
	default:
	}
	return ctx, func() {
		g.holds.mu.Lock()
		delete(g.holds.m, h)
		g.holds.mu.Unlock()
		cancel(nil)
	}
}

// Held is middleware that holds every request it sees, for handlers that take
// their context from the request, as a reverse proxy does. When the token dies
// it also unblocks a handler that is reading or writing at that moment. It
// stands behind Middleware.
func (g *Guard) Held(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, done := Hold(r.Context())
		defer done()
		over := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(over)
			if r.Context().Err() == nil { // cut by us; the caller is still there
				c := http.NewResponseController(w)
				now := time.Now()
				c.SetReadDeadline(now)  // where the writer has no deadlines,
				c.SetWriteDeadline(now) // the context alone must do
			}
		})
		defer func() {
			if !stop() {
				<-over // it must not touch w after we returned
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (g *Guard) end(h *held, why error) {
	g.holds.mu.Lock()
	_, was := g.holds.m[h]
	delete(g.holds.m, h)
	g.holds.mu.Unlock()
	if was {
		h.cut(why)
	}
}

// cutHeld ends the held requests whose token is dead, and has those judged again
// whose token is in doubt. With a line it asks only
// about that line: a set of a few cutoffs answers faster than one of a million,
// and every held request is waiting.
func (g *Guard) cutHeld(l *cutoff.Line) {
	now := g.now()
	var only cutoff.Set
	if l != nil {
		if len(l.Cuts) == 0 {
			return
		}
		only.Merge(*l)
	}
	for _, h := range g.holds.all() {
		if l != nil && !only.Dead(&h.e.owner, h.e.claims.Born, tokenKind) && only.Judge(&h.e.owner) == 0 {
			continue
		}
		g.sentence(h, g.judge(h.e, now, h.from))
	}
}

// watch is Run's clock: it cuts what is held when a token expires, its key is
// withdrawn or the guard goes stale, and notices when the machine was suspended. It wakes at the next
// such instant, and once a second because timers stand still in suspension.
func (g *Guard) watch(ctx context.Context) {
	was, closed := g.now(), true
	for {
		now := g.now()
		if drift := (now.wall - was.wall) - (now.mono - was.mono); drift > int64(2*time.Second) {
			// Whoever we were talking to has most likely gone.
			g.log.Info("clocks jumped; asking anew", "by", time.Duration(drift).String())
			g.feed.interrupt()
		}
		was = now
		next := now.add(time.Second)
		since, isClosed := g.staleSince(now)
		switch {
		case isClosed && !closed:
			g.log.Warn("guard closed: its view is too old", "since", since)
		case !isClosed && closed:
			g.log.Info("guard open")
		}
		if closed = isClosed; !closed {
			v := g.view.Load()
			left := g.cfg.MaxStaleness - v.vouched.since(now) + 1
			next = instant{wall: min(next.wall, now.wall+int64(left))}
		}
		for _, h := range g.holds.all() {
			ends := h.e.exp
			if pass := h.e.passes.Load().Of(h.from); pass != nil && pass.Until != 0 {
				ends = min(ends, pass.Until)
			}
			if ends > now.wall && !closed && !h.e.key.withdrawn.Load() {
				next.wall = min(next.wall, ends)
				continue
			}
			g.sentence(h, g.judge(h.e, now, h.from))
		}
		timer := time.NewTimer(time.Duration(next.wall - now.wall))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-g.holds.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}
