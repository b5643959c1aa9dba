package relay

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

const (
	// maxBehind is how many lines a stream may be behind; a slower reader is
	// dropped. Nothing is lost by it: what counts is asked for.
	maxBehind = 1024
	// streamLife is how long a stream lasts, give or take a third, before it must
	// be opened anew: a client that lost its right to guard is not told for ever.
	streamLife = 6 * time.Minute
)

var keep = []byte(": keep\n\n")

// Stream sends the lines that come from now on, as server-sent events, until ctx
// is done, the stream's life is over (nil), or send fails. The bytes are shared
// between all streams and must not be changed. A stream acknowledges nothing and
// renews no age; it is only speed. Kinds: NotFound, Denied, Limited, Unavailable.
func (s *Service) Stream(ctx context.Context, app *directory.App, id ProcessID, send func([]byte) error) error {
	p, err := s.process(ctx, app, id)
	if err != nil {
		return err
	}
	if !s.register.stream(p, 1) {
		return fault.New(fault.Limited, "Too many streams are open for this guard process.")
	}
	defer s.register.stream(p, -1)
	view := s.DB.View()
	at, _ := view.Head()
	if err := send(keep); err != nil {
		return err
	}
	alive := time.NewTicker(KeepAlive)
	defer alive.Stop()
	life := time.NewTimer(streamLife + time.Duration((rand.Float64()-0.5)*float64(streamLife)*2/3))
	defer life.Stop()
	for {
		changed := view.Changed()
		lines, head, _, ok := view.After(at)
		switch {
		case !ok || len(lines) > maxBehind:
			return fault.New(fault.Limited, "The stream fell too far behind.")
		case len(lines) > 0:
			if err := send(s.hub.render(view, at, head, lines).sse); err != nil {
				return err
			}
			at = head
			continue
		}
		select {
		case <-changed:
		case <-alive.C:
			if err := send(keep); err != nil {
				return err
			}
		case <-life.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
