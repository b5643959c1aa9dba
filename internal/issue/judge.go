package issue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// maxViewAge is how old this node's view may be for introspection, where a read
// of the primary would cost each caller a round trip (DESIGN §4).
const maxViewAge = time.Second

// verified is an access token of ours whose signature was checked. What it says
// never changes; whether it is good is judged at every use.
type verified struct {
	claims *Access
	owner  cutoff.Owner
	key    string // that signed it
}

// knownTokens remembers verified tokens by the whole token: a signature check
// costs more than everything else an introspection does.
type knownTokens struct {
	mu  sync.RWMutex
	cur map[string]*verified // guarded by mu
	old map[string]*verified // guarded by mu: the generation before
}

const maxKnown = 20000

func (k *knownTokens) get(token string) *verified {
	k.mu.RLock()
	v := k.cur[token]
	if v == nil {
		v = k.old[token]
	}
	k.mu.RUnlock()
	return v
}

func (k *knownTokens) put(token string, v *verified) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cur == nil || len(k.cur) >= maxKnown {
		k.old, k.cur = k.cur, make(map[string]*verified)
	}
	k.cur[token] = v
}

// verify checks signature, type and issuer of an access token. Time, audience
// and standing are the caller's.
func (s *Service) verify(token string) (*verified, error) {
	if v := s.known.get(token); v != nil {
		return v, nil
	}
	b, kid, err := s.Keys.Verify(token, keys.AccessToken)
	if err != nil {
		return nil, err
	}
	a := &Access{}
	if err := json.Unmarshal(b, a); err != nil {
		return nil, err
	}
	if a.Issuer != s.Issuer(grant.Tenant) && a.Issuer != s.Issuer(grant.Plain) {
		return nil, keys.ErrToken
	}
	belongs, err := a.Belongs()
	if err != nil {
		return nil, err
	}
	v := &verified{claims: a, owner: cutoff.NewOwner(belongs), key: kid}
	s.known.put(token, v)
	return v, nil
}

// good judges a verified token now: its time, and the cutoffs in this node's
// view, which is read from the primary first when it is older than young.
func (s *Service) good(ctx context.Context, v *verified, young time.Duration) error {
	now := s.Now().Unix()
	if now >= v.claims.Expires || now < v.claims.NotBefor-60 {
		return fault.New(fault.Unauthenticated, "The access token has expired.")
	}
	if s.DB.Age() > young {
		if err := s.DB.Fresh(ctx); err != nil {
			return fault.Wrap(fault.Unavailable, "The ledger could not be read, so nothing is known about this token.", err)
		}
	}
	if s.DB.View().Dead(&v.owner, v.claims.Born, cutoff.Token) {
		return dead([]standing.Cause{standing.Revoked})
	}
	// Who has a key that was dropped can put any born into what he signs.
	if known, err := s.Keys.Has(v.key); err != nil {
		return err
	} else if !known {
		return fault.New(fault.Unauthenticated, "The access token is signed with a key that is no longer in use.")
	}
	return nil
}

// Good says whether an access token is one of ours that has not ended, whatever its
// audience, and returns its claims; also with an error, if they could be read.
func (s *Service) Good(ctx context.Context, token string) (*Access, error) {
	v, err := s.verify(token)
	if err != nil {
		return nil, err
	}
	return v.claims, s.good(ctx, v, 0)
}

// Introspection is the answer of RFC 7662 §2.2. When Active is false, nothing
// else is said.
type Introspection struct {
	Active    bool          `json:"active"`
	Scope     string        `json:"scope,omitempty"`
	ClientID  string        `json:"client_id,omitempty"`
	Username  string        `json:"username,omitempty"`
	TokenType string        `json:"token_type,omitempty"`
	Expires   int64         `json:"exp,omitempty"`
	IssuedAt  int64         `json:"iat,omitempty"`
	NotBefore int64         `json:"nbf,omitempty"`
	Subject   string        `json:"sub,omitempty"`
	Audience  string        `json:"aud,omitempty"`
	Issuer    string        `json:"iss,omitempty"`
	JTI       string        `json:"jti,omitempty"`
	OID       string        `json:"oid,omitempty"`
	TID       string        `json:"tid,omitempty"`
	SID       string        `json:"sid,omitempty"`
	Roles     []string      `json:"roles,omitempty"`
	ACR       string        `json:"acr,omitempty"`
	AMR       []string      `json:"amr,omitempty"`
	AuthTime  int64         `json:"auth_time,omitempty"`
	Act       *Acting       `json:"act,omitempty"` // RFC 8693 §4.1
	CNF       *Confirmation `json:"cnf,omitempty"`

	Token *Access    `json:"-"` // nil: of a refresh token
	Doubt cutoff.Pos `json:"-"` // the last line of doubt about it: born before, it must be judged again
}

