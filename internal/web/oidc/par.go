package oidc

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// maxPushed bounds a pushed request, in bytes: it is kept for a while, and anybody
// can push for a public client.
const maxPushed = 32 << 10

// postPAR keeps an authorization request for the browser that will come with its
// request_uri (RFC 9126 §2).
func (s *Server) postPAR(w http.ResponseWriter, r *http.Request, issuer grant.Issuer) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	key, err := s.holds(w, r, f)
	if err != nil {
		return err
	}
	c, err := s.client(r, f, issuer)
	if err != nil {
		return err
	}
	if f.get("request_uri") != "" {
		return malformed("A request_uri cannot be pushed.")
	}
	q := url.Values{"client_id": {string(c.ID)}}
	for _, p := range f {
		switch p.name {
		case "client_id", "client_secret", "client_assertion", "client_assertion_type", "request_uri":
		default:
			q.Add(p.name, p.value)
		}
	}
	if jkt, ok := strings.CutPrefix(key, "jkt:"); ok { // RFC 9449 §10.1
		if have := q.Get("dpop_jkt"); have != "" && have != jkt {
			return &problem{kind: fault.Invalid, code: "invalid_dpop_proof", text: "The dpop_jkt is not the key of the DPoP proof."}
		}
		q.Set("dpop_jkt", jkt)
	}
	query := q.Encode()
	if len(query) > maxPushed {
		return malformed("The request is larger than 32 KiB.")
	}
	if err := s.Check(r.Context(), issuer, q); err != nil {
		return err
	}
	uri, err := s.Issue.Push(r.Context(), c, issuer, query, webkit.Address(r))
	if err != nil {
		return err
	}
	b := quoted([]byte(`{"request_uri":`), uri)
	b = number(b, "expires_in", seconds(issue.PushedLife))
	return answer(w, http.StatusCreated, append(b, "}\n"...))
}
