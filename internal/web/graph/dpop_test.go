package graph

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
)

// dpop signs a proof for one request beside a token.
func (w *world) dpop(key *ecdsa.PrivateKey, jti, method, path, token string) string {
	w.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: key.Public()}}})
	w.must(err)
	sum := sha256.Sum256([]byte(token))
	b, err := json.Marshal(map[string]any{"jti": jti, "htm": method, "htu": w.Base + path, "iat": w.clock.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:])})
	w.must(err)
	jws, err := s.Sign(b)
	w.must(err)
	text, err := jws.CompactSerialize()
	w.must(err)
	return text
}

func TestABoundTokenNeedsItsProofAtTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	w.must(err)
	c, err := w.Issue.Client(t.Context(), issue.Credentials{ID: "robot", Secret: clientSecret})
	w.must(err)
	tokens, err := w.Issue.ClientCredentials(t.Context(), c, directory.GraphAlias+"/.default", nil, grant.Tenant, issue.Meta{Key: "jkt:" + base64.RawURLEncoding.EncodeToString(sum[:])})
	w.must(err)
	bound, free := tokens.Access, w.token("robot")

	const path = "/v1.0/users"
	const known = http.StatusForbidden // to list people the robot has no permission: it was recognised
	n := 0
	fresh := func() string { n++; return fmt.Sprint("proof ", n) }
	once := w.dpop(key, fresh(), "GET", path, bound)
	for _, x := range []struct {
		name   string
		header http.Header
		status int
		says   string // in the challenge
	}{
		{"with its proof", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {once}}, known, ""},
		{"with a proof for the address with its query", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", path+"?$top=1", bound)}}, known, ""},
		{"with a proof that was used", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {once}}, 401, `error="invalid_dpop_proof"`},
		{"as a bearer token", http.Header{"Authorization": {"Bearer " + bound}}, 401, `Bearer realm="", `},
		{"as a bearer token beside a proof", http.Header{"Authorization": {"Bearer " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", path, bound)}}, 401, `error="invalid_token"`},
		{"without a proof", http.Header{"Authorization": {"DPoP " + bound}}, 401, `DPoP algs="ES256 `},
		{"with a proof for another address", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", "/v1.0/groups", bound)}}, 401, `error="invalid_dpop_proof"`},
		{"with a proof for another method", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "POST", path, bound)}}, 401, `error="invalid_dpop_proof"`},
		{"with a proof for another token", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", path, free)}}, 401, `error="invalid_dpop_proof"`},
		{"two proofs", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", path, bound), w.dpop(key, fresh(), "GET", path, bound)}}, 401, `error="invalid_dpop_proof"`},
		{"a token that is not bound, under DPoP", http.Header{"Authorization": {"DPoP " + free}, "Dpop": {w.dpop(key, fresh(), "GET", path, free)}}, 401, `error="invalid_token"`},
		{"a token that is not bound, as it is", http.Header{"Authorization": {"Bearer " + free}}, known, ""},
	} {
		res := w.do("GET", path, "", x.header, nil)
		got := res.Header.Get("WWW-Authenticate")
		if res.StatusCode != x.status || !strings.Contains(got, x.says) || x.status == known && got != "" {
			t.Errorf("%s: %d, challenge %s", x.name, res.StatusCode, got)
		}
		if dpop := strings.HasPrefix(x.header.Get("Authorization"), "DPoP"); dpop != (res.Header.Get("DPoP-Nonce") != "") {
			t.Errorf("%s: nonce %q", x.name, res.Header.Get("DPoP-Nonce"))
		}
	}
	// Addresses that are rewritten inside are signed as they were asked for.
	ada := "/v1.0/users('" + w.names["ada"] + "')"
	if res := w.do("GET", ada, "", http.Header{"Authorization": {"DPoP " + bound}, "Dpop": {w.dpop(key, fresh(), "GET", ada, bound)}}, nil); res.StatusCode != known {
		t.Errorf("an address in OData's form: %d %s", res.StatusCode, res.Header.Get("WWW-Authenticate"))
	}
}