// Introspect says whether a token is good, to a client that it was issued to or
// that guards its resource. Whatever else is wrong, the answer is "not active". Policies
// are asked about a refresh token, and by who judges Doubt. Kinds: Unavailable.
func (s *Service) Introspect(ctx context.Context, caller *Client, token string, m Meta) (*Introspection, error) {
	if t, err := grant.Parse(token); err == nil {
		return s.introspectRefresh(ctx, caller, t, token, m)
	}
	v, err := s.verify(token)
	if fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	if err != nil { // one that is encrypted among them: only its resource can read it
		return &Introspection{}, nil
	}
	a := v.claims
	mayKnow := a.ClientID == string(caller.ID) || slices.ContainsFunc(caller.Guards, func(r directory.ResourceID) bool { return s.Audience(r) == a.Audience })
	if !mayKnow {
		return &Introspection{}, nil
	}
	if err := s.good(ctx, v, maxViewAge); fault.Is(err, fault.Unavailable) {
		return nil, err
	} else if err != nil {
		return &Introspection{}, nil
	}
	kind := "Bearer"
	if a.CNF != nil && a.CNF.JKT != "" {
		kind = "DPoP"
	}
	return &Introspection{Active: true, Token: a, Doubt: s.DB.View().Judge(&v.owner), Scope: cmp.Or(a.Scp, strings.Join(a.Roles, " ")), ClientID: a.ClientID, Username: a.Name, TokenType: kind, Expires: a.Expires, IssuedAt: a.IssuedAt, NotBefore: a.NotBefor,
		Subject: a.Subject, Audience: a.Audience, Issuer: a.Issuer, JTI: a.JTI, OID: a.OID, TID: a.TID, SID: a.SID, Roles: a.Roles, ACR: a.ACR, AMR: a.AMR, AuthTime: a.AuthTime, Act: a.Act, CNF: a.CNF}, nil
}

// SignIntrospection puts an answer for a caller into a JWT that proves who gave it
// (RFC 9701 §5). It has neither sub nor exp on its own level: nobody can take it
// for a token.
func (s *Service) SignIntrospection(ctx context.Context, caller *Client, issuer grant.Issuer, x *Introspection) (string, error) {
	return s.signClaims(ctx, keys.Introspection, caller.SigningAlg, caller.Created, struct {
		Issuer   string         `json:"iss"`
		Audience string         `json:"aud"`
		IssuedAt int64          `json:"iat"`
		Answer   *Introspection `json:"token_introspection"`
	}{s.Issuer(issuer), string(caller.ID), s.Now().Unix(), x})
}

// introspectRefresh judges a refresh token for the client it belongs to, without
// using it.
func (s *Service) introspectRefresh(ctx context.Context, caller *Client, t grant.Refresh, token string, m Meta) (*Introspection, error) {
	key, known := s.Keys.RefreshKeyByID(t.Key)
	if !known || !t.Verify(token, key) {
		return &Introspection{}, nil
	}
	out := &Introspection{}
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		g, err := tx.Grant(t.Grant)
		if err != nil || g.App != caller.ID || t.Generation != g.State.Generation {
			return err
		}
		u, err := tx.User(g.User)
		if err != nil {
			return err
		}
		app, err := tx.App(g.App)
		if err != nil {
			return err
		}
		cuts, err := tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born)
		if err != nil {
			return err
		}
		unassigned, err := tx.Unassigned(app, u.ID)
		if err != nil {
			return err
		}
		above, err := tx.Above(g, u)
		if err != nil {
			return err
		}
		ends, err := s.usable(tx, g, u, app, m)
		if err != nil || ends == nil || len(standing.Check(standing.Facts{Now: tx.Now, User: u, App: app, NeedsApp: true, Unassigned: unassigned, Ends: g.Ends(s.Lifetimes), End: g.End, Cuts: cuts, Above: above.Facts, Orphan: above.Orphan})) > 0 {
			return err
		}
		out = &Introspection{Active: true, ClientID: string(g.App), Username: u.Name, TokenType: "refresh_token", Subject: u.ID.String(), OID: u.ID.String(), TID: s.Tenant,
			Issuer: s.Issuer(g.Issuer), Expires: earlier(earlier(g.Ends(s.Lifetimes), above.End), ends.Until).Unix(), IssuedAt: g.LastUsed.Unix()}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return &Introspection{}, nil
	}
	return out, err
}

