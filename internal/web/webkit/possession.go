package webkit

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"

	"github.com/curfew-id/curfew/internal/clientauth"
)

// Certificate is what the peer of the connection proved to hold the key of; nil:
// none. Only the listener for mutual TLS asks for one.
func Certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// Possession is what a request shows to prove that its sender holds a key. scheme
// is the one that its access token came under, "" when there is none: a DPoP proof
// beside a bearer token means nothing (RFC 9449 §7.1).
func Possession(r *http.Request, scheme, token string) clientauth.Possession {
	p := clientauth.Possession{Method: r.Method, Token: token, Certificate: Certificate(r)}
	// r.URL may have been rewritten on the way.
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		p.Path = u.EscapedPath()
	}
	switch {
	case scheme == "":
		p.Proofs = r.Header.Values("DPoP")
	case strings.EqualFold(scheme, "DPoP"):
		if p.Proofs = r.Header.Values("DPoP"); len(p.Proofs) == 0 {
			p.Proofs = []string{""} // one that proves nothing
		}
	}
	return p
}
