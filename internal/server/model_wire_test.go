package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// wire is the network between one guard process and the node it is led to.
// Questions and streams wait here until the machine lets them through, and so do
// their answers; registration, keys and goodbyes pass by themselves. No verdict
// depends on which goroutine runs first.
type wire struct {
	clock func() time.Time // the guard's
	asks  func() bool      // a token may be judged again; called by whoever shows one only

	mu     sync.Mutex
	node   *node         // guarded by mu, as all below: where it leads
	dead   bool          // the process was killed: not a byte leaves it
	ask    *question     // waits to be let through
	stream *question     // the same, for a stream
	came   chan struct{} // closed and replaced when one comes
}

// question is one request of a guard that waits for the machine.
type question struct {
	req      *http.Request
	began    time.Time // on the guard's clock
	reply    chan reply
	node     *node              // that it was let through to
	cancel   context.CancelFunc // ends what the node does for it
	answered chan struct{}      // closed when the node has answered
	rec      *httptest.ResponseRecorder
	arrived  time.Time  // at the node, on its clock
	left     time.Time  // when the answer left it
	head     cutoff.Pos // of the node when it was let through
	after    cutoff.Pos // what it acknowledges; -1: nothing, of this history
	waits    bool       // the node may hold it
	lags     bool       // the node is kept from hearing of the others
	witness  bool       // its cursor is of a history that is lost, unknown to the node
}

type reply struct {
	res *http.Response
	err error
}

var errCut = errors.New("the network is cut")

func newWire(clock func() time.Time) *wire { return &wire{clock: clock, came: make(chan struct{})} }

// RoundTrip is the guard's side.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	slot := &w.ask
	switch {
	case req.URL.Path != "/feed" || req.Method != http.MethodGet:
		return w.through(req)
	case req.Header.Get("Accept") == "text/event-stream":
		slot = &w.stream
	}
	q := &question{req: req, began: w.clock(), reply: make(chan reply, 1), answered: make(chan struct{})}
	w.mu.Lock()
	*slot = q
	close(w.came)
	w.came = make(chan struct{})
	w.mu.Unlock()
	select {
	case r := <-q.reply:
		return r.res, r.err
	case <-req.Context().Done():
		w.mu.Lock()
		if *slot == q {
			*slot = nil
		}
		w.mu.Unlock()
		return nil, req.Context().Err()
	}
}

// through answers at once what no fault is made for.
func (w *wire) through(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	n, dead := w.node, w.dead
	w.mu.Unlock()
	if n == nil || dead || strings.HasSuffix(req.URL.Path, "/introspect") && !w.asks() {
		return nil, errCut
	}
	rec := httptest.NewRecorder()
	n.handler.ServeHTTP(rec, asServed(req.Context(), req))
	return rec.Result(), nil
}

func (w *wire) lead(n *node) {
	w.mu.Lock()
	w.node = n
	w.mu.Unlock()
}

func (w *wire) kill() {
	w.mu.Lock()
	w.dead = true
	w.mu.Unlock()
}

// next waits for the guard's next question, or stream, and leaves it there.
func (w *wire) next(t fataler, stream bool) *question {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		w.mu.Lock()
		q, came := w.ask, w.came
		if stream {
			q = w.stream
		}
		w.mu.Unlock()
		if q != nil {
			return q
		}
		select {
		case <-came:
		case <-late.C:
			t.Fatalf("the guard asks nothing (stream: %v)", stream)
		}
	}
}

// take is next, and makes room for another.
func (w *wire) take(t fataler, stream bool) *question {
	t.Helper()
	q := w.next(t, stream)
	w.mu.Lock()
	if w.ask == q {
		w.ask = nil
	}
	if w.stream == q {
		w.stream = nil
	}
	w.mu.Unlock()
	return q
}

// pass lets a question through: the node answers it, or holds it.
func (q *question) pass(n *node) {
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(q.req.Context(), cancel) // the node notices that the guard went away
	q.node, q.cancel, q.rec, q.arrived = n, cancel, httptest.NewRecorder(), n.now()
	n.serving.Go(func() {
		defer close(q.answered)
		n.handler.ServeHTTP(q.rec, asServed(ctx, q.req))
		q.left = n.now()
	})
}

