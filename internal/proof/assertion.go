package proof

import "time"

// AssertionAlgs are the algorithms of client assertions and DPoP proofs, as
// metadata publishes them.
var AssertionAlgs = []string{"ES256", "PS256", "RS256", "EdDSA"}

// MaxAssertion is how long a client assertion may live, and so how long its jti
// has to be remembered. MSAL's live ten minutes.
const MaxAssertion = time.Hour

// maxJTI bounds an identifier that has to be remembered, in bytes.
const maxJTI = 256

// Assertion is what a client assertion has to be for one client at one issuer.
type Assertion struct {
	Client string
	Issuer string // identifies this server
	// TokenURLs are the addresses of its token endpoint, of which Microsoft's
	// libraries and OpenID Connect Core 1.0 §9 name one instead.
	TokenURLs []string
	// Strict takes nothing but the issuer, as a single string (FAPI 2.0 §5.3.2.1):
	// a client that also speaks to a hostile server cannot be led to sign a token
	// endpoint's address that is really ours.
	Strict bool
	Now    time.Time
}

// Verify reads a client assertion (RFC 7523 §3). Its jti and exp are for the
// caller to remember: it is good once.
func (a Assertion) Verify(token string, keys *Keys) (*Claims, error) {
	w := Want{Algs: AssertionAlgs, Types: []string{"", "JWT", "client-authentication+jwt"}, Issuer: a.Client, Subject: a.Client,
		Audience: []string{a.Issuer}, OnlyAudience: true, StringAudience: a.Strict, Now: a.Now, MaxLife: MaxAssertion, NeedJTI: true}
	if !a.Strict {
		w.Audience = append(w.Audience, a.TokenURLs...)
	}
	c, err := Verify(token, keys, w)
	if err == nil && len(c.JTI) > maxJTI {
		return nil, refused(ErrMalformed, "its jti is too long")
	}
	return c, err
}