// Own judges an access token for the directory's own API, all but the policies. m.Key
// names the key that the request proves to hold, see [Service.Holds]; a token that is bound to
// another one is refused. The claims are returned even with an error of kind
// Revoked, so that the surface knows whether the client understands a claims
// challenge. Kinds: Unauthenticated, Revoked, Unavailable.
func (s *Service) Own(ctx context.Context, token string, m Meta) (*Access, error) {
	v, err := s.verify(token)
	if err == nil { // once more, with the keys as the primary has them: one may have been dropped just now
		if err = s.DB.Fresh(ctx); err == nil {
			v, err = s.verify(token)
		}
	}
	if fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	if err != nil || v.claims.Audience != s.Audience(directory.OwnAPI) {
		return nil, fault.New(fault.Unauthenticated, "The access token is not one for this API.")
	}
	if !held(v.claims, m.Key) {
		return nil, fault.New(fault.Unauthenticated, "The access token is bound to a key that this request does not prove to hold.")
	}
	return v.claims, s.good(ctx, v, 0) // what accepts reads the primary
}

// Actor judges an access token for the directory's own API and says who acts.
// Kinds as Own.
func (s *Service) Actor(ctx context.Context, token string, m Meta) (directory.Actor, *Access, error) {
	a, err := s.Own(ctx, token, m)
	if err != nil {
		return directory.Actor{}, a, err
	}
	id, err := directory.ParseID[directory.User](a.OID)
	if err != nil {
		return directory.Actor{}, a, err
	}
	actor := directory.Actor{User: id, App: directory.AppID(a.ClientID), Name: a.Name, Born: a.Born, Owner: a.Owner(), Kind: cutoff.Token,
		AuthTime: time.Unix(a.AuthTime, 0), Scopes: strings.Fields(a.Scp)}
	if actor.Scopes == nil {
		actor.Scopes = []string{}
	}
	if a.IDType == "app" {
		actor.AppOnly, actor.Name = true, a.ClientID
		actor.Scopes = append(actor.Scopes, a.Roles...)
		return actor, a, nil
	}
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if actor, err = tx.ActorNow(actor); err == nil {
			err = s.useOfToken(tx, a, id, actor.Held, strings.Fields(a.Scp), m)
		}
		return err
	})
	return actor, a, err
}

// Userinfo returns the claims of OpenID Connect Core 1.0 §5.3. Kinds as Own.
func (s *Service) Userinfo(ctx context.Context, token string, m Meta) (map[string]any, error) {
	a, err := s.Own(ctx, token, m)
	if err != nil {
		return nil, err
	}
	scopes := strings.Fields(a.Scp)
	if !slices.Contains(scopes, "openid") {
		return nil, fault.New(fault.Denied, "The access token was not asked for with the scope openid.")
	}
	id, err := directory.ParseID[directory.User](a.OID)
	if err != nil {
		return nil, err
	}
	var u *directory.User
	if err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if u, err = tx.User(id); err != nil {
			return err
		}
		held, err := tx.Held(id)
		if err == nil { // it says who somebody is and nothing else, whatever the token opens
			err = s.useOfToken(tx, a, id, held, nil, m)
		}
		return err
	}); err != nil {
		return nil, err
	}
	out := map[string]any{"sub": a.Subject, "oid": a.OID, "tid": a.TID}
	for _, c := range directory.Claims {
		if v := c.Of(u); v != "" && (slices.Contains(scopes, c.Scope) || slices.Contains(scopes, directory.InUserinfo+c.Name)) {
			out[c.Name] = v
		}
	}
	return out, nil
}

// Hint reads an id_token_hint: an ID token of ours, which may have expired.
func (s *Service) Hint(token string) (*IDToken, error) {
	b, _, err := s.Keys.Verify(token, keys.IDToken)
	if fault.Is(err, fault.Unavailable) {
		return nil, err
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "The id_token_hint is not an ID token of this directory.")
	}
	t := &IDToken{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, err
	}
	if t.Issuer != s.Issuer(grant.Tenant) && t.Issuer != s.Issuer(grant.Plain) {
		return nil, fault.New(fault.Invalid, "The id_token_hint is not an ID token of this directory.")
	}
	return t, nil
}
