package guard

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/curfew-id/curfew/guard/internal/wire"
)

const version = "curfew-guard/0.2"

// registration is what the server told this process when it registered.
type registration struct {
	Process       string   `json:"process"`
	Issuers       []string `json:"issuers"`
	JWKS          string   `json:"jwks_uri"`
	Introspection string   `json:"introspection_endpoint"` // where tokens are judged again; empty: nowhere
	Authorization string   `json:"authorization_uri"`
}

func (r *registration) valid() error {
	if r.Process == "" || len(r.Process) > 128 || len(r.Issuers) == 0 || len(r.Issuers) > 64 {
		return errors.New("no process id, or no issuers")
	}
	for _, iss := range r.Issuers {
		if iss == "" || len(iss) > 2048 {
			return errors.New("an issuer is empty or too long")
		}
	}
	if err := wire.CheckURL(r.JWKS); err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	if r.Introspection != "" {
		if err := wire.CheckURL(r.Introspection); err != nil {
			return fmt.Errorf("introspection_endpoint: %w", err)
		}
	}
	if r.Authorization != "" {
		if err := wire.CheckURL(r.Authorization); err != nil {
			return fmt.Errorf("authorization_uri: %w", err)
		}
	}
	return nil
}

// feed is the state that follow shares with the other loops.
type feed struct {
	issuers atomic.Pointer[[]string]
	kick    chan struct{} // a line came by stream: do not sit out a backoff

	mu      sync.Mutex
	reg     registration  // the last one; Process empty while the server does not know us
	changed chan struct{} // closed and replaced when reg changes
	asking  context.CancelCauseFunc
}

func (f *feed) init() {
	f.kick, f.changed = make(chan struct{}, 1), make(chan struct{})
	f.issuers.Store(&[]string{})
}

func (f *feed) process() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reg.Process
}

func (f *feed) set(r registration) {
	f.mu.Lock()
	f.reg = r
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
}

// forget makes the next round register anew.
func (f *feed) forget(process string) {
	f.mu.Lock()
	if f.reg.Process == process {
		f.reg.Process = ""
	}
	f.mu.Unlock()
}

// registered waits for a registration and returns the last one. Its Process
// may be empty when the server has forgotten us since.
func (f *feed) registered(ctx context.Context) (registration, bool) {
	for {
		f.mu.Lock()
		r, changed := f.reg, f.changed
		f.mu.Unlock()
		if r.JWKS != "" {
			return r, ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, false
		}
	}
}

func (f *feed) jwks(ctx context.Context) (string, bool) {
	r, ok := f.registered(ctx)
	return r.JWKS, ok
}

var (
	errInterrupted    = errors.New("the question was withdrawn")
	errUnknownProcess = errors.New("the server does not know this process")
	errBadCursor      = errors.New("the server does not accept the cursor")
)

// interrupt withdraws the question under way, so that it is asked anew at once.
func (f *feed) interrupt() {
	f.mu.Lock()
	if f.asking != nil {
		f.asking(errInterrupted)
	}
	f.mu.Unlock()
}

func (f *feed) begin(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	f.mu.Lock()
	f.asking = cancel
	f.mu.Unlock()
	return ctx, func(why error) {
		f.mu.Lock()
		f.asking = nil
		f.mu.Unlock()
		cancel(why)
	}
}

// backoff returns how long to wait after the tries-th failure in a row: from
// 50 ms doubling up to most, jittered over half so that a thousand guards do
// not come back together.
func backoff(tries *int, most time.Duration) time.Duration {
	d := min(100*time.Millisecond<<min(*tries, 12), most)
	*tries++
	return d/2 + rand.N(d/2+1)
}

func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5) }

