package deliver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
)

// logoutEvent is the one member of a logout token's events (OpenID Connect
// Back-Channel Logout 1.0 §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// tokenLife is how long a logout token is good. It is made when it is sent.
const tokenLife = 2 * time.Minute

// logoutToken are the claims. There is no nonce: with one it could pass for an ID
// token.
type logoutToken struct {
	Issuer   string              `json:"iss"`
	Subject  string              `json:"sub"`
	Audience string              `json:"aud"`
	IssuedAt int64               `json:"iat"`
	Expires  int64               `json:"exp"`
	JTI      string              `json:"jti"`
	Events   map[string]struct{} `json:"events"`
	SID      string              `json:"sid,omitempty"`
}

func (s *Service) token(ctx context.Context, app *directory.App, n notice) (string, error) {
	var id [16]byte
	rand.Read(id[:])
	now, issuer := s.now(), grant.Tenant
	if n.plain {
		issuer = grant.Plain
	}
	t := logoutToken{Issuer: s.Issuer(issuer), Subject: n.user.String(), Audience: string(app.ID), IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(),
		JTI: base64.RawURLEncoding.EncodeToString(id[:]), Events: map[string]struct{}{logoutEvent: {}}}
	if !n.session.IsZero() {
		t.SID = n.session.String()
	}
	b, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return s.Keys.Sign(ctx, keys.LogoutToken, app.SigningAlg, b)
}

// failed is why a notice did not arrive. final: another try would not either.
type failed struct {
	sentence string
	final    bool
}

func (f *failed) Error() string { return f.sentence }

// tell sends one notice; nil: the application confirmed it. Other errors than
// *failed are ours.
func (s *Service) tell(ctx context.Context, app *directory.App, n notice) error {
	token, err := s.token(ctx, app, n)
	if err != nil {
		return fmt.Errorf("sign logout token: %w", err)
	}
	a, err := s.Egress.Post(ctx, app.BackChannelLogoutURI, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte("logout_token="+url.QueryEscape(token)))
	switch {
	case ctx.Err() != nil: // we are stopping: it says nothing about the application
		return ctx.Err()
	case err != nil:
		return &failed{sentence: fault.Public(err)}
	case a.Status == http.StatusOK || a.Status == http.StatusNoContent:
		return nil
	case a.Status == http.StatusBadRequest: // §2.8: it failed, and would again
		return &failed{sentence: "The application answered 400" + said(a.Body) + ".", final: true}
	}
	return &failed{sentence: fmt.Sprintf("The application answered %d.", a.Status)}
}

// said is the error code of an answer, if it is a plain word.
func said(body []byte) string {
	var a struct{ Error string }
	plain := func(r rune) bool { return r >= 'a' && r <= 'z' || r == '_' }
	if json.Unmarshal(body, &a) != nil || a.Error == "" || len(a.Error) > 40 || strings.ContainsFunc(a.Error, func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return " (" + a.Error + ")"
}

// tellAll sends notices side by side and returns how many of them, from the
// first on, are dealt with, and what the one after them failed for. A notice that
// failed for good counts as dealt with, and is in dead.
func (s *Service) tellAll(ctx context.Context, app *directory.App, all []notice) (n int, dead []letter, err error) {
	errs := make([]error, len(all))
	for first := 0; first < len(all); first += sideBySide {
		batch := all[first:min(first+sideBySide, len(all))]
		done := make(chan int, len(batch))
		for i := range batch {
			go func() { errs[first+i] = s.tell(ctx, app, batch[i]); done <- i }()
		}
		for range batch {
			<-done
		}
		for i := range batch {
			var f *failed
			switch err := errs[first+i]; {
			case err == nil:
			case errors.As(err, &f) && f.final:
				dead = append(dead, letter{item: batch[i].key(), error: f.sentence})
			default:
				return first + i, dead, err
			}
		}
	}
	return len(all), dead, nil
}
