package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/proof"
)

// algs are the signatures taken from another provider: what is asymmetric and in
// use. "none" and whatever is keyed with the client secret are not among them.
var algs = []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA"}

// Request is an authorization request that is about to be made.
type Request struct {
	Redirect, State, Nonce, Verifier string
	// Force asks for a fresh proof from the person, whatever session the provider
	// has with them.
	Force bool
}

// Authorize returns where the browser is sent.
func (c *Client) Authorize(ctx context.Context, p *directory.Provider, r Request) (string, error) {
	m, err := c.Metadata(ctx, p.Issuer)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(m.Authorization)
	if err != nil {
		return "", unusable(p.Issuer, "its authorization_endpoint is no address")
	}
	sum := sha256.Sum256([]byte(r.Verifier))
	q := u.Query() // it may have one (RFC 6749 §3.1)
	for name, v := range map[string]string{"response_type": "code", "client_id": p.ClientID, "redirect_uri": r.Redirect, "state": r.State, "nonce": r.Nonce,
		"scope": strings.Join(slices.Concat([]string{"openid"}, p.Scopes), " "), "code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256"} {
		q.Set(name, v)
	}
	if r.Force { // both: some providers know only one of them
		q.Set("prompt", "login")
		q.Set("max_age", "0")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Identity is whom a provider says has signed in.
type Identity struct {
	Subject  string
	SID      string    // of the provider's own session; empty: it has none
	AuthTime time.Time // zero: it did not say
	AMR      []string

	claims *proof.Claims
}

// Text returns a claim that is a text, or "".
func (i *Identity) Text(name string) string {
	var s string
	if i.claims.Get(name, &s) != nil || len(s) > 1024 {
		return ""
	}
	return strings.TrimSpace(s)
}

// MailVerified reports whether the provider says that it knows the mail address to
// be the person's.
func (i *Identity) MailVerified() bool {
	var yes bool
	var text string // some send it as one
	return i.claims.Get("email_verified", &yes) == nil && yes || i.claims.Get("email_verified", &text) == nil && text == "true"
}

// maxWord bounds sid and each amr, in bytes.
const maxWord = 255

// Credential is how this client proves itself: one of the two, or, with neither, by
// nothing but PKCE.
type Credential struct{ Secret, Assertion string }

// assertionType is what RFC 7523 §2.2 calls a client assertion.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Redeem exchanges a code and reads the ID token that comes for it. Kinds: Unauthenticated (the provider refused the code, or what it sent is
// not to be believed), Unavailable.
func (c *Client) Redeem(ctx context.Context, p *directory.Provider, own Credential, code string, r Request) (*Identity, error) {
	m, err := c.Metadata(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.Redirect}, "code_verifier": {r.Verifier}}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	switch {
	case own.Assertion != "":
		form.Set("client_id", p.ClientID)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", own.Assertion)
	case own.Secret == "":
		form.Set("client_id", p.ClientID)
	case len(m.TokenAuth) == 0 || slices.Contains(m.TokenAuth, "client_secret_basic"): // the default (Discovery §3)
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.ClientID)+":"+url.QueryEscape(own.Secret)))) // RFC 6749 §2.3.1
	default:
		form.Set("client_id", p.ClientID)
		form.Set("client_secret", own.Secret)
	}
	a, err := c.Egress.Post(ctx, m.Token, h, []byte(form.Encode()))
	if err != nil {
		return nil, err
	}
	var out struct {
		ID     string `json:"id_token"`
		Access string `json:"access_token"`
		Error  string `json:"error"`
	}
	bad := json.Unmarshal(a.Body, &out)
	switch {
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return nil, fault.New(fault.Unavailable, "The identity provider cannot answer now. Try again.")
	case a.Status != http.StatusOK || bad != nil || out.ID == "":
		return nil, fault.Wrap(fault.Unauthenticated, "The identity provider did not confirm this sign-in. Start again.", fmt.Errorf("token endpoint of %s: %d %.40q", p.ID, a.Status, out.Error))
	}
	return c.identity(ctx, p, out.ID, out.Access, r.Nonce)
}