// lose breaks the connection: the guard gets an error instead of an answer.
func (q *question) lose() {
	if q.cancel != nil {
		q.cancel()
		<-q.answered
	}
	q.reply <- reply{err: errCut}
}

// answer is what of an answer the machine needs to know.
type answer struct {
	Cursor   string     `json:"cursor"`
	Head     cutoff.Pos `json:"head"`
	Floor    cutoff.Pos `json:"floor"`
	Age      float64    `json:"age_ms"`
	Held     float64    `json:"held_ms"`
	Snapshot bool       `json:"snapshot"`
}

func (a *answer) age() time.Duration  { return time.Duration(a.Age * float64(time.Millisecond)) }
func (a *answer) held() time.Duration { return time.Duration(a.Held * float64(time.Millisecond)) }

// read returns the node's answer; nil when it was refused, and how.
func (q *question) read(t fataler) (*answer, int) {
	t.Helper()
	if q.rec.Code != http.StatusOK {
		return nil, q.rec.Code
	}
	a := &answer{}
	if err := json.Unmarshal(q.rec.Body.Bytes(), a); err != nil {
		t.Fatalf("answer: %v in %s", err, q.rec.Body)
	}
	return a, http.StatusOK
}

// stream is a stream that was let through, on the node's side an
// http.ResponseWriter. Its lines wait until the machine delivers them.
type stream struct {
	q    *question
	from cutoff.Pos // the node's head when it began: later lines come
	out  *io.PipeWriter

	header http.Header
	mu     sync.Mutex
	begun  bool       // guarded by mu, as all below
	over   bool       // the node has ended it
	seen   cutoff.Pos // of the newest line
	lines  []streamed // not delivered yet
}

type streamed struct {
	pos  cutoff.Pos
	text []byte
}

// open lets a stream through and waits until it listens, or returns nil when the
// node refuses it.
func (q *question) open(t fataler, n *node) *stream {
	t.Helper()
	in, out := io.Pipe()
	s := &stream{q: q, out: out, header: http.Header{}, from: n.head()}
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(q.req.Context(), func() {
		cancel()
		out.CloseWithError(errCut) // as net/http's own transport does
	})
	q.node, q.cancel = n, cancel
	n.serving.Go(func() {
		defer close(q.answered)
		n.handler.ServeHTTP(s, asServed(ctx, q.req))
		s.mu.Lock()
		s.over = true
		s.mu.Unlock()
	})
	until(t, "a stream to begin", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.begun || s.over
	})
	if !s.begun {
		q.lose()
		return nil
	}
	q.reply <- reply{res: &http.Response{StatusCode: http.StatusOK, Header: s.header, Body: in, Request: q.req}}
	return s
}

// Header implements http.ResponseWriter.
func (s *stream) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter. A refusal never begins.
func (s *stream) WriteHeader(int) {}

// Flush lets http.ResponseController flush.
func (s *stream) Flush() {}

// Write implements http.ResponseWriter.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for event := range bytes.SplitSeq(bytes.Clone(b), []byte("\n\n")) {
		switch data, is := bytes.CutPrefix(event, []byte("data: ")); {
		case is:
			var l cutoff.Line
			if err := json.Unmarshal(data, &l); err != nil {
				return 0, fmt.Errorf("a line of the stream: %w", err)
			}
			s.seen = l.Pos
			s.lines = append(s.lines, streamed{l.Pos, append(event, "\n\n"...)})
		case bytes.HasPrefix(event, []byte(":")):
			s.begun = true
		}
	}
	return len(b), nil
}

// await returns the lines that wait when the stream has brought everything up to head.
func (s *stream) await(t fataler, head cutoff.Pos) (lines []streamed) {
	t.Helper()
	until(t, "the stream", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.seen >= head || s.from >= head || s.over
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, s.lines = s.lines, nil
	return lines
}

// deliver gives the guard a line and returns when it has applied it: the pipe
// takes the comment only when the guard reads again.
func (s *stream) deliver(l streamed) {
	for _, b := range [][]byte{l.text, []byte(":\n")} {
		if _, err := s.out.Write(b); err != nil {
			return // the guard has closed it
		}
	}
}

// end breaks the stream.
func (s *stream) end() {
	s.q.cancel()
	<-s.q.answered
	s.out.CloseWithError(errCut)
}

// fataler is what a test and a run of rapid have in common.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}
