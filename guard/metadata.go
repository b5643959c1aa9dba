package guard

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/guard/internal/dpop"
)

// wellKnown is where the metadata of a resource is found: between its host and
// its path (RFC 9728 §3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// describe prepares what is published about the resource.
func (g *Guard) describe() {
	if g.cfg.URL == "" {
		return
	}
	u, err := url.Parse(g.cfg.URL)
	if err != nil {
		panic(err) // checkURL has read it
	}
	g.origin, g.metadataPath = u.Scheme+"://"+u.Host, wellKnown+u.EscapedPath()
	doc := struct {
		Resource     string   `json:"resource"`
		Servers      []string `json:"authorization_servers"`
		Scopes       []string `json:"scopes_supported,omitempty"`
		Methods      []string `json:"bearer_methods_supported"`
		Algs         []string `json:"dpop_signing_alg_values_supported"`
		Name         string   `json:"resource_name"`
		Certificates bool     `json:"tls_client_certificate_bound_access_tokens"`
	}{g.cfg.URL, []string{g.cfg.Issuer}, g.cfg.Scopes, []string{"header"}, strings.Fields(dpop.Algs), g.cfg.Name, true}
	if g.metadata, err = json.Marshal(doc); err != nil {
		panic(err) // texts always marshal
	}
}

// Metadata serves the protected resource metadata of RFC 9728, which tells
// clients where to get a token. [Guard.Middleware] answers its address by
// itself; mount this where requests for [Guard.MetadataPath] do not pass the
// middleware.
func (g *Guard) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.cfg.URL == "":
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This address takes GET.", http.StatusMethodNotAllowed)
		default:
			g.serveMetadata(w)
		}
	})
}

// MetadataPath is the path of the metadata; empty without a URL.
func (g *Guard) MetadataPath() string { return g.metadataPath }

func (g *Guard) serveMetadata(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(g.metadata)))
	h.Set("Cache-Control", "max-age=300")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // nothing in it is secret
	w.Write(g.metadata)                       // the caller is gone if this fails
}
