package issue

import (
	"cmp"
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue/claims"
	"github.com/curfew-id/curfew/internal/keys"
)

// The claims of what is issued.
type (
	Access       = claims.Access
	Acting       = claims.Acting
	IDToken      = claims.IDToken
	Confirmation = claims.Confirmation
)

func newJTI() string { return newSecret()[:22] } // 132 bits

// life is how long an access token lives. Clients count it as over five minutes
// early, so anything below ten minutes would never be cached.
// More than an hour is given only to who understands that it may end sooner, where a guard
// is live at this moment and all is guarded, as far as anybody said: doubt makes it an
// hour. What is long is spread, or all would be renewed at once (reference/entra.md §1).
func (s *Service) life(reg *registrations, r *directory.Resource, app *directory.App, cp1 bool) time.Duration {
	d := cmp.Or(r.TokenLife, s.Lifetimes.AccessToken)
	if d > time.Hour && cp1 && r.Guarded && s.Now().Before(reg.until[r.ID]) {
		d = max(time.Hour, d-rand.N(d*2/7).Truncate(time.Second)) // 20 to 28 hours
	} else {
		d = min(d, time.Hour)
	}
	if app.AccessTokenMinutes > 0 {
		d = min(d, time.Duration(app.AccessTokenMinutes)*time.Minute)
	}
	return max(d, 10*time.Minute)
}

// draft is a token decided upon but not yet handed out.
type draft struct {
	grant    *grant.Grant
	user     *directory.User
	held     directory.Held
	app      *directory.App
	resource *directory.Resource
	scopes   []string // of the resource
	oidc     []string
	echo     string
	nonce    string
	born     cutoff.Pos
	now      time.Time
	expires  time.Time
	limit    time.Time // of what it was made from; zero: none. Nothing lives longer
	cp1      bool
	bare     bool          // no refresh token, whether the grant has them or not
	key      string        // the access token is bound to; empty: none
	outcome  grant.Outcome // of a refresh
	alarm    grant.Alarm   // of a retry
	from     string        // the one address it is good from; empty: from everywhere
	use      *access.Use   // as the policies were asked
	ruling   *access.Ruling
}

// sign makes the tokens of a draft. It is called after the last look only.
func (s *Service) sign(ctx context.Context, d *draft) (*Tokens, error) {
	g := d.grant
	jti := newJTI()
	a := &Access{
		Issuer: s.Issuer(g.Issuer), Subject: g.User.String(), Audience: s.Audience(d.resource.ID), ClientID: string(g.App), AZP: string(g.App),
		OID: g.User.String(), TID: s.Tenant, Scp: strings.Join(d.scopes, " "),
		IssuedAt: d.now.Unix(), NotBefor: d.now.Unix(), Expires: d.expires.Unix(), AuthTime: seconds(g.AuthTime), ACR: ACR, AMR: amrOf(g),
		Born: d.born, GID: g.ID.String(), JTI: jti, UTI: jti, Name: d.user.Name, Version: "2.0",
	}
	for _, r := range d.held.Roles {
		a.WIDs = append(a.WIDs, string(r))
	}
	if sid := g.EndsWith(); !sid.IsZero() {
		a.SID = sid.String()
	}
	a.Hang(g)
	if !g.Device.IsZero() {
		a.DeviceID = g.Device.String()
	}
	if d.cp1 {
		a.CC = []string{"CP1"}
	}
	if d.ruling.Limits.AppEnforced {
		a.Controls, a.Controlled = []string{appRestricted}, []string{a.Audience}
	}
	a.CNF, a.From, a.ACRS = confirm(d.key), d.from, d.use.Contexts
	t := &Tokens{Ruling: d.ruling, Scope: d.echo, ExpiresIn: d.expires.Sub(d.now), User: g.User, Grant: g.ID, jti: jti, DPoP: a.CNF != nil && a.CNF.JKT != ""}
	var err error
	if t.Access, err = s.accessToken(ctx, d.resource, a); err != nil {
		return nil, err
	}
	if g.Offline && !d.bare {
		id, key := s.Keys.RefreshKey()
		t.Refresh = grant.Refresh{Key: id, Issuer: g.Issuer, Grant: g.ID, Generation: g.State.Generation}.Seal(key)
		t.RefreshExpiresIn = earlier(g.Ends(s.Lifetimes), d.limit).Sub(d.now)
		if end := earlier(g.End, d.limit); !end.IsZero() {
			t.GrantExpiresIn = end.Sub(d.now)
		}
	}
	if slices.Contains(d.oidc, "openid") {
		t.ID, err = s.signClaims(ctx, keys.IDToken, d.app.SigningAlg, d.app.Created, s.idToken(d))
	}
	return t, err
}

func (s *Service) idToken(d *draft) *IDToken {
	g := d.grant
	t := &IDToken{
		Issuer: s.Issuer(g.Issuer), Subject: g.User.String(), Audience: string(g.App), IssuedAt: d.now.Unix(), NotBefore: d.now.Unix(), Expires: d.now.Add(s.Lifetimes.IDToken).Unix(),
		AuthTime: seconds(g.AuthTime), Nonce: d.nonce, ACR: ACR, AMR: amrOf(g), OID: g.User.String(), TID: s.Tenant, JTI: newJTI(), Version: "2.0",
		SessionExpiry: g.Ends(s.Lifetimes).Unix(),
	}
	if !g.Session.IsZero() {
		t.SID = g.Session.String()
	}
	if slices.Contains(d.oidc, "profile") {
		t.Name, t.Username, t.LoginHint = d.user.DisplayName, d.user.Name, d.user.Name
	}
	if slices.Contains(d.oidc, "email") {
		t.Email = d.user.Mail
	}
	for _, n := range d.oidc {
		name, ok := strings.CutPrefix(n, directory.InIDToken)
		for _, c := range directory.Claims {
			if ok && c.Name == name {
				*map[string]*string{"name": &t.Name, "preferred_username": &t.Username, "given_name": &t.GivenName, "family_name": &t.FamilyName, "locale": &t.Locale, "email": &t.Email, "phone_number": &t.Phone}[name] = c.Of(d.user)
			}
		}
	}
	return t
}

// accessToken signs as the resource asks for and, where it has registered a key,
// encrypts what was signed.
func (s *Service) accessToken(ctx context.Context, r *directory.Resource, a *Access) (string, error) {
	token, err := s.signClaims(ctx, keys.AccessToken, r.SigningAlg, r.Created, a)
	if err != nil || r.EncryptionKey == "" {
		return token, err
	}
	return s.Keys.Encrypt(r.EncryptionKey, token)
}

// signClaims signs with the algorithm that a registration made at since asks for.
func (s *Service) signClaims(ctx context.Context, typ keys.Type, alg string, since time.Time, claims any) (string, error) {
	b, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if alg, err = s.Keys.Use(ctx, alg, since); err != nil {
		return "", err
	}
	return s.Keys.Sign(ctx, typ, alg, b)
}

// seconds is a claim's date; none for an instant that is not known.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
