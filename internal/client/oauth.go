package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What the server knows the CLI as. It is a public client: what proves who asks
// is the code verifier, later the refresh token.
const (
	clientID = "curfew-cli"
	scope    = "openid profile offline_access https://graph.microsoft.com/.default"
)

// OAuthError is what the authorization server answered instead of tokens.
type OAuthError struct {
	Code        string // "invalid_grant"
	Description string
}

// Error is the description, without the trailer that Microsoft's have.
func (e *OAuthError) Error() string {
	text, _, _ := strings.Cut(e.Description, "\r\n")
	text, _, _ = strings.Cut(text, " Trace ID:")
	if i := strings.Index(text, ": "); strings.HasPrefix(text, "AADSTS") && i > 0 {
		text = text[i+2:]
	}
	return cmp.Or(strings.TrimSpace(text), e.Code)
}

// token is the answer of the token and the device authorization endpoint.
type answer struct {
	Access      string  `json:"access_token"`
	Refresh     string  `json:"refresh_token"`
	ExpiresIn   float64 `json:"expires_in"`
	Device      string  `json:"device_code"`
	UserCode    string  `json:"user_code"`
	Verify      string  `json:"verification_uri"`
	VerifyWhole string  `json:"verification_uri_complete"`
	Interval    float64 `json:"interval"`
	Error       string  `json:"error"`
	Description string  `json:"error_description"`
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (a *answer) token(now time.Time) (Token, error) {
	if a.Access == "" {
		return Token{}, errors.New("the server gave no access token")
	}
	t := Token{Access: a.Access, Refresh: a.Refresh}
	if a.ExpiresIn > 0 {
		t.Expires = now.Add(seconds(a.ExpiresIn)).UTC()
	}
	return t, nil
}

// form posts to an OAuth endpoint.
func (c *Client) form(ctx context.Context, path string, v url.Values) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", c.conn.Base+path, strings.NewReader(v.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.Agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	b, err := readBody(resp)
	if err != nil {
		return nil, c.unreachable(err)
	}
	a := &answer{}
	jerr := json.Unmarshal(b, a)
	switch {
	case a.Error != "" && jerr == nil:
		return nil, &OAuthError{a.Error, a.Description}
	case resp.StatusCode/100 != 2:
		return nil, c.strange(resp)
	case jerr != nil && len(b) > 0:
		return nil, fmt.Errorf("%s%s did not answer in JSON", c.conn.Base, path)
	}
	return a, nil
}

// pending is one sign-in in a browser.
type pending struct {
	state, verifier, redirect string
	issuer                    string
}

func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (p *pending) authorizeURL(base, hint string) string {
	sum := sha256.Sum256([]byte(p.verifier))
	v := url.Values{"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {p.redirect}, "scope": {scope}, "state": {p.state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	if hint != "" {
		v.Set("login_hint", hint)
	}
	return base + "/oauth2/authorize?" + v.Encode()
}

// read takes the code out of the redirect. The issuer must be the one that was
// asked (RFC 9207): with several connections another could have answered.
func (p *pending) read(q url.Values) (code string, err error) {
	switch {
	case q.Get("state") != p.state:
		return "", errNotOurs
	case q.Get("iss") != "" && q.Get("iss") != p.issuer:
		return "", fmt.Errorf("the answer is from %q, not from %s", q.Get("iss"), p.issuer)
	case q.Get("error") != "":
		return "", &OAuthError{q.Get("error"), q.Get("error_description")}
	case q.Get("code") == "":
		return "", errors.New("the answer holds no code")
	}
	return q.Get("code"), nil
}

var errNotOurs = errors.New("this is not the answer that was waited for")

// refresh trades the refresh token for new tokens. An *OAuthError means that the
// grant is over.
func (c *Client) refresh(ctx context.Context, old Token) (Token, error) {
	a, err := c.form(ctx, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {clientID}, "refresh_token": {old.Refresh}})
	if err != nil {
		return Token{}, err
	}
	t, err := a.token(c.now())
	t.Refresh = cmp.Or(t.Refresh, old.Refresh)
	return t, err
}

// DevicePrompt is what the person has to do elsewhere.
type DevicePrompt struct {
	URL, Whole string // Whole has the code in it; may be empty
	Code       string
	Expires    time.Duration
}

// SignInDevice connects by a code that the person types into a browser anywhere.
// prompt is called once.
func (c *Client) SignInDevice(ctx context.Context, prompt func(DevicePrompt)) error {
	a, err := c.form(ctx, "/oauth2/devicecode", url.Values{"client_id": {clientID}, "scope": {scope}})
	if err != nil {
		return err
	}
	if a.Device == "" || a.UserCode == "" {
		return errors.New("the server gave no device code")
	}
	life := seconds(a.ExpiresIn)
	if life <= 0 || life > time.Hour {
		life = 15 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, life)
	defer cancel()
	prompt(DevicePrompt{URL: a.Verify, Whole: a.VerifyWhole, Code: a.UserCode, Expires: life})
	interval := min(max(seconds(a.Interval), 10*time.Millisecond), time.Minute)
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errors.New("the code has expired and nobody has entered it")
			}
			return ctx.Err()
		case <-time.After(interval):
		}
		t, err := c.form(ctx, "/oauth2/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {clientID}, "device_code": {a.Device}})
		var oe *OAuthError
		switch {
		case err == nil:
			c.conn.Token, err = t.token(c.now())
			return err
		case errors.As(err, &oe) && oe.Code == "authorization_pending":
		case errors.As(err, &oe) && oe.Code == "slow_down":
			interval += 5 * time.Second
		case oe == nil && ctx.Err() == nil: // not reached; RFC 8628 §3.5 asks for patience
			interval = min(interval*2, time.Minute)
		case oe != nil:
			return err
		}
	}
}

// SignOut tells the server that the grant is over (RFC 7009).
func (c *Client) SignOut(ctx context.Context) error {
	if c.conn.Token.Refresh == "" {
		return nil // an access token that was handed to us is not ours to end
	}
	_, err := c.form(ctx, "/oauth2/revoke", url.Values{"client_id": {clientID}, "token": {c.conn.Token.Refresh}, "token_type_hint": {"refresh_token"}})
	return err
}
