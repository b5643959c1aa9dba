package oidc

import (
	"context"
	"net/http"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// The grant type of RFC 8628 §3.4, and its name in the drafts, which MSAL Go and
// msal-node still send.
const (
	deviceGrant      = "urn:ietf:params:oauth:grant-type:device_code"
	deviceGrantDraft = "device_code"
)

// Grants that turn a token of somebody's into another one (RFC 8693 §2.1; RFC 7523
// §2.1 as Microsoft uses it).
const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	bearerGrant   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// postToken is the token endpoint (RFC 6749 §3.2).
func (s *Server) postToken(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	// A request that had arrived before a successor was used is a retry however
	// late it is served: this is the instant that counts.
	arrived := s.now()
	kind, err := f.need("grant_type")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.Issue.Lifetimes.Deadline)
	defer cancel()
	// Before the client's assertion is spent: a proof without the nonce asked for
	// is tried again, and some clients try with the same assertion.
	key, err := s.holds(w, r, f)
	if err != nil {
		return err
	}
	c, err := s.client(r, f, issuer)
	if err != nil {
		return err
	}
	m := issue.Meta{IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(ctx), Key: key}
	claims, err := webkit.ParseClaims(f.get("claims"))
	if err == nil && claims.Unmet {
		err = webkit.ErrStepUp
	}
	if err != nil {
		return err
	}
	m.CP1, m.Elsewhere, m.Contexts = claims.CP1, claims.Elsewhere, claims.Contexts
	scope, resource := f.get("scope"), f.all("resource")
	var t *issue.Tokens
	switch kind {
	case "refresh_token":
		token, err := f.need("refresh_token")
		if err != nil {
			return err
		}
		t, err = s.Issue.Refresh(ctx, c, issue.RefreshRequest{Token: token, Scope: scope, Resource: resource, Issuer: issuer, Arrived: arrived, Meta: m})
		if err != nil {
			return err
		}
	case "authorization_code":
		code, err := f.need("code")
		if err != nil {
			return err
		}
		redirect, err := f.need("redirect_uri")
		if err != nil {
			return err
		}
		origin := r.Header.Get("Origin")
		if err := issue.MayRedeem(c, redirect, origin != "" && origin != s.Issue.Base); err != nil {
			return err
		}
		t, err = s.Issue.Code(ctx, c, issue.CodeRequest{Code: code, RedirectURI: redirect, Verifier: f.get("code_verifier"), Issuer: issuer, Scope: scope, Resource: resource, Meta: m})
		if err != nil {
			return err
		}
	case "client_credentials":
		if t, err = s.Issue.ClientCredentials(ctx, c, scope, resource, issuer, m); err != nil {
			return err
		}
		return send(w, s.tokens(t, false))
	case deviceGrant, deviceGrantDraft:
		code, err := f.need("device_code")
		if err != nil {
			return err
		}
		if t, err = s.Issue.DevicePoll(ctx, c, code, issuer, m); err != nil {
			return err
		}
	case exchangeGrant:
		if t, err = s.exchange(ctx, c, f, issuer, m); err != nil {
			return err
		}
		return send(w, s.tokens(t, false))
	case bearerGrant:
		assertion, err := f.need("assertion")
		if err != nil {
			return err
		}
		if t, err = s.Issue.OnBehalfOf(ctx, c, issue.OnBehalfOfRequest{Assertion: assertion, Use: f.get("requested_token_use"), Scope: scope, Resource: resource, Issuer: issuer, Meta: m}); err != nil {
			return err
		}
	default: // password among them (RFC 9700 §2.4)
		return &problem{kind: fault.Invalid, code: "unsupported_grant_type", number: 70003, text: "The grant type is not one of " + strings.Join(grantTypes, ", ") + "."}
	}
	return send(w, s.tokens(t, issuer == grant.Tenant || f.get("client_info") == "1"))
}

func (s *Server) exchange(ctx context.Context, c *issue.Client, f form, issuer grant.Issuer, m issue.Meta) (*issue.Tokens, error) {
	token, err := f.need("subject_token")
	if err != nil {
		return nil, err
	}
	kind, err := f.need("subject_token_type")
	if err != nil {
		return nil, err
	}
	return s.Issue.Exchange(ctx, c, issue.ExchangeRequest{Subject: token, SubjectType: kind, Actor: f.get("actor_token"), ActorType: f.get("actor_token_type"),
		RequestedType: f.get("requested_token_type"), Resource: f.all("resource"), Audience: f.all("audience"), Scope: f.get("scope"), Issuer: issuer, Meta: m})
}

