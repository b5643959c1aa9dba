package oidc

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// maxSecret bounds a client secret as presented, in bytes.
const maxSecret = 1024

// unauthenticated marks an error of client authentication by Basic, which alone
// is answered with a challenge: openid-client, for one, hides the body otherwise.
type unauthenticated struct{ error }

func (u unauthenticated) Unwrap() error { return u.error }

// assertionType is the one kind of client assertion (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// client authenticates a client: by HTTP Basic, a secret in the body, an assertion
// or the certificate of the connection, never by two of the first three
// (RFC 6749 §2.3).
func (s *Server) client(r *http.Request, f form, issuer grant.Issuer) (*issue.Client, error) {
	c := issue.Credentials{ID: directory.AppID(f.get("client_id")), Secret: f.get("client_secret"), Assertion: f.get("client_assertion"),
		Issuer: issuer, Directory: r.PathValue("tenant"), Certificate: webkit.Certificate(r), IP: webkit.Address(r)}
	header := r.Header["Authorization"]
	kind := f.get("client_assertion_type")
	switch {
	case c.Secret != "" && c.Assertion != "", len(header) > 0 && (c.Secret != "" || c.Assertion != ""):
		return nil, malformed("The client authenticated in two ways. Use one of them.")
	case (c.Assertion != "") != (kind != ""):
		return nil, malformed("client_assertion and client_assertion_type must come together.")
	case kind != "" && kind != assertionType:
		return nil, malformed("The client_assertion_type must be " + assertionType + ".")
	case len(header) > 0:
		return s.byBasic(r, f, c)
	}
	if c.Assertion == "" {
		if _, err := f.need("client_id"); err != nil {
			return nil, err
		}
	}
	return s.authenticate(r, c)
}

func (s *Server) byBasic(r *http.Request, f form, c issue.Credentials) (*issue.Client, error) {
	id, secret, ok := basic(r.Header["Authorization"])
	if !ok {
		return nil, unauthenticated{&problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000215, text: "The Authorization header is not one of HTTP Basic."}}
	}
	if other := f.get("client_id"); other != "" && other != id {
		return nil, malformed("The client_id in the body is not the one in the header.")
	}
	c.ID, c.Secret = directory.AppID(id), secret
	client, err := s.authenticate(r, c)
	if err != nil {
		return nil, unauthenticated{err}
	}
	return client, nil
}

func (s *Server) authenticate(r *http.Request, c issue.Credentials) (*issue.Client, error) {
	if c.ID != "" && !directory.ValidAppID(string(c.ID)) || len(c.Secret) > maxSecret {
		return nil, &problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000215, text: "The client is unknown, or its secret is not right."}
	}
	return s.Issue.Client(r.Context(), c)
}

// basic reads the header. Both parts are form-urlencoded before Basic's own
// encoding (RFC 6749 §2.3.1).
func basic(header []string) (id, secret string, ok bool) {
	if len(header) != 1 {
		return "", "", false
	}
	scheme, rest, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(b), ":")
	if !ok {
		return "", "", false
	}
	if id, err = url.QueryUnescape(id); err != nil {
		return "", "", false
	}
	if secret, err = url.QueryUnescape(secret); err != nil {
		return "", "", false
	}
	return id, secret, id != ""
}

// confidential is client for endpoints that only clients that prove who they are
// may call.
func (s *Server) confidential(r *http.Request, f form, issuer grant.Issuer) (*issue.Client, error) {
	nobody := &problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000218, text: "Only clients that prove who they are may ask this."}
	if len(r.Header["Authorization"]) == 0 && f.get("client_id") == "" && f.get("client_assertion") == "" {
		return nil, nobody
	}
	c, err := s.client(r, f, issuer)
	if err == nil && c.Public {
		return nil, nobody
	}
	return c, err
}
