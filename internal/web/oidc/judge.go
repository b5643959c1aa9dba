package oidc

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/recheck"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// signedIntrospection is the media type of a signed answer (RFC 9701 §4).
const signedIntrospection = "application/token-introspection+jwt"

// wantsSigned reports whether the caller asks for one.
func wantsSigned(r *http.Request) bool {
	for _, accept := range r.Header["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			if m, p, err := mime.ParseMediaType(kind); err == nil && m == signedIntrospection && p["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// postIntrospect answers whether a token is good (RFC 7662), signed if asked so
// (RFC 9701), or has it judged again for a guard (docs/decisions/0021).
func (s *Server) postIntrospect(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.confidential(r, f, issuer)
	if err != nil {
		return err
	}
	token, err := f.need("token")
	if err != nil {
		return err
	}
	if s.Again == nil {
		return fault.New(fault.Unavailable, "Nothing is judged here.")
	}
	if f.get("judge") != "" {
		return s.again(w, r, f, c, token)
	}
	at, err := f.address()
	if err != nil {
		return err
	}
	x, err := s.Again.Introspect(r.Context(), c, token, at, issue.Meta{IP: webkit.Address(r)})
	if err != nil {
		return err
	}
	if wantsSigned(r) {
		signed, err := s.Issue.SignIntrospection(r.Context(), c, issuer, x)
		if err != nil {
			return err
		}
		private(w)
		w.Header().Set("Content-Type", signedIntrospection)
		w.Write([]byte(signed)) // who does not read it asks again
		return nil
	}
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return send(w, append(b, '\n'))
}

// again answers a guard that knows of a line, judge, after which the token it was shown
// at address is in doubt.
func (s *Server) again(w http.ResponseWriter, r *http.Request, f form, c *issue.Client, token string) error {
	at, err := f.address()
	if err != nil {
		return err
	}
	q := recheck.Question{Token: token, Address: at}
	pos, err := strconv.ParseInt(f.get("judge"), 10, 64)
	if q.Pos = cutoff.Pos(pos); err != nil || q.Pos < 1 || q.Pos > cutoff.MaxPos {
		return malformed("The parameter judge must be a position of the ledger.")
	}
	x, err := s.Again.Judge(r.Context(), c, q)
	if err != nil {
		return err
	}
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return send(w, append(b, '\n'))
}

// address is where whoever asks sees a token being used (RFC 7662 §2.1 leaves room for
// it); empty: they do not say.
func (f form) address() (string, error) {
	at := f.get("address")
	if _, err := netip.ParseAddr(at); err != nil && at != "" {
		return "", malformed("The parameter address must be an IP address.")
	}
	return at, nil
}

// postRevoke ends a client's own token (RFC 7009). An unknown one is success.
func (s *Server) postRevoke(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.client(r, f, issuer)
	if err != nil {
		return err
	}
	token, err := f.need("token")
	if err != nil {
		return err
	}
	if err := s.Issue.RevokeToken(r.Context(), c, token); err != nil {
		return err
	}
	return send(w, nil)
}

// userinfo answers OpenID Connect Core 1.0 §5.3. Its errors are those of a
// resource server (RFC 6750 §3, RFC 9449 §7.1).
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request, _ grant.Issuer) error {
	scheme, token, err := presented(w, r)
	if err != nil {
		s.refuse(w, r, &access{scheme: scheme}, err)
		return nil
	}
	a := &access{scheme: scheme, token: token}
	if a.dpop() {
		w.Header().Set("DPoP-Nonce", s.Issue.Nonce())
	}
	var claims map[string]any
	if a.key, err = s.Issue.Holds(r.Context(), webkit.Possession(r, scheme, token)); err == nil {
		claims, err = s.Issue.Userinfo(r.Context(), token, issue.Meta{IP: webkit.Address(r), Key: a.key})
	}
	if err != nil {
		s.refuse(w, r, a, err)
		return nil
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return err
	}
	return send(w, append(b, '\n'))
}

// access is an access token as a request presents it.
type access struct {
	scheme, token string
	key           string // that the request proves to hold
	scope         string // that it needs; empty: openid
}

func (a *access) dpop() bool { return strings.EqualFold(a.scheme, "DPoP") }

var (
	errNoToken   = errors.New("no token")
	errTwoTokens = malformed("The access token was sent twice, or in two ways.")
)

// presented reads the token from the header, or from the body of a form (RFC 6750
// §2.1, §2.2), never from the address.
func presented(w http.ResponseWriter, r *http.Request) (scheme, token string, err error) {
	header := r.Header["Authorization"]
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), formType) {
		f, err := readForm(w, r)
		if err != nil {
			return "", "", err
		}
		token = f.get("access_token")
	}
	switch {
	case len(header) > 1 || len(header) == 1 && token != "":
		return "", "", errTwoTokens
	case len(header) == 0 && token == "":
		return "", "", errNoToken
	case len(header) == 0:
		return "Bearer", token, nil
	}
	scheme, token, _ = strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, "DPoP") {
		return "", "", errNoToken
	}
	return scheme, strings.TrimSpace(token), nil
}

// challengeText holds the words that receivers of a claims challenge look for. No
// comma: kiota splits the header at commas.
const challengeText = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp"

// refuse answers as a resource server: one WWW-Authenticate, Bearer or, to who
// came with it, DPoP, every parameter quoted. Clients that declared it get a claims challenge for what was
// revoked; the others must not.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, shown *access, err error) {
	t := tell(err)
	code, text, extra := "invalid_token", t.text, ""
	switch kind := fault.KindOf(err); {
	case errors.Is(err, errNoToken):
		code, text, t.status = "", "Send an access token.", http.StatusUnauthorized
	case t.code == "invalid_dpop_proof", t.code == "use_dpop_nonce":
		code, t.status = t.code, http.StatusUnauthorized
	case t.number == 9002313:
		code, t.status = "invalid_request", http.StatusBadRequest
	case kind == fault.Denied:
		code, t.status, extra = "insufficient_scope", http.StatusForbidden, `, scope="`+cmp.Or(shown.scope, "openid")+`"`
	case kind == fault.Revoked:
		t.status = http.StatusUnauthorized
		if a, _ := s.Issue.Own(r.Context(), shown.token, issue.Meta{Key: shown.key}); a != nil && slices.Contains(a.CC, "CP1") {
			claims := `{"access_token":{"nbf":{"essential":true,"value":"` + strconv.FormatInt(s.now().Unix(), 10) + `"}}}`
			code, text = "insufficient_claims", challengeText
			extra = `, claims="` + base64.StdEncoding.EncodeToString([]byte(claims)) + `"`
		}
	case kind == fault.Unauthenticated:
		t.status = http.StatusUnauthorized
	default: // ours
		s.fail(w, r, err)
		return
	}
	head := `Bearer realm=""`
	if shown.dpop() {
		head = `DPoP algs="` + strings.Join(proof.AssertionAlgs, " ") + `"`
	}
	head += `, authorization_uri="` + s.Issue.Endpoint(grant.Tenant, "authorize") + `"`
	if code != "" {
		head += `, error="` + code + `"` + extra + `, error_description="` + strings.ReplaceAll(text, ",", ";") + `"`
	}
	w.Header().Set("WWW-Authenticate", head)
	if code == "" { // the header must not name an error then, the body may
		code = "invalid_token"
	}
	private(w)
	b := append(quoted([]byte(`{"error":`), code), `,"error_description":`...)
	b = append(quoted(b, text), "}\n"...)
	w.WriteHeader(t.status)
	w.Write(b) // who does not read it asks again
}
