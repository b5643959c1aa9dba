package feed

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/relay"
)

const (
	maxBody   = 4 << 10
	maxNonce  = 64
	bodyTime  = 10 * time.Second // for a request's body to arrive
	writeTime = 10 * time.Second // for an answer to be taken; a snapshot's is set anew for each piece
	pushTime  = 5 * time.Second  // for a line of a stream to be taken
	piece     = 1 << 20
)

// extend bounds the write that follows. Not every writer has deadlines (recorders
// in tests); the server's do.
func extend(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
}

// registration is the body of POST.
type registration struct {
	Name         string   `json:"name"`
	Resource     string   `json:"resource"`
	MaxStaleness *float64 `json:"max_staleness_ms"`
	Version      string   `json:"version"`
}

// registered is its answer.
type registered struct {
	Process       string   `json:"process"`
	Issuers       []string `json:"issuers"`
	JWKS          string   `json:"jwks_uri"`
	Introspection string   `json:"introspection_endpoint"`
	Authorization string   `json:"authorization_uri"`
}

func (s *Server) postFeed(w http.ResponseWriter, r *http.Request, app *directory.App) error {
	if _, err := params(r); err != nil {
		return err
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return fault.New(fault.Invalid, "The body must be application/json.")
	}
	var in registration
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return fault.Wrap(fault.Invalid, "The body must be a JSON object of at most 4 KiB with name, resource, max_staleness_ms and version.", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "There is something after the JSON object.")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if in.MaxStaleness == nil || *in.MaxStaleness < 0 || *in.MaxStaleness > 1e9 {
		return fault.New(fault.Invalid, "max_staleness_ms must be a number of milliseconds.")
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = ""
	}
	reg, err := s.Relay.Register(r.Context(), app, relay.Registration{Name: in.Name, Resource: directory.ResourceID(in.Resource),
		MaxStaleness: time.Duration(*in.MaxStaleness * float64(time.Millisecond)), Version: in.Version, Address: host})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, registered{Process: reg.Process.String(), Issuers: reg.Issuers, JWKS: reg.JWKSURI,
		Introspection: reg.IntrospectURI, Authorization: reg.AuthorizeURI})
	return nil
}

func (s *Server) deleteFeed(w http.ResponseWriter, r *http.Request, app *directory.App) error {
	q, err := params(r, "process")
	if err != nil {
		return err
	}
	id, err := process(q)
	if err != nil {
		return err
	}
	if err := s.Relay.Goodbye(r.Context(), app, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getFeed answers a question, or opens a stream.
func (s *Server) getFeed(w http.ResponseWriter, r *http.Request, app *directory.App) error {
	if wantsStream(r) {
		return s.stream(w, r, app)
	}
	arrived := s.now()
	q, err := params(r, "process", "after", "wait", "nonce")
	if err != nil {
		return err
	}
	ask := relay.Ask{After: q["after"], Arrived: arrived}
	if ask.Process, err = process(q); err != nil {
		return err
	}
	if _, there := q["after"]; there && ask.After == "" {
		return fault.New(fault.Invalid, "The parameter after is empty. Leave it out to get a snapshot.")
	}
	if wait, there := q["wait"]; there {
		if ask.Wait, err = time.ParseDuration(wait); err != nil || ask.Wait < 0 || ask.Wait > relay.MaxWait {
			return fault.New(fault.Invalid, "The wait must be between 0s and 30s.")
		}
	}
	if !printable(q["nonce"]) {
		return fault.New(fault.Invalid, "The nonce must be at most 64 printable ASCII characters.")
	}
	a, err := s.Relay.Ask(r.Context(), app, ask)
	if err != nil {
		return err
	}
	return writeAnswer(w, q["nonce"], a)
}

func (s *Server) now() time.Time {
	if s.Relay.Now == nil {
		return time.Now()
	}
	return s.Relay.Now()
}

// printable also refuses what JSON would have to escape.
func printable(nonce string) bool {
	if len(nonce) > maxNonce {
		return false
	}
	for i := range len(nonce) {
		if c := nonce[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// writeAnswer puts the few figures that differ in front of the lines, which are
// shared with everybody who asked the same. snapshot stands before lines: a guard
// can build its new set while it reads.
func writeAnswer(w http.ResponseWriter, nonce string, a *relay.Answer) error {
	size := 0
	for _, c := range a.Lines {
		size += len(c)
	}
	b := make([]byte, 0, 256+min(size, 4096))
	b = append(append(append(b, `{"nonce":"`...), nonce...), `","cursor":"`...)
	b = append(append(b, a.Cursor...), `","head":`...)
	b = append(strconv.AppendInt(b, int64(a.Head), 10), `,"floor":`...)
	b = append(strconv.AppendInt(b, int64(a.Floor), 10), `,"age_ms":`...)
	b = append(millis(b, a.Age+999*time.Nanosecond), `,"held_ms":`...)
	b = append(millis(b, a.Held), `,"snapshot":`...)
	b = append(strconv.AppendBool(b, a.Snapshot), `,"lines":[`...)
	const end = "]}\n"
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)+size+len(end)))
	extend(w)
	if size <= 4096 { // nearly always: one write
		for _, c := range a.Lines {
			b = append(b, c...)
		}
		return sent(w.Write(append(b, end...)))
	}
	if err := sent(w.Write(b)); err != nil {
		return err
	}
	for _, c := range a.Lines {
		for len(c) > 0 {
			n := min(len(c), piece)
			extend(w)
			if err := sent(w.Write(c[:n])); err != nil {
				return err
			}
			c = c[n:]
		}
	}
	return sent(io.WriteString(w, end))
}

func sent(_ int, err error) error {
	if err != nil {
		return errSent
	}
	return nil
}

// millis writes a duration to the microsecond, rounded down. Held may be less than
// it was and age more, never the other way round.
func millis(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, app *directory.App) error {
	q, err := params(r, "process")
	if err != nil {
		return err
	}
	id, err := process(q)
	if err != nil {
		return err
	}
	rc := http.NewResponseController(w)
	begun := false
	err = s.Relay.Stream(r.Context(), app, id, func(b []byte) error {
		if !begun {
			begun = true
			h := w.Header()
			h.Set("Content-Type", "text/event-stream")
			h.Set("X-Accel-Buffering", "no") // proxies that collect answers
			w.WriteHeader(http.StatusOK)
		}
		_ = rc.SetWriteDeadline(time.Now().Add(pushTime))
		if err := sent(w.Write(b)); err != nil {
			return err
		}
		return rc.Flush()
	})
	if begun {
		return nil // nothing can be told any more; the guard opens another
	}
	return err
}
