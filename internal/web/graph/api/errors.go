package api

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// wire is how a kind of fault is told.
type wire struct {
	status int
	code   odata.Code
}

// wires maps every kind; a test checks that none is missing.
var wires = map[fault.Kind]wire{
	fault.Internal:        {http.StatusInternalServerError, "InternalServerError"},
	fault.Invalid:         {http.StatusBadRequest, "Request_BadRequest"},
	fault.Unauthenticated: {http.StatusUnauthorized, "InvalidAuthenticationToken"},
	fault.Denied:          {http.StatusForbidden, "Authorization_RequestDenied"},
	fault.NotFound:        {http.StatusNotFound, "Request_ResourceNotFound"},
	fault.Conflict:        {http.StatusConflict, "Conflict"},
	fault.Revoked:         {http.StatusUnauthorized, "InvalidAuthenticationToken"},
	fault.Limited:         {http.StatusTooManyRequests, "TooManyRequests"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "ServiceUnavailable"},
}

// Codes of faults that HTTP has a status of its own for.
const (
	noToken    odata.Code = "InvalidAuthenticationToken" // none was presented
	notAllowed odata.Code = "MethodNotAllowed"
)

var statuses = map[odata.Code]int{
	notAllowed:       http.StatusMethodNotAllowed,
	odata.TooLarge:   http.StatusRequestEntityTooLarge,
	odata.OtherMedia: http.StatusUnsupportedMediaType,
}

// ErrSent: the answer has begun; nothing can be told any more.
var ErrSent = errors.New("answer interrupted")

// challengeText is what tools search for. No comma: kiota splits the header at
// commas.
const challengeText = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp"

// Fail tells an error in Graph's form, also when the caller seems to be gone: half
// a connection may be left, and no answer would be a 200.
func (s *Server) Fail(c *Call, err error) {
	if errors.Is(err, ErrSent) {
		return
	}
	kind, message := fault.KindOf(err), fault.Public(err)
	if !strings.HasSuffix(message, ".") { // meant to stand beside a field
		message += "."
	}
	t := wires[kind]
	var special odata.Code
	if errors.As(err, &special) {
		t.code = special
		if status, ok := statuses[special]; ok {
			t.status = status
		}
	}
	h := c.W.Header()
	switch {
	case kind == fault.Internal:
		if s.Log != nil && c.Ctx().Err() == nil {
			s.Log.LogAttrs(c.Ctx(), slog.LevelError, "graph", slog.String("route", c.R.Pattern), slog.String("request", c.requestID()), slog.Any("error", err))
		}
	case t.status == http.StatusUnauthorized:
		if kind == fault.Revoked && c.capable() {
			message = challengeText
		}
		h.Set("WWW-Authenticate", s.challenge(c, err, special, message))
	case kind == fault.Limited || kind == fault.Unavailable:
		h.Set("Retry-After", s.retryAfter(err))
	}
	c.Write(t.status, Object{{"error", Object{
		{"code", t.code}, {"message", message},
		{"innerError", Object{
			{"date", s.Time().UTC().Format("2006-01-02T15:04:05")},
			{"request-id", h.Get("request-id")}, {"client-request-id", h.Get("client-request-id")}}}}}})
}

// capable reports whether the client said that it understands claims challenges.
func (c *Call) capable() bool { return c.Access != nil && slices.Contains(c.Access.CC, "CP1") }

// challenge is the one WWW-Authenticate value: Bearer first, every parameter
// quoted, no comma inside a value, the claims in padded standard base64
// (reference/clients.md rule 9).
func (s *Server) challenge(c *Call, err error, special odata.Code, message string) string {
	var b strings.Builder
	if c.dpop { // who sends proofs is none of the clients of that rule
		b.WriteString(`DPoP algs="` + strings.Join(proof.AssertionAlgs, " ") + `"`)
	} else {
		b.WriteString(`Bearer realm=""`)
	}
	var e *issue.Error
	add := func(name, value string) { b.WriteString(", " + name + `="` + value + `"`) }
	add("authorization_uri", s.Base+"/"+s.Tenant+"/oauth2/v2.0/authorize")
	add("client_id", s.Issue.Audience(directory.OwnAPI))
	switch {
	case special == noToken: // RFC 6750 §3.1: no error code when nothing was presented
		return b.String()
	case fault.Is(err, fault.Revoked) && c.capable():
		// "Mint me one newer than now": the issuer takes it as "judge again".
		claims := `{"access_token":{"nbf":{"essential":true,"value":"` + strconv.FormatInt(s.Time().Unix(), 10) + `"}}}`
		add("error", "insufficient_claims")
		add("claims", base64.StdEncoding.EncodeToString([]byte(claims)))
	case errors.As(err, &e) && strings.HasSuffix(e.Code, "_dpop_proof"), e != nil && e.Code == "use_dpop_nonce":
		add("error", e.Code)
	default:
		add("error", "invalid_token")
	}
	add("error_description", strings.NewReplacer(`"`, "", `\`, "", ", ", " ", ",", " ").Replace(message))
	return b.String()
}

func (s *Server) retryAfter(err error) string {
	var many *signin.TooMany
	if errors.As(err, &many) {
		if wait := many.Until.Sub(s.Time()); wait > 0 {
			return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
		}
	}
	return "1"
}
