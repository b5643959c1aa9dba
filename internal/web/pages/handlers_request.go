package pages

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	statement "github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// request is an authorization request, read once.
type request struct {
	next     string // its own address, without a proof
	issuer   grant.Issuer
	app      *directory.App
	redirect string
	mode     string // query, fragment, form_post
	state    string
	hasState bool

	scope     string
	resource  []string
	plan      *issue.Plan
	nonce     string
	challenge string
	jkt       string // dpop_jkt
	pushed    string // the request_uri under which it was pushed; empty: it was not

	none, login, consent, choose bool          // prompt
	maxAge                       time.Duration // -1: not asked
	loginHint                    string
	hint                         *issue.IDToken // id_token_hint
	claims                       webkit.ClaimsRequest
}

// Bounds of parameters, in bytes.
const (
	maxState = 8 << 10
	maxNonce = 1 << 10
	maxScope = 8 << 10
	maxHint  = 1 << 10
)

// read finds the parameters of a GET: those of its address, or those of a posted
// request that was put aside.
func (s *Server) read(ctx context.Context, r *http.Request) (q url.Values, next, proof string, err error) {
	raw, proof := withoutProof(r.URL.RawQuery)
	next = r.URL.EscapedPath() + "?" + raw
	if q, err = url.ParseQuery(raw); err != nil {
		return nil, "", "", badRequest("This is not an address we can read.")
	}
	if name := q.Get("posted"); name != "" && len(q) == 1 && len(q["posted"]) == 1 {
		doc, err := s.Parked(ctx, name)
		if err != nil {
			return nil, "", "", err
		}
		if q, err = url.ParseQuery(doc); err != nil {
			return nil, "", "", err
		}
	}
	return q, next, proof, nil
}

// readPosted reads the body of a POST, to be put aside: the session cookie
// does not come with a form from another site, but with the GET that follows.
func (s *Server) readPosted(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	f, err := webkit.ParseForm(w, r, repeatable...)
	if err != nil {
		return nil, err
	}
	q := url.Values{}
	for _, name := range append(authorizeParams, logoutParams...) {
		if v := f.All(name); len(v) > 0 {
			q[name] = v
		}
	}
	return q, nil
}

func (s *Server) park(ctx context.Context, r *http.Request, q url.Values) (next string, err error) {
	if err := s.Issue.Strangers.Admit(webkit.Address(r), s.Now()); err != nil {
		return "", err
	}
	name, err := s.Park(ctx, q.Encode(), s.Issue.Lifetimes.Ticket)
	if err != nil {
		return "", err
	}
	return r.URL.EscapedPath() + "?posted=" + url.QueryEscape(name), nil
}

// The parameters that mean something here. All others are ignored, as RFC 6749
// §3.1 demands: Microsoft's libraries send a dozen.
var (
	authorizeParams = []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "resource", "state", "nonce", "code_challenge", "code_challenge_method",
		"prompt", "max_age", "login_hint", "id_token_hint", "claims", "acr_values", "dpop_jkt", "request", "request_uri", "registration"}
	logoutParams = []string{"id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"}
	repeatable   = []string{"resource"}
)

// one checks that a parameter is there at most once, and text.
func one(q url.Values, name string) (string, error) {
	v := q[name]
	if len(v) > 1 {
		return "", badRequest("The parameter " + name + " was sent twice.")
	}
	if len(v) == 0 {
		return "", nil
	}
	if !utf8.ValidString(v[0]) || strings.ContainsRune(v[0], 0) {
		return "", badRequest("The parameter " + name + " holds bytes that are not text.")
	}
	return v[0], nil
}

// parse reads an authorization request. Without a request the error is for a page:
// nobody may be sent to an address that was not checked (RFC 9700 §4.11). With one,
// it is for the application.
func (s *Server) parse(ctx context.Context, issuer grant.Issuer, next string, q url.Values) (*request, error) {
	q, pushed, err := s.pushed(ctx, issuer, q)
	if err != nil {
		return nil, err
	}
	x, err := s.parseQuery(ctx, issuer, q)
	if x == nil {
		return nil, err
	}
	x.next, x.pushed = next, pushed
	if err == nil && pushed == "" && x.app.RequirePAR {
		err = badRequest("This application has to push its authorization requests: request_uri is missing.")
	}
	return x, err
}

