package guard

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/guard/internal/again"
	"github.com/curfew-id/curfew/guard/internal/dpop"
)

// Kind says which refusal it is.
type Kind uint8

// The kinds of refusal.
const (
	Missing  Kind = iota + 1 // no token: 401
	Request                  // the request is ambiguous: 400 invalid_request
	Invalid                  // malformed, foreign, expired: 401 invalid_token
	Revoked                  // good once, cut since: 401, with a claims challenge for clients that declared cp1
	Stale                    // the guard cannot vouch for anything: 503
	Scope                    // the token lacks a scope: 403 insufficient_scope
	StepUp                   // not proven well or recently enough: 401 insufficient_user_authentication
	Barred                   // judged again, and not allowed any more: as Revoked
	Unjudged                 // must be judged again, and could not be: 503
	Outside                  // not from this address: as Revoked, and the challenge says so
)

var kindNames = [...]string{Missing: "missing", Request: "request", Invalid: "invalid", Revoked: "revoked", Stale: "stale", Scope: "scope", StepUp: "step up", Barred: "barred", Unjudged: "unjudged", Outside: "outside"}

// String names the kind for logs.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Refusal is why a guard refused. It is an error, and the cause
// ([context.Cause]) of a held request that was cut.
type Refusal struct {
	Kind   Kind
	Since  time.Time // of Stale: when the guard closed
	Claims *Claims   // of a token that was genuine; nil otherwise

	cause  error
	at     int64    // wall ns of the refusal, for the claims challenge
	scopes string   // of Scope
	params []string // of StepUp
	acrs   []string // of StepUp: one of them would do; none: any
	dpop   bool     // the token came, or must come, under the scheme DPoP
}

// Error is a sentence safe to show to the caller.
func (r *Refusal) Error() string {
	switch {
	case r.Kind == Stale:
		return "this service cannot confirm since " + r.Since.UTC().Format(time.RFC3339) + " that access was not taken away and refuses everything until it can"
	case r.cause != nil:
		return r.cause.Error()
	}
	return "refused"
}

func refusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	// Doubt closes, and says nothing about an error that is not ours.
	return &Refusal{Kind: Invalid, cause: errForm}
}

// The words the receivers of a claims challenge look for. No comma: kiota
// splits the header at commas.
const challengeText = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp"

// challenges are the WWW-Authenticate values of a refusal. Clients of Microsoft's
// read the first one only and understand Bearer, so it comes first unless the
// token must be proven.
func (g *Guard) challenges(r *Refusal) []string {
	switch {
	case r.dpop && g.cfg.URL != "":
		return []string{g.challenge("DPoP", r)}
	case r.Kind == Missing && g.cfg.URL != "":
		return []string{g.challenge("Bearer", r), g.challenge("DPoP", r)} // either will do
	}
	return []string{g.challenge("Bearer", r)}
}

// challenge is one WWW-Authenticate value: every parameter quoted, no comma
// inside a value, realm first and empty.
func (g *Guard) challenge(scheme string, r *Refusal) string {
	var b strings.Builder
	b.WriteString(scheme + ` realm=""`)
	add := func(name, value string) { b.WriteString(", " + name + `="` + value + `"`) }
	if scheme == "DPoP" {
		add("algs", dpop.Algs) // RFC 9449 §7.1
	}
	if g.cfg.URL != "" {
		add("resource_metadata", g.origin+g.metadataPath) // RFC 9728 §5.1
	}
	if uri := g.authURI.Load(); uri != nil {
		add("authorization_uri", *uri)
	}
	switch r.Kind {
	case Missing: // RFC 6750 §3.1: no error code when nothing was presented
	case Request:
		add("error", "invalid_request")
		add("error_description", r.Error())
	case Revoked, Barred, Outside:
		if r.Claims != nil && r.Claims.capable() {
			add("error", "insufficient_claims")
			add("claims", again.Claims(r.at, r.Kind == Outside))
			add("error_description", challengeText)
			break
		}
		add("error", "invalid_token")
		add("error_description", r.Error())
	case Scope:
		add("error", "insufficient_scope")
		add("scope", r.scopes)
		add("error_description", r.Error())
	case StepUp:
		add("error", "insufficient_user_authentication")
		add("error_description", r.Error())
		if len(r.acrs) > 0 && r.Claims.capable() {
			add("claims", again.StepUpClaims(r.acrs))
		}
		for i := 0; i+1 < len(r.params); i += 2 {
			add(r.params[i], r.params[i+1])
		}
	default:
		add("error", invalidCode(r.cause))
		add("error_description", r.Error())
	}
	return b.String()
}

// invalidCode is the error of RFC 6750 §3.1, or of RFC 9449 §7.1 and §9.
func invalidCode(cause error) string {
	switch cause {
	case errNonce:
		return "use_dpop_nonce"
	case dpop.ErrForm, errProofs, errNoProof, errProofKey, errProofFor, errProofOld, dpop.ErrReplayed, dpop.ErrBusy:
		return "invalid_dpop_proof"
	}
	return "invalid_token"
}

type errorBody struct {
	Error struct {
		Code    string     `json:"code"`
		Message string     `json:"message"`
		Since   *time.Time `json:"since,omitempty"` // 503 only
		Inner   struct {
			Date string `json:"date"`
		} `json:"innerError"`
	} `json:"error"`
}

// Refuse answers a request that Check refused: status, challenge and a body in
// the form Graph clients read. Middleware does this by itself; programs that
// call Check on their own use Refuse to say the same.
func (g *Guard) Refuse(w http.ResponseWriter, err error) {
	r := refusal(err)
	var body errorBody
	status := http.StatusUnauthorized
	body.Error.Code = "InvalidAuthenticationToken"
	body.Error.Message = r.Error()
	body.Error.Inner.Date = wallTime(g.now().wall).Format("2006-01-02T15:04:05")
	switch r.Kind {
	case Stale:
		since := r.Since.UTC()
		status, body.Error.Code, body.Error.Since = http.StatusServiceUnavailable, "ServiceUnavailable", &since
	case Request:
		status, body.Error.Code = http.StatusBadRequest, "InvalidRequest"
	case Unjudged:
		status, body.Error.Code = http.StatusServiceUnavailable, "ServiceUnavailable"
	case Scope:
		status, body.Error.Code = http.StatusForbidden, "Authorization_RequestDenied"
	case Revoked, Barred, Outside:
		if r.Claims != nil && r.Claims.capable() {
			body.Error.Message = challengeText
		}
	}
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
		h.Add("Access-Control-Expose-Headers", "Retry-After")
	} else {
		for _, c := range g.challenges(r) {
			h.Add("WWW-Authenticate", c)
		}
		// Scripts of other origins see the challenge only if told so.
		h.Add("Access-Control-Expose-Headers", "WWW-Authenticate")
		if r.dpop && g.cfg.URL != "" {
			h.Set("DPoP-Nonce", g.nonce(g.now()))
			h.Add("Access-Control-Expose-Headers", "DPoP-Nonce")
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	out, err := json.Marshal(&body)
	if err != nil {
		panic(err) // strings and times always marshal
	}
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	w.Write(out) // the caller is gone if this fails
}