// grantTypes are those of the token endpoint, as metadata publishes them.
var grantTypes = []string{"authorization_code", "refresh_token", "client_credentials", deviceGrant, exchangeGrant, bearerGrant}

// holds names the key that a request proves to hold, and gives who sends DPoP
// proofs the nonce for the next one (RFC 9449 §8.2).
func (s *Server) holds(w http.ResponseWriter, r *http.Request, f form) (string, error) {
	p := webkit.Possession(r, "", "")
	if p.Client = directory.AppID(f.get("client_id")); p.Client == "" {
		if id, _, ok := basic(r.Header["Authorization"]); ok {
			p.Client = directory.AppID(id)
		}
	}
	if len(p.Proofs) > 0 {
		w.Header().Set("DPoP-Nonce", s.Issue.Nonce())
	}
	return s.Issue.Holds(r.Context(), p)
}

// tokens renders the answer of RFC 6749 §5.1 with Microsoft's members beside.
func (s *Server) tokens(t *issue.Tokens, info bool) []byte {
	b := make([]byte, 0, 256+len(t.Access)+len(t.ID)+len(t.Refresh)+len(t.Scope))
	kind := `{"token_type":"Bearer"`
	if t.DPoP {
		kind = `{"token_type":"DPoP"`
	}
	b = append(b, kind...)
	if t.Scope != "" { // an application's own token may have roles only
		b = member(b, "scope", t.Scope)
	}
	b = number(b, "expires_in", seconds(t.ExpiresIn))
	b = number(b, "ext_expires_in", seconds(t.ExpiresIn))
	b = member(b, "access_token", t.Access)
	if t.Refresh != "" {
		b = member(b, "refresh_token", t.Refresh)
		b = number(b, "refresh_token_expires_in", seconds(t.RefreshExpiresIn))
		b = number(b, "refresh_token_timeout", seconds(t.RefreshExpiresIn))
		if t.GrantExpiresIn > 0 {
			b = number(b, "authorization_expires_in", seconds(t.GrantExpiresIn))
		}
	}
	if t.ID != "" {
		b = member(b, "id_token", t.ID)
	}
	if t.Type != "" {
		b = member(b, "issued_token_type", t.Type)
	}
	if info {
		b = member(b, "client_info", clientInfo(t.User.String(), s.Issue.Tenant))
	}
	return append(b, "}\n"...)
}

// pollInterval is told to devices, in seconds (RFC 8628 §3.2).
const pollInterval = 5

// errDeviceContext: who approves a code at another screen is asked for nothing more than
// the sign-in there, and a step-up that a stranger's device can ask for is one more thing
// to be tricked into.
var errDeviceContext = fault.Wrap(fault.Denied, "A device's sign-in is asked for no authentication context. Send the claims when the tokens are renewed.", &issue.Error{Code: "unmet_authentication_requirements"})

// postDevice begins a device flow (RFC 8628 §3.1).
func (s *Server) postDevice(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.client(r, f, issuer)
	if err != nil {
		return err
	}
	m := issue.Meta{IP: webkit.Address(r), Agent: r.UserAgent(), Request: webkit.RequestID(r.Context())}
	claims, err := webkit.ParseClaims(f.get("claims"))
	switch {
	case err == nil && claims.Unmet:
		err = webkit.ErrUnmet
	case err == nil && len(claims.Contexts) > 0:
		err = errDeviceContext
	}
	if err != nil {
		return err
	}
	m.CP1 = claims.CP1
	d, err := s.Issue.Device(r.Context(), c, f.get("scope"), f.all("resource"), issuer, m)
	if err != nil {
		return err
	}
	at := s.Issue.Base + "/device"
	b := append(make([]byte, 0, 512), `{"user_code":`...)
	b = quoted(b, d.User)
	b = member(b, "device_code", d.Device)
	b = member(b, "verification_uri", at)
	b = member(b, "verification_uri_complete", at+"?user_code="+d.User)
	b = number(b, "expires_in", seconds(d.Expires))
	b = number(b, "interval", pollInterval)
	b = member(b, "message", "To sign in, open the page "+at+" in a web browser and enter the code "+d.User+".")
	return send(w, append(b, "}\n"...))
}
