package guard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/wire"
)

const (
	streamIdle = 30 * time.Second // three of the server's keep-alives
	maxEvent   = 4 << 20          // bytes of one line of the stream
	maxAhead   = 1 << 16          // lines the stream may be ahead of the answers
)

// stream is Run's stream loop. It reconnects on its own; whether it works at
// all makes no difference to anything but speed.
func (g *Guard) stream(ctx context.Context) {
	var tries int
	for {
		reg, ok := g.feed.registered(ctx)
		if !ok {
			return
		}
		began := g.now()
		if reg.Process != "" {
			err := g.readStream(ctx, reg.Process)
			g.streaming.Store(false)
			if ctx.Err() != nil {
				return
			}
			g.log.Debug("stream ended", "error", err)
		}
		if began.since(g.now()) > streamIdle {
			tries = 0
		}
		g.pauseStream(ctx, backoff(&tries, 5*time.Second))
	}
}

func (g *Guard) pauseStream(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (g *Guard) readStream(ctx context.Context, process string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(streamIdle, cancel)
	defer timer.Stop()
	req, err := g.newRequest(ctx, http.MethodGet, url.Values{"process": {process}}, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := refusedBy(resp, http.StatusOK); err != nil {
		return err
	}
	if wire.MediaType(resp.Header) != "text/event-stream" {
		return errors.New("the answer is not a stream")
	}
	g.streaming.Store(true)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	var data []byte
	for lines.Scan() {
		timer.Reset(streamIdle)
		b := lines.Bytes()
		if value, ok := bytes.CutPrefix(b, []byte("data:")); ok {
			if len(data) > 0 {
				data = append(data, '\n')
			}
			if data = append(data, bytes.TrimPrefix(value, []byte(" "))...); len(data) > maxEvent {
				return bufio.ErrTooLong
			}
		}
		if len(b) == 0 && len(data) > 0 {
			if err := g.runAhead(data); err != nil {
				g.feed.interrupt() // the answer will bring what was not taken here
				return err
			}
			data = data[:0]
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		g.feed.interrupt()
	}
	return lines.Err()
}

// runAhead applies one line of the stream. It adds to the set, and does nothing
// else: no cursor moves, no age is renewed.
func (g *Guard) runAhead(data []byte) error {
	var l cutoff.Line
	err := json.Unmarshal(data, &l)
	if err == nil {
		err = l.Valid()
	}
	if err != nil {
		// Whatever it said, something happened that this guard does not know.
		g.unreadable()
		return fmt.Errorf("%w: %.200v", wire.ErrUnreadable, err)
	}
	g.mu.Lock()
	v := *g.view.Load()
	changed := false
	if l.Pos > v.head { // else an answer brought it before
		if len(g.ahead) >= maxAhead {
			g.mu.Unlock()
			return errors.New("too far ahead of the answers")
		}
		g.ahead = append(g.ahead, l)
	}
	if v.set.Merge(l) {
		v.version++
		changed = true
	}
	v.pos = max(v.pos, l.Pos)
	g.distrust(&v)
	g.view.Store(&v)
	g.mu.Unlock()
	if changed {
		g.cutHeld(&l)
	}
	// A question under way is answered by itself as the head has moved; one
	// that waits out a backoff is asked now.
	select {
	case g.feed.kick <- struct{}{}:
	default:
	}
	return nil
}