// pushed finds the parameters of a request that was pushed (RFC 9126 §4). Beside
// its request_uri only client_id counts.
func (s *Server) pushed(ctx context.Context, issuer grant.Issuer, q url.Values) (url.Values, string, error) {
	if !issue.IsPushed(q.Get("request_uri")) { // another kind is refused like any other parameter
		return q, "", nil
	}
	uri, err := one(q, "request_uri")
	if err != nil {
		return nil, "", err
	}
	id, err := one(q, "client_id")
	if err != nil {
		return nil, "", err
	}
	text, err := s.Issue.Pushed(ctx, directory.AppID(id), issuer, uri)
	if err != nil {
		return nil, "", err
	}
	q, err = url.ParseQuery(text)
	return q, uri, err
}

// Check reports what is wrong with an authorization request that a client wants to
// push. Kinds: as told to the application.
func (s *Server) Check(ctx context.Context, issuer grant.Issuer, q url.Values) error {
	_, err := s.parseQuery(ctx, issuer, q)
	if err == nil {
		return nil
	}
	t := told(err)
	return fault.Wrap(fault.KindOf(err), fault.Public(err), errors.Join(&issue.Error{Code: t.code, Number: t.number}, err))
}

func (s *Server) parseQuery(ctx context.Context, issuer grant.Issuer, q url.Values) (*request, error) {
	id, err := one(q, "client_id")
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, refuse(fault.Invalid, "invalid_request", 900144, "The application did not say which one it is: client_id is missing.")
	}
	app, err := s.Issue.App(ctx, directory.AppID(id))
	if err != nil {
		return nil, err
	}
	redirect, err := one(q, "redirect_uri")
	if err != nil {
		return nil, err
	}
	registered := func(uri string) bool { return app.MatchRedirect(uri) || app.MatchSPARedirect(uri) }
	if inside := statement.RedirectInside(q.Get("request")); !registered(redirect) && registered(inside) {
		redirect = inside // where flowOf refuses the object
	}
	if !registered(redirect) {
		return nil, refuse(fault.Invalid, "invalid_request", 50011, "The address to return to (redirect_uri) is not one that is registered for "+app.Name+".")
	}
	x := &request{issuer: issuer, app: app, redirect: redirect, mode: "query", maxAge: -1}
	if x.state, err = one(q, "state"); err != nil || len(x.state) > maxState {
		x.state = ""
		return x, badRequest("The parameter state is not text, is there twice, or is longer than 8 KiB.")
	}
	x.hasState = q.Has("state")
	mode, err := one(q, "response_mode")
	switch {
	case err != nil:
		return x, err
	case mode == "":
	case mode == "form_post" && !web(redirect):
		return x, badRequest("A form cannot be posted to that redirect_uri: use response_mode=query.")
	case mode == "query" || mode == "fragment" || mode == "form_post":
		x.mode = mode
	default:
		return x, badRequest("The response_mode must be query, fragment or form_post.")
	}
	// From here on the rest, in the order in which the request is looked at.
	for _, f := range []func(url.Values) error{x.flowOf, x.promptOf, x.pkceOf, x.proofKeyOf, x.claimsOf, x.contextOf} {
		if err := f(q); err != nil {
			return x, err
		}
	}
	if x.scope, err = one(q, "scope"); err != nil || len(x.scope) > maxScope {
		return x, badRequest("The parameter scope is not text, is there twice, or is longer than 8 KiB.")
	}
	x.resource = q["resource"]
	x.plan, err = s.Issue.Plan(ctx, app, x.scope, x.resource)
	if err == nil && issuer == grant.Tenant && len(x.plan.OIDC) == 0 && !x.plan.Offline {
		// MSAL Go's AuthCodeURL leaves these out and names them when it redeems
		// the code. So they are a part of the consent from the start.
		x.plan, err = s.Issue.Plan(ctx, app, x.scope+" openid profile offline_access", x.resource)
	}
	if err != nil {
		return x, err
	}
	x.plan.Ask(x.claims.Single)
	if x.loginHint, err = one(q, "login_hint"); err != nil || len(x.loginHint) > maxHint {
		return x, badRequest("The parameter login_hint is not text, is there twice, or is longer than 1 KiB.")
	}
	hint, err := one(q, "id_token_hint")
	if err != nil {
		return x, err
	}
	if hint != "" {
		if x.hint, err = s.Issue.Hint(hint); err != nil {
			return x, err
		}
		x.claims.Subject = cmp.Or(x.claims.Subject, x.hint.Subject)
	}
	return x, nil
}

