package oidc

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// wire is how a kind of fault is told when nothing more is known about it.
type wire struct {
	status int
	code   string
	number int // AADSTS
	sub    string
}

// wires maps every kind; a test checks that none is missing.
var wires = map[fault.Kind]wire{
	fault.Internal:        {http.StatusInternalServerError, "server_error", 50000, ""},
	fault.Invalid:         {http.StatusBadRequest, "invalid_request", 9002313, ""},
	fault.Unauthenticated: {http.StatusUnauthorized, "invalid_client", 7000215, ""},
	fault.Denied:          {http.StatusBadRequest, "access_denied", 65004, ""},
	fault.NotFound:        {http.StatusBadRequest, "invalid_request", 9002313, ""},
	fault.Conflict:        {http.StatusBadRequest, "invalid_request", 9002313, ""},
	fault.Revoked:         {http.StatusBadRequest, "invalid_grant", 50173, "bad_token"},
	fault.Limited:         {http.StatusTooManyRequests, "temporarily_unavailable", 50196, ""},
	fault.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable", 90033, ""},
}

// problem is a refusal that this surface gives by itself.
type problem struct {
	kind   fault.Kind
	code   string
	number int
	text   string
}

func (p *problem) Error() string { return p.code + ": " + p.text }

// told is an error as it is told.
type told struct {
	wire
	text   string
	claims string // for the authorization endpoint, see issue.Error
}

// tell finds the words for an error. Only a fault's own sentence is shown, and of
// what is behind it only the names and numbers meant for the wire.
func tell(err error) told {
	var p *problem
	if errors.As(err, &p) {
		w := wires[p.kind]
		w.code, w.number, w.sub = p.code, p.number, ""
		return told{wire: w, text: p.text}
	}
	t := told{wire: wires[fault.KindOf(err)], text: fault.Public(err)}
	var e *issue.Error
	if errors.As(err, &e) {
		t.code, t.sub, t.claims = e.Code, e.Sub, e.Claims
		t.number = e.Number
		switch {
		case t.status >= 429: // not the caller's doing, whatever it is called
		case e.Code == "invalid_client":
			t.status = http.StatusUnauthorized
		default:
			t.status = http.StatusBadRequest
		}
	}
	return t
}

// fail answers with the error of RFC 6749 §5.2, with Microsoft's members beside.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	var method methodError
	if errors.As(err, &method) {
		h.Set("Allow", string(method))
		err = &problem{kind: fault.Invalid, code: "invalid_request", number: 900561, text: "This endpoint takes " + string(method) + " only."}
	}
	t := tell(err)
	if method != "" {
		t.status = http.StatusMethodNotAllowed
	}
	switch t.status {
	case http.StatusInternalServerError:
		if s.Log != nil && r.Context().Err() == nil {
			s.Log.ErrorContext(r.Context(), "oidc", "error", err, "request", webkit.RequestID(r.Context()))
		}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		// Microsoft's library for JavaScript stays away for a minute when it is
		// not told how long. Refusals of what was revoked never come this way.
		h.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		var u unauthenticated
		if errors.As(err, &u) {
			h.Set("WWW-Authenticate", `Basic realm="curfew", charset="UTF-8"`)
		}
	}
	private(w)
	trace, correlation := s.trace(r), correlation(r)
	h.Set("X-Ms-Request-Id", trace)
	at := s.now().UTC().Format("2006-01-02 15:04:05Z")
	b := make([]byte, 0, 512)
	b = append(append(append(b, `{"error":"`...), t.code...), `","error_description":`...)
	b = quoted(b, describe(t, trace, correlation, at))
	b = append(b, `,"error_codes":[`...)
	if t.number != 0 {
		b = strconv.AppendInt(b, int64(t.number), 10)
	}
	b = append(append(append(b, `],"timestamp":"`...), at...), `","trace_id":`...)
	b = quoted(b, trace)
	b = append(append(append(b, `,"correlation_id":"`...), correlation...), '"')
	if t.sub != "" {
		b = append(append(append(b, `,"suberror":"`...), t.sub...), '"')
	}
	if t.claims != "" {
		b = quoted(append(b, `,"claims":`...), t.claims)
	}
	b = append(b, "}\n"...)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(t.status)
	w.Write(b) // who does not read it asks again
}

func describe(t told, trace, correlation, at string) string {
	text := t.text
	if t.number != 0 {
		text = "AADSTS" + strconv.Itoa(t.number) + ": " + text
	}
	return text + " Trace ID: " + trace + " Correlation ID: " + correlation + " Timestamp: " + at
}

// trace is the id under which our log knows the request.
func (s *Server) trace(r *http.Request) string {
	if id := webkit.RequestID(r.Context()); id != "" {
		return id
	}
	return newUUID()
}

// correlation is the caller's own id for what it is doing, when it is a UUID, or
// else a new one. What is not a UUID is not repeated.
func correlation(r *http.Request) string {
	id := r.Header.Get("Client-Request-Id")
	if id == "" && r.URL.RawQuery != "" {
		id = r.URL.Query().Get("client-request-id")
	}
	if u, err := directory.ParseID[directory.App](id); err == nil {
		return u.String()
	}
	return newUUID()
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	x := hex.EncodeToString(b[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// seconds is how lives are told: whole, rounded down.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
