package issue

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
)

// acr is the one authentication context there is: a password was typed. Every
// token says so (OpenID Connect Core 1.0 §2).
const acr = "1"

// ClaimsRequest is what is obeyed of the parameter claims (OpenID Connect Core 1.0
// §5.5, with Microsoft's additions). The other members ask for what comes anyway
// or is optional to give. Among them is nbf, in the answer to a claims challenge:
// "mint one newer than this" is obeyed by judging everything again, as at every
// request; it is another machine's clock and is not compared.
type ClaimsRequest struct {
	CP1 bool // the client understands claims challenges
	// Unmet: an authentication context is essential that nobody here can reach.
	Unmet bool
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
		AccessToken struct {
			CC   *wanted `json:"xms_cc"`
			ACRs *wanted `json:"acrs"`
			ACR  *wanted `json:"acr"`
		} `json:"access_token"`
		IDToken struct {
			ACR  *wanted `json:"acr"`
			ACRs *wanted `json:"acrs"`
		} `json:"id_token"`
	}
	if len(text) > maxClaims || !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") || json.Unmarshal([]byte(text), &c) != nil {
		return ClaimsRequest{}, refuse(fault.Invalid, "invalid_request", 9002313, "", "The parameter claims is not the JSON object it should be.")
	}
	a, id := c.AccessToken, c.IDToken
	return ClaimsRequest{CP1: a.CC.names("cp1"), Unmet: a.ACR.unmet(acr) || id.ACR.unmet(acr) || a.ACRs.unmet(acr) || id.ACRs.unmet(acr)}, nil
}

// ErrUnmet answers an authorization request for an essential authentication
// context that cannot be reached: the person is not asked in vain.
var ErrUnmet = refuse(fault.Denied, "unmet_authentication_requirements", 0, "", "The application needs a stronger sign-in than this directory has: acr "+acr+" is all there is.")

// ErrStepUp is ErrUnmet for a request without a person, in the form that sends
// Microsoft's libraries to the authorization endpoint.
var ErrStepUp = refuse(fault.Denied, "interaction_required", 50076, "basic_action", "The application needs a stronger sign-in than the one its grant was given in.")
