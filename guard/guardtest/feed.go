package guardtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// head is the position of the last line. The caller holds mu.
func (s *Server) head() cutoff.Pos {
	if n := len(s.ledger); n > 0 {
		return s.ledger[n-1].Pos
	}
	return 0
}

// Head returns the position of the ledger's last line.
func (s *Server) Head() cutoff.Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head()
}

// Cut appends one line to the ledger and returns its position. Without cutoffs
// it is an event that ends nothing.
func (s *Server) Cut(cuts ...cutoff.Cutoff) cutoff.Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := cutoff.Line{Pos: s.head() + 1, Cuts: cuts}
	if err := l.Valid(); err != nil {
		s.t.Errorf("guardtest: %v", err)
	}
	s.ledger = append(s.ledger, l)
	s.wake()
	return l.Pos
}

// CutUser appends a line that ends everything of a user.
func (s *Server) CutUser(id string) cutoff.Pos {
	return s.Cut(cutoff.Cutoff{Scope: cutoff.User, ID: id, Reach: cutoff.Everything})
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name, Resource, Version string
		Staleness               float64 `json:"max_staleness_ms"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q); err != nil || q.Name == "" || q.Staleness <= 0 {
		fail(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if q.Resource != Audience {
		fail(w, http.StatusForbidden, "access_denied")
		return
	}
	id := randomID()
	s.mu.Lock()
	s.known[id] = &process{cursors: map[string]cutoff.Pos{}}
	s.mu.Unlock()
	reply(w, http.StatusCreated, map[string]any{
		"process": id, "issuers": []string{s.URL, s.URL + "/" + Tenant + "/v2.0"}, "jwks_uri": s.URL + "/oauth2/keys",
		"introspection_endpoint": s.URL + "/oauth2/introspect",
		"authorization_uri":      s.URL + "/" + Tenant + "/oauth2/v2.0/authorize",
	})
}

func (s *Server) getFeed(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	p := s.known[q.Get("process")]
	if p == nil {
		s.mu.Unlock()
		fail(w, http.StatusNotFound, "unknown_process")
		return
	}
	if r.Header.Get("Accept") == "text/event-stream" {
		noStream := s.faults.noStream
		s.mu.Unlock()
		if noStream {
			fail(w, http.StatusServiceUnavailable, "temporarily_unavailable")
			return
		}
		s.streamTo(w, r)
		return
	}
	p.asks++
	after, known := p.cursors[q.Get("after")]
	if q.Has("after") && !known {
		s.mu.Unlock()
		fail(w, http.StatusBadRequest, "invalid_request")
		return
	}
	p.acked = max(p.acked, after) // asking is acknowledging
	snapshot := !q.Has("after")
	if snapshot && s.faults.lagging {
		s.mu.Unlock()
		// A snapshot is no older than the call, and this node cannot say that.
		fail(w, http.StatusServiceUnavailable, "temporarily_unavailable")
		return
	}
	s.mu.Unlock()
	var wait time.Duration
	if v := q.Get("wait"); v != "" {
		var err error
		if wait, err = time.ParseDuration(v); err != nil || wait < 0 || wait > 30*time.Second {
			fail(w, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	began := time.Now()
	if !snapshot && !s.hold(r, after, wait) {
		return
	}
	s.mu.Lock()
	a := s.answer(after, snapshot || s.faults.snapshot)
	s.faults.snapshot = false
	cursor := randomID()
	p.cursors[cursor] = a["head"].(cutoff.Pos)
	a["nonce"], a["cursor"] = q.Get("nonce"), cursor
	a["held_ms"] = float64(time.Since(began)) / float64(time.Millisecond)
	tamper, from := s.faults.tamper, s.faults.from
	if tamper != nil {
		tamper(a)
	}
	s.mu.Unlock()
	if !sleep(r.Context(), from) {
		return
	}
	if !s.hush(r) { // silence swallows answers too
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusOK, a)
}

// shown is the head this node shows. The caller holds mu.
func (s *Server) shown() cutoff.Pos {
	if s.faults.lagging {
		return s.faults.lagHead
	}
	return s.head()
}

// hold keeps a question until the head moves past after or wait is over.
func (s *Server) hold(r *http.Request, after cutoff.Pos, wait time.Duration) bool {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		s.mu.Lock()
		head, changed := s.shown(), s.changed
		s.mu.Unlock()
		if head > after || wait == 0 {
			return true
		}
		select {
		case <-changed:
		case <-over.C:
			return true
		case <-r.Context().Done():
			return false
		}
	}
}

// answer renders lines after a position, or a snapshot. The caller holds mu.
func (s *Server) answer(after cutoff.Pos, snapshot bool) map[string]any {
	head, age := s.shown(), 0.0
	if s.faults.lagging {
		age = float64(time.Since(s.faults.lagSince)) / float64(time.Millisecond)
	}
	lines := []cutoff.Line{}
	if !snapshot {
		for _, l := range s.ledger {
			if l.Pos > after && l.Pos <= head {
				lines = append(lines, l)
			}
		}
	} else {
		merged := map[cutoff.Cutoff]cutoff.Pos{}
		for _, l := range s.ledger {
			for _, c := range l.Cuts {
				if l.Pos <= head && l.Pos > s.floor {
					merged[c] = l.Pos
				}
			}
		}
		for c, pos := range merged {
			lines = append(lines, cutoff.Line{Pos: pos, Cuts: []cutoff.Cutoff{c}})
		}
	}
	return map[string]any{"head": head, "floor": s.floor, "age_ms": age, "snapshot": snapshot, "lines": lines}
}

func (s *Server) streamTo(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	out.Flush()
	s.mu.Lock()
	sent, rawSent := s.shown(), len(s.faults.raw)
	s.mu.Unlock()
	keep := time.NewTicker(10 * time.Second)
	defer keep.Stop()
	for {
		s.mu.Lock()
		changed, f := s.changed, s.faults
		var events [][]byte
		for _, l := range s.ledger {
			if l.Pos <= sent || l.Pos > s.shown() || f.silent {
				continue
			}
			sent = l.Pos
			if s.faults.loseLines > 0 {
				s.faults.loseLines--
				continue
			}
			events = append(events, marshal(l))
			if f.double {
				events = append(events, marshal(l))
			}
		}
		events = slices.Concat(events, f.raw[rawSent:])
		rawSent = len(f.raw)
		s.mu.Unlock()
		for _, e := range events {
			fmt.Fprintf(w, "data: %s\n\n", e)
		}
		if len(events) > 0 {
			out.Flush()
		}
		if f.noStream {
			return
		}
		select {
		case <-changed:
		case <-keep.C:
			if !f.silent {
				fmt.Fprint(w, ": keep\n\n")
				out.Flush()
			}
		case <-r.Context().Done():
			return
		}
	}
}
