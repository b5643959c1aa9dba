package oidc

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
)

// maxSecret bounds a client secret as presented, in bytes.
const maxSecret = 1024

// unauthenticated marks an error of client authentication by Basic, which alone
// is answered with a challenge: openid-client, for one, hides the body otherwise.
type unauthenticated struct{ error }

func (u unauthenticated) Unwrap() error { return u.error }

// client authenticates by HTTP Basic or by the body, never by both (RFC 6749 §2.3).
func (s *Server) client(r *http.Request, f form) (*issue.Client, error) {
	if f.get("client_assertion") != "" || f.get("client_assertion_type") != "" {
		return nil, &problem{kind: fault.Unauthenticated, code: "invalid_client", number: 700021, text: "Client assertions are not accepted here. Use the client's secret."}
	}
	header := r.Header["Authorization"]
	if len(header) == 0 {
		id, err := f.need("client_id")
		if err != nil {
			return nil, err
		}
		return s.authenticate(r, id, f.get("client_secret"))
	}
	id, secret, ok := basic(header)
	if !ok {
		return nil, unauthenticated{&problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000215, text: "The Authorization header is not one of HTTP Basic."}}
	}
	if f.get("client_secret") != "" {
		return nil, malformed("The client authenticated in the header and in the body. Use one of them.")
	}
	if other := f.get("client_id"); other != "" && other != id {
		return nil, malformed("The client_id in the body is not the one in the header.")
	}
	c, err := s.authenticate(r, id, secret)
	if err != nil {
		return nil, unauthenticated{err}
	}
	return c, nil
}

func (s *Server) authenticate(r *http.Request, id, secret string) (*issue.Client, error) {
	if !directory.ValidAppID(id) || len(secret) > maxSecret {
		return nil, &problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000215, text: "The client is unknown, or its secret is not right."}
	}
	return s.Issue.Client(r.Context(), issue.Credentials{ID: directory.AppID(id), Secret: secret})
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

// confidential is client for endpoints that only clients with a secret may call.
func (s *Server) confidential(r *http.Request, f form) (*issue.Client, error) {
	nobody := &problem{kind: fault.Unauthenticated, code: "invalid_client", number: 7000218, text: "Only clients that hold a secret may ask this."}
	if len(r.Header["Authorization"]) == 0 && f.get("client_id") == "" {
		return nil, nobody
	}
	c, err := s.client(r, f)
	if err == nil && c.Public {
		return nil, nobody
	}
	return c, err
}