// follow is Run's feed loop: register, take a snapshot, then ask and ask again.
// cursor is always that of the last answer; what the stream brought does not
// move it.
func (g *Guard) follow(ctx context.Context) {
	var (
		cursor string
		tries  int
		hurry  = true // do not let the server hold the question
	)
	for ctx.Err() == nil {
		var err error
		var idle bool
		process := g.feed.process()
		if process == "" {
			cursor, hurry = "", true
			if err = g.register(ctx); err == nil {
				continue // tries stays: only an answer proves that all is well
			}
		} else {
			cursor, idle, err = g.ask(ctx, process, cursor, hurry)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			tries = 0
			_, hurry = g.staleSince(g.now()) // a snapshot that took long is old
			if idle {                        // answered at once with nothing new: do not spin
				g.pause(ctx, jitter(100*time.Millisecond), true)
			}
			continue
		}
		// The first question after a failure is not held: the view is getting
		// old, and an answer now is worth more than a line sooner.
		hurry = true
		if errors.Is(err, errInterrupted) {
			continue
		}
		g.failed(err)
		switch {
		case errors.Is(err, errUnknownProcess):
			g.feed.forget(process)
		case errors.Is(err, errBadCursor):
			cursor = ""
		}
		g.log.Warn("feed", "error", err, "try", tries+1)
		again := errors.Is(err, errUnknownProcess) || errors.Is(err, errBadCursor)
		if again && tries == 0 {
			tries++ // once without delay: the answer was clear
			continue
		}
		g.pause(ctx, backoff(&tries, min(5*time.Second, g.cfg.MaxStaleness/4)), tries == 1)
	}
}

func (g *Guard) pause(ctx context.Context, d time.Duration, kickable bool) {
	kick := g.feed.kick
	select {
	case <-kick: // old news
	default:
	}
	if !kickable {
		kick = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-kick:
	}
}

func (g *Guard) newRequest(ctx context.Context, method string, query url.Values, body []byte) (*http.Request, error) {
	u := g.cfg.Issuer + "/feed"
	if query != nil {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	g.sign(req)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// sign puts what every request to the server carries into one: who asks.
func (g *Guard) sign(req *http.Request) {
	// RFC 6749 §2.3.1: both form-urlencoded first.
	pair := url.QueryEscape(g.cfg.ClientID) + ":" + url.QueryEscape(string(g.cfg.ClientSecret))
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", version)
}

// refusedBy turns an answer other than want into an error. What the server
// says is quoted and cut short: it goes to the log.
func refusedBy(resp *http.Response, want int) error {
	if resp.StatusCode == want {
		return nil
	}
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_ = json.Unmarshal(b, &e) // without a body the status has to do
	switch {
	case resp.StatusCode == http.StatusNotFound && e.Error == "unknown_process":
		return errUnknownProcess
	case resp.StatusCode == http.StatusBadRequest && e.Error == "invalid_request":
		return fmt.Errorf("%w: %.200q", errBadCursor, e.Description)
	}
	return fmt.Errorf("status %d %.100q %.200q", resp.StatusCode, e.Error, e.Description)
}

func (g *Guard) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"name": g.cfg.Name, "resource": g.cfg.Audience, "version": version,
		"max_staleness_ms": g.cfg.MaxStaleness.Milliseconds(),
	})
	if err != nil {
		return err
	}
	req, err := g.newRequest(ctx, http.MethodPost, nil, body)
	if err != nil {
		return err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer resp.Body.Close()
	if err := refusedBy(resp, http.StatusCreated); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	var reg registration
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(&reg); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := reg.valid(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	g.feed.issuers.Store(&reg.Issuers)
	if reg.Authorization != "" {
		g.authURI.Store(&reg.Authorization)
	}
	g.feed.set(reg)
	g.log.Info("registered", "process", reg.Process)
	return nil
}

// goodbye tells the server that this process will not ask again.
func (g *Guard) goodbye(ctx context.Context) {
	process := g.feed.process()
	if process == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := g.newRequest(ctx, http.MethodDelete, url.Values{"process": {process}}, nil)
	if err != nil {
		return
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.log.Warn("goodbye", "error", err) // the server will find out by itself
		return
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	resp.Body.Close()
}