func (c *Client) identity(ctx context.Context, p *directory.Provider, token, access, nonce string) (*Identity, error) {
	claims, err := c.verify(ctx, p, token, proof.Want{Types: []string{"", "JWT"}, OnlyAudience: true, MaxAge: 10 * time.Minute})
	if err != nil {
		return nil, err
	}
	id := &Identity{Subject: claims.Subject, claims: claims}
	var theirs, azp, hash string
	var auth float64
	for name, v := range map[string]any{"nonce": &theirs, "azp": &azp, "at_hash": &hash, "auth_time": &auth, "sid": &id.SID} {
		if err := claims.Get(name, v); err != nil {
			return nil, notBelieved(p, err)
		}
	}
	if claims.Get("amr", &id.AMR) != nil { // some send a single word
		id.AMR = nil
	}
	id.AMR = slices.DeleteFunc(id.AMR, func(s string) bool {
		return s == "" || len(s) > 32 || strings.Trim(s, directory.Alphanumeric+"-_.:") != ""
	})
	switch {
	case id.Subject == "" || len(id.Subject) > directory.MaxSubject || strings.ContainsRune(id.Subject, 0):
		return nil, notBelieved(p, errors.New("sub is missing or too long"))
	case nonce == "" || subtle.ConstantTimeCompare([]byte(theirs), []byte(nonce)) != 1:
		return nil, notBelieved(p, errors.New("nonce is not the one sent"))
	case azp != "" && azp != p.ClientID:
		return nil, notBelieved(p, errors.New("azp is another client"))
	case hash != "" && !hashes(claims.Alg, hash, access):
		return nil, notBelieved(p, errors.New("at_hash is not that of the access token"))
	case len(id.SID) > maxWord || strings.ContainsRune(id.SID, 0):
		return nil, notBelieved(p, errors.New("sid is too long"))
	case auth < 0 || auth > float64(c.Now().Add(proof.Leeway).Unix()):
		return nil, notBelieved(p, errors.New("auth_time is no date that has been"))
	case auth > 0:
		id.AuthTime = time.Unix(int64(auth), 0).UTC()
	}
	id.AMR = id.AMR[:min(len(id.AMR), 10)]
	return id, nil
}

// hashes reports whether hash is the left half of the access token's digest
// (OpenID Connect Core 1.0 §3.1.3.6).
func hashes(alg, hash, access string) bool {
	var sum []byte
	switch {
	case alg == "EdDSA", strings.HasSuffix(alg, "512"):
		s := sha512.Sum512([]byte(access))
		sum = s[:]
	case strings.HasSuffix(alg, "384"):
		s := sha512.Sum384([]byte(access))
		sum = s[:]
	default:
		s := sha256.Sum256([]byte(access))
		sum = s[:]
	}
	return access != "" && subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])), []byte(hash)) == 1
}

// Logout is the order of a provider to end sessions (Back-Channel Logout 1.0).
type Logout struct {
	Subject, SID string // one of them may be empty
	JTI          string
	Expires      time.Time // until when the same order could come again
}

// maxLogout is how far ahead the exp of a logout token may lie: so long its jti is
// remembered. The standard advises two minutes.
const maxLogout = time.Hour

// logoutEvent is the member of events that makes a logout token one.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Logout reads a logout token (Back-Channel Logout 1.0 §2.6). Kinds: Invalid,
// Unavailable.
func (c *Client) Logout(ctx context.Context, p *directory.Provider, token string) (*Logout, error) {
	claims, err := c.verify(ctx, p, token, proof.Want{Types: []string{"logout+jwt", "JWT", ""}, OnlyAudience: true, MaxLife: maxLogout, MaxAge: maxLogout, NeedJTI: true})
	if fault.Is(err, fault.Unauthenticated) {
		return nil, fault.Wrap(fault.Invalid, fault.Public(err), err)
	}
	if err != nil {
		return nil, err
	}
	l := &Logout{Subject: claims.Subject, JTI: claims.JTI, Expires: claims.Expires.Add(proof.Leeway)}
	var events map[string]map[string]any
	bad := func(why string) error { return fault.New(fault.Invalid, "The logout token is not accepted: "+why+".") }
	switch {
	case claims.Has("nonce"): // or an ID token would do
		return nil, bad("it has a nonce")
	case claims.Get("events", &events) != nil || events[logoutEvent] == nil:
		return nil, bad("its events do not say logout")
	case claims.Get("sid", &l.SID) != nil, l.Subject == "" && l.SID == "":
		return nil, bad("it names neither sub nor sid")
	case len(l.SID) > maxWord || len(l.Subject) > directory.MaxSubject || len(l.JTI) > maxWord || strings.ContainsRune(l.SID+l.Subject, 0):
		return nil, bad("sub, sid or jti is too long")
	}
	return l, nil
}

// verify reads a statement of the provider for this client, and asks for its keys
// once more when none fits.
func (c *Client) verify(ctx context.Context, p *directory.Provider, token string, w proof.Want) (claims *proof.Claims, err error) {
	w.Algs, w.Issuer, w.Audience, w.Now = algs, p.Issuer, []string{p.ClientID}, c.Now()
	for _, anew := range []bool{false, true} {
		keys, kerr := c.Keys(ctx, p, anew)
		if kerr != nil {
			return nil, kerr
		}
		if claims, err = proof.Verify(token, keys, w); !errors.Is(err, proof.ErrKey) && !errors.Is(err, proof.ErrSignature) {
			break
		}
	}
	if err != nil {
		return nil, notBelieved(p, err)
	}
	return claims, nil
}

// notBelieved hides from people which check a token did not pass; the cause is for
// the log, and holds nothing of the token.
func notBelieved(p *directory.Provider, why error) error {
	public := "What the identity provider said is not accepted"
	var refusal *proof.Refusal
	if errors.As(why, &refusal) {
		public += ": " + refusal.Text
	}
	return fault.Wrap(fault.Unauthenticated, public+".", fmt.Errorf("token of %s: %w", p.ID, why))
}
