package pages

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// refusal is what OAuth calls an error, given by this surface itself. It stands
// behind a fault, as issue.Error does.
type refusal struct {
	code   string
	number int
}

func (r *refusal) Error() string { return r.code }

func refuse(kind fault.Kind, code string, number int, public string) error {
	return fault.Wrap(kind, public, &refusal{code, number})
}

func badRequest(public string) error {
	return refuse(fault.Invalid, "invalid_request", 9002313, public)
}

var errTenant = refuse(fault.Invalid, "invalid_request", 90002, "There is no such tenant here.")

// pageError gives the error page a heading and a way on.
type pageError struct {
	error
	heading string
	next    webkit.Link
}

func (p *pageError) Unwrap() error { return p.error }

// toApp is how a kind of fault is told to an application in the answer to its
// authorization request (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6). A
// test checks that none is missing.
var toApp = map[fault.Kind]refusal{
	fault.Internal:        {"server_error", 50000},
	fault.Invalid:         {"invalid_request", 9002313},
	fault.Unauthenticated: {"login_required", 50058},
	fault.Denied:          {"access_denied", 65004},
	fault.NotFound:        {"invalid_request", 9002313},
	fault.Conflict:        {"invalid_request", 9002313},
	fault.Revoked:         {"login_required", 50058},
	fault.Limited:         {"temporarily_unavailable", 50196},
	fault.Unavailable:     {"temporarily_unavailable", 90033},
}

// told finds code and number of an error.
func told(err error) refusal {
	var r *refusal
	if errors.As(err, &r) {
		return *r
	}
	kind := fault.KindOf(err)
	out := toApp[kind]
	var e *issue.Error
	if errors.As(err, &e) && kind != fault.Revoked { // a dead grant's names are for the token endpoint
		out = refusal{e.Code, e.Number}
	}
	return out
}

// RetryAfter is the header of that name, in seconds: when the next try is let
// through, where that is known.
func (s *Server) RetryAfter(err error) string {
	var many *signin.TooMany
	if !errors.As(err, &many) {
		return "5"
	}
	return strconv.Itoa(1 + int(max(0, many.Until.Sub(s.Now())-1)/time.Second))
}

// codeOf names an error on its page, so that somebody else can look it up.
func codeOf(err error) string {
	var r *refusal
	var e *issue.Error
	switch {
	case errors.As(err, &r):
	case errors.As(err, &e):
		r = &refusal{e.Code, e.Number}
	default:
		return ""
	}
	if r.number == 0 {
		return r.code
	}
	return r.code + ", AADSTS" + strconv.Itoa(r.number)
}

// description is the sentence of an error in the characters that RFC 6749
// §4.1.2.1 allows.
func description(err error, number int) string {
	text := fault.Public(err)
	if number != 0 {
		text = "AADSTS" + strconv.Itoa(number) + ": " + text
	}
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"' || c == '\\':
			return '\''
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, text)
}