func (x *request) flowOf(q url.Values) error {
	for name, code := range map[string]string{"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported"} {
		if q.Has(name) {
			return refuse(fault.Invalid, code, 0, "The parameter "+name+" is not accepted here.")
		}
	}
	t, err := one(q, "response_type")
	switch {
	case err != nil:
		return err
	case t == "":
		return refuse(fault.Invalid, "invalid_request", 900144, "The parameter response_type is missing.")
	case t != "code":
		return refuse(fault.Invalid, "unsupported_response_type", 700051, "The only response_type here is code.")
	}
	return nil
}

func (x *request) promptOf(q url.Values) error {
	p, err := one(q, "prompt")
	if err != nil {
		return err
	}
	words := strings.Fields(p)
	for _, w := range words {
		switch w {
		case "none":
			x.none = true
		case "login":
			x.login = true
		case "consent":
			x.consent = true
		case "select_account":
			x.choose = true
		default:
			return refuse(fault.Invalid, "invalid_request", 90023, "The parameter prompt must be none, login, consent or select_account.")
		}
	}
	if x.none && len(words) > 1 {
		return refuse(fault.Invalid, "invalid_request", 90023, "prompt=none stands alone or not at all.")
	}
	age, err := one(q, "max_age")
	if err != nil {
		return err
	}
	if age != "" {
		n, err := strconv.ParseInt(age, 10, 32)
		if err != nil || n < 0 {
			return badRequest("The parameter max_age must be a number of seconds.")
		}
		x.maxAge = time.Duration(n) * time.Second
	}
	return nil
}

// web reports whether a browser takes a form or a link there.
func web(uri string) bool {
	return strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")
}

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// pkceOf: applications that hold no secret must use PKCE (RFC 9700 §2.1.1), and so
// must those that have to push their requests, which do it for FAPI 2.0 (§5.3.2.2).
// For the others it is optional, because Microsoft's libraries for them send neither
// a challenge nor a nonce; a code of theirs is of no use without the secret. What
// was sent is enforced at the token endpoint, and a verifier without a challenge is
// refused there.
func (x *request) pkceOf(q url.Values) (err error) {
	if x.nonce, err = one(q, "nonce"); err != nil || len(x.nonce) > maxNonce {
		return badRequest("The parameter nonce is not text, is there twice, or is longer than 1 KiB.")
	}
	method, err := one(q, "code_challenge_method")
	if err != nil {
		return err
	}
	if x.challenge, err = one(q, "code_challenge"); err != nil {
		return err
	}
	switch {
	case x.challenge == "" && method != "":
		return badRequest("There is a code_challenge_method without a code_challenge.")
	case x.challenge == "" && (x.app.Public || x.app.RequirePAR):
		return refuse(fault.Invalid, "invalid_request", 9002325, "Applications that hold no secret, and those that push their requests, must use PKCE: code_challenge is missing.")
	case x.challenge != "" && method != "S256": // left out, it would mean plain
		return badRequest("The code_challenge_method must be S256.")
	case x.challenge != "" && !challengeForm.MatchString(x.challenge):
		return badRequest("The code_challenge must be 43 characters of base64url.")
	}
	return nil
}

var thumbprintForm = challengeForm // both are a SHA-256

// proofKeyOf reads the key that the code is to be bound to (RFC 9449 §10).
func (x *request) proofKeyOf(q url.Values) (err error) {
	if x.jkt, err = one(q, "dpop_jkt"); err != nil {
		return err
	}
	if x.jkt != "" && !thumbprintForm.MatchString(x.jkt) {
		return badRequest("The dpop_jkt must be 43 characters of base64url.")
	}
	return nil
}

// claimsOf reads the claims parameter; see [webkit.ParseClaims].
func (x *request) claimsOf(q url.Values) error {
	text, err := one(q, "claims")
	if err != nil {
		return err
	}
	if x.claims, err = webkit.ParseClaims(text); err == nil && x.claims.Unmet {
		err = webkit.ErrUnmet
	}
	return err
}

// contextOf reads acr_values, a wish that no request fails for (OpenID Connect
// Core 1.0 §5.5.1.1): every token says which context was reached. Who must have
// one asks for an essential claim.
func (x *request) contextOf(q url.Values) error {
	values, err := one(q, "acr_values")
	if err == nil && len(values) > maxHint {
		err = badRequest("The parameter acr_values is longer than 1 KiB.")
	}
	return err
}
