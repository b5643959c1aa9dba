package grant

import (
	"net/netip"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// Issuer tells the two layouts apart. What began at one is refused at the other.
type Issuer uint8

// The issuers.
const (
	Tenant Issuer = 0 // {base}/{tenant}/v2.0, as Entra lays it out
	Plain  Issuer = 1 // {base}
)

// Grant is one user's permission for one application.
type Grant struct {
	ID      directory.GrantID
	User    directory.UserID
	App     directory.AppID
	Session directory.SessionID // in which it was given; see EndsWith
	// Offline grants (offline_access) have refresh tokens and outlive their
	// session. The others end with it and carry its sid.
	Offline  bool
	Device   directory.DeviceID
	Issuer   Issuer
	Born     cutoff.Pos
	Scopes   []directory.Permission // consented; OIDC's own scopes stand under resource ""
	Created  time.Time
	LastUsed time.Time
	End      time.Time // absolute; zero: none
	AuthTime time.Time
	// SecondTime is when a second factor was last given; zero: never.
	SecondTime time.Time
	AMR        []string
	// Platform is what the program said it runs on, Flow how the sign-in came to
	// it; zero: not known. Contexts are the authentication contexts that its tokens
	// hold: "c1".
	Platform policy.Platform
	Flow     policy.Flow
	Contexts []string
	// Chain is what the grant was made from by token exchange, nearest first;
	// empty for one that a sign-in gave. See [Link].
	Chain []Link
	// CNF names the key that the refresh tokens are bound to: "jkt:" and a
	// JWK's thumbprint (RFC 9449), or "x5t:" and a certificate's (RFC 8705).
	// Empty: none.
	CNF   string
	State State
}

// State is what one refresh changes: the only columns it writes.
type State struct {
	Generation int64
	// Rotated are the instants of the latest rotations, newest first, in
	// microseconds of Unix time: Rotated[0] made Generation current. Those that
	// no retry can depend on any more are forgotten.
	Rotated []int64
	// Retries counts, per resource, how often the generation before the
	// current one was answered again.
	Retries map[directory.ResourceID]int
	// Tokens are the latest expiries handed out, one for each resource.
	Tokens []Token
	// Resource and Network are those of the use that made Generation current;
	// zero: not known. Format keeps the resource only after Note.
	Resource directory.ResourceID
	Network  netip.Prefix
	// Row is how many generations running were answered again for the same
	// resource. The last of them is the one before Generation or, while that one
	// was not, the one before it.
	Row int
	// Alarmed is when each condition of an [Alarm] was last told, in Unix
	// seconds; 0: never, or too long ago to matter.
	Alarmed [conditions]int64
}

// Token remembers the access tokens handed out for one resource.
type Token struct {
	Resource directory.ResourceID
	Expires  int64 // Unix seconds, the latest
	Issued   int64 // Unix seconds, of that one
}

// Ends returns when the grant ends by itself if it is not used again.
func (g *Grant) Ends(l Lifetimes) time.Time {
	end := g.LastUsed.Add(l.GrantIdle)
	if !g.End.IsZero() && g.End.Before(end) {
		return g.End
	}
	return end
}

// Note remembers that an access token for resource was handed out. An earlier
// expiry never replaces a later one.
func (s *State) Note(r directory.ResourceID, issued, expires time.Time) {
	i := slices.IndexFunc(s.Tokens, func(t Token) bool { return t.Resource == r })
	if i < 0 {
		s.Tokens = append(s.Tokens, Token{Resource: r})
		i = len(s.Tokens) - 1
	}
	if t := &s.Tokens[i]; expires.Unix() > t.Expires {
		t.Expires, t.Issued = expires.Unix(), issued.Unix()
	}
	// What ended more than a day ago is of no use to anybody.
	s.Tokens = slices.DeleteFunc(s.Tokens, func(t Token) bool { return t.Expires < issued.Unix()-86400 })
}
