package webkit

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
)

// ClaimsRequest is what is obeyed of the parameter claims (OpenID Connect Core 1.0
// §5.5, with Microsoft's additions). The other members ask for what comes anyway
// or is not known here, which is no error. Among them is nbf, in the answer to a
// claims challenge: "mint one newer than this" is obeyed by judging everything
// again, as at every request; it is another machine's clock and is not compared.
type ClaimsRequest struct {
	CP1 bool // the client understands claims challenges
	// Elsewhere: a resource has refused a token because of the address it saw.
	Elsewhere bool
	// Contexts are the authentication contexts that are essential: "c1".
	Contexts []string
	// Unmet: an authentication context is essential that nobody here can reach.
	Unmet bool
	// Single are the scopes of claims that were asked for one by one.
	Single []string
	// Subject is the only person whose tokens are wanted; empty: anybody's.
	Subject string
}

// wanted is one member of a request for claims.
type wanted struct {
	Essential bool  `json:"essential"`
	Value     any   `json:"value"`
	Values    []any `json:"values"`
}

// names reports whether one of the values is v, in any case.
func (w *wanted) names(v string) bool {
	return w != nil && slices.ContainsFunc(append(w.Values, w.Value), func(x any) bool {
		s, ok := x.(string)
		return ok && strings.EqualFold(s, v)
	})
}

// unmet reports whether v is not enough.
func (w *wanted) unmet(v string) bool {
	return w != nil && w.Essential && (w.Value != nil || len(w.Values) > 0) && !w.names(v)
}

// context is the first of the values that is an authentication context: one of them is
// enough.
func (w *wanted) context() (string, bool) {
	for _, x := range append([]any{w.Value}, w.Values...) {
		if s, ok := x.(string); ok {
			if _, ok := access.ContextNumber(s); ok {
				return strings.ToLower(s), true
			}
		}
	}
	return "", false
}

// maxClaims bounds the parameter, in bytes.
const maxClaims = 16 << 10

// ParseClaims reads the parameter claims; empty: it was not sent. Kind: Invalid.
func ParseClaims(text string) (ClaimsRequest, error) {
	switch text {
	case "":
		return ClaimsRequest{}, nil
	case `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, `{"access_token":{"xms_cc":{"values":["cp1"]}}}`: // at every request of Microsoft's libraries
		return ClaimsRequest{CP1: true}, nil
	}
	var c struct {
		AccessToken map[string]json.RawMessage `json:"access_token"`
		IDToken     map[string]json.RawMessage `json:"id_token"`
		Userinfo    map[string]json.RawMessage `json:"userinfo"`
	}
	bad := len(text) > maxClaims || !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") || json.Unmarshal([]byte(text), &c) != nil
	read := func(m map[string]json.RawMessage, name string) (w *wanted) {
		if raw, ok := m[name]; ok && json.Unmarshal(raw, &w) != nil {
			bad = true
		}
		return w
	}
	out := ClaimsRequest{CP1: read(c.AccessToken, "xms_cc").names("cp1")}
	out.Elsewhere = read(c.AccessToken, "xms_caeerror").names("10012")
	for _, w := range []*wanted{read(c.AccessToken, "acr"), read(c.IDToken, "acr")} {
		out.Unmet = out.Unmet || w.unmet(issue.ACR)
	}
	for _, w := range []*wanted{read(c.AccessToken, "acrs"), read(c.IDToken, "acrs")} {
		if !w.unmet(issue.ACR) {
			continue
		}
		if name, ok := w.context(); !ok {
			out.Unmet = true
		} else if !slices.Contains(out.Contexts, name) {
			out.Contexts = append(out.Contexts, name)
		}
	}
	for i, m := range []map[string]json.RawMessage{c.Userinfo, c.IDToken} {
		for _, x := range directory.Claims {
			if read(m, x.Name); m[x.Name] != nil {
				out.Single = append(out.Single, []string{directory.InUserinfo, directory.InIDToken}[i]+x.Name)
			}
		}
		if w := read(m, "sub"); w != nil && w.Value != nil {
			subject, ok := w.Value.(string)
			bad = bad || !ok || out.Subject != "" && out.Subject != subject
			out.Subject = subject
		}
	}
	if bad {
		return ClaimsRequest{}, fault.Wrap(fault.Invalid, "The parameter claims is not the JSON object it should be.", &issue.Error{Code: "invalid_request", Number: 9002313})
	}
	return out, nil
}

// ErrUnmet answers an authorization request for an essential authentication
// context that cannot be reached: the person is not asked in vain.
var ErrUnmet = fault.Wrap(fault.Denied, "The application needs a stronger sign-in than this directory has: acr "+issue.ACR+" is all there is.", &issue.Error{Code: "unmet_authentication_requirements"})

// ErrStepUp is ErrUnmet for a request without a person, in the form that sends
// Microsoft's libraries to the authorization endpoint.
var ErrStepUp = fault.Wrap(fault.Denied, "The application needs a stronger sign-in than the one its grant was given in.", &issue.Error{Code: "interaction_required", Number: 50076, Sub: "basic_action"})
