package guard

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/guard/internal/jose"
)

// MaxTokenLen bounds a token, in bytes. Longer ones are refused unread.
const MaxTokenLen = 16 << 10

// Claims are the claims of a verified token. They are shared by every request
// that shows the same token: read them, do not change them.
type Claims struct {
	Issuer   string // iss
	Subject  string // sub
	Audience string // aud
	ClientID string // client_id: the application that calls
	User     string // oid: the person, or the application's own principal
	Tenant   string // tid
	Grant    string // gid; empty for app-only tokens
	Session  string // sid; only while the grant ends with the session
	Device   string // deviceid
	ID       string // jti
	// Chain is what the grant was made from, nearest first (gids), with the
	// applications that held it (act). Empty for all but exchanged tokens.
	Chain []cutoff.Link

	Scopes       []string // scp
	Roles        []string // roles
	Directory    []string // wids: directory roles, by template id
	Methods      []string // amr
	ACR          string
	AppOnly      bool // no person is behind this token
	Capabilities []string
	IssuedAt     time.Time
	NotBefore    time.Time // zero: not given
	Expires      time.Time
	AuthTime     time.Time // when the person last proved who they are; zero: not given
	Born         cutoff.Pos

	// Contexts are the authentication contexts that the token satisfies (acrs).
	Contexts []string

	located bool         // it was judged for the address it was given to, and is asked for from others
	from    netip.Addr   // that address; zero: it cannot be read
	bound   confirmation // what the holder must prove; zero: nothing
	payload string
}

// HasScope reports whether scope was granted.
func (c *Claims) HasScope(scope string) bool { return slices.Contains(c.Scopes, scope) }

// HasRole reports whether the token carries the application role.
func (c *Claims) HasRole(role string) bool { return slices.Contains(c.Roles, role) }

// Decode unmarshals all claims into v, for those Claims has no field for.
func (c *Claims) Decode(v any) error { return json.Unmarshal([]byte(c.payload), v) }

// capable reports whether the client understands claims challenges.
func (c *Claims) capable() bool {
	return slices.ContainsFunc(c.Capabilities, func(s string) bool { return strings.EqualFold(s, "cp1") })
}

// The sentences are public: they say what is wrong with the token to whoever
// holds it. They contain no comma and no quote, because clients split
// challenges at commas.
var (
	errLong      = errors.New("the token is too long")
	errForm      = jose.ErrForm
	errHeader    = jose.ErrHeader
	errKey       = errors.New("the token is signed with a key this service does not know")
	errSignature = errors.New("the signature of the token is wrong")
	errClaims    = errors.New("the claims of the token are malformed")
	errIncomp    = errors.New("the token lacks a required claim")
	errIssuer    = errors.New("the token comes from another issuer")
	errAudience  = errors.New("the token is meant for another audience")
	errBound     = errors.New("the token is bound to a key and cannot be used as a bearer token")
	errBorn      = errors.New("the token does not say at which ledger position it was born")
	errChain     = errors.New("the token does not say in a form this service understands what it was made from")
	errEarly     = errors.New("the token is not valid yet")
	errExpired   = errors.New("the token has expired")
	errRevoked   = errors.New("the token was revoked")
	errMissing   = errors.New("this service requires an access token")
	errSeveral   = errors.New("the request carries more than one Authorization header")
)

// header is what a token says about its signature.
type header struct{ encoded, alg, kid string }

// parsed is a token taken apart, its signature not yet checked.
type parsed struct {
	header
	signed    string // what was signed: header.payload
	payload   string // still encoded
	signature []byte
}

// parse takes a token apart. Tokens of one key share their header to the last
// byte, so the header of the last good one, if given, is not read again.
func parse(token string, last *header) (p parsed, err error) {
	if len(token) > MaxTokenLen {
		return p, errLong
	}
	head, rest, ok := strings.Cut(token, ".")
	body, sig, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || head == "" || body == "" || sig == "" || strings.Contains(sig, ".") {
		return p, errForm
	}
	if p.signature, ok = jose.Decode64(sig); !ok {
		return p, errForm
	}
	p.signed, p.payload = token[:len(head)+1+len(body)], body
	if last != nil && last.encoded == head {
		p.header = *last
		return p, nil
	}
	p.header, err = readHeader(head)
	return p, err
}

func readHeader(encoded string) (h header, err error) {
	b, ok := jose.Decode64(encoded)
	if !ok {
		return h, errForm
	}
	h.encoded = encoded
	var typ string
	err = jose.ReadObject(string(b), func(r *jose.Reader, name string) (err error) {
		switch name {
		case "alg":
			h.alg, err = r.String()
		case "kid":
			h.kid, err = r.String()
		case "typ":
			typ, err = r.String()
		case "crit":
			// RFC 7515 §4.1.11: we understand no extension.
			err = errHeader
		default:
			err = r.Skip()
		}
		return err
	})
	// RFC 9068 §4: both spellings of the type, in any case.
	if err != nil || h.alg == "" || h.kid == "" ||
		!strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return h, errHeader
	}
	return h, nil
}

// readClaims reads a payload whose signature is good.
func readClaims(encoded string) (*Claims, error) {
	b, ok := jose.Decode64(encoded)
	if !ok {
		return nil, errForm
	}
	c := &Claims{payload: string(b)}
	var hasExp, hasIat, hasBorn bool
	var p provenance
	err := jose.ReadObject(c.payload, func(r *jose.Reader, name string) (err error) {
		str := func(to *string) { *to, err = r.String() }
		list := func(to *[]string) { *to, err = r.Strings() }
		at := func(to *time.Time) {
			var n int64
			if n, err = r.Integer(); err == nil {
				*to = time.Unix(n, 0).UTC()
			}
		}
		r.Space()
		switch name {
		case "iss":
			str(&c.Issuer)
		case "sub":
			str(&c.Subject)
		case "aud":
			str(&c.Audience)
		case "client_id":
			str(&c.ClientID)
		case "oid":
			str(&c.User)
		case "tid":
			str(&c.Tenant)
		case "gid":
			str(&c.Grant)
		case "gids":
			p.claimed = true
			list(&p.gids)
		case "act":
			p.claimed = true
			p.actors, err = readActors(r)
		case "sid":
			str(&c.Session)
		case "deviceid":
			str(&c.Device)
		case "jti":
			str(&c.ID)
		case "acr":
			str(&c.ACR)
		case "scp":
			var s string
			str(&s)
			c.Scopes = strings.Fields(s)
		case "idtyp":
			var s string
			str(&s)
			c.AppOnly = s == "app"
		case "roles":
			list(&c.Roles)
		case "wids":
			list(&c.Directory)
		case "amr":
			list(&c.Methods)
		case "acrs":
			list(&c.Contexts)
		case "from":
			var s string
			str(&s)
			c.located = true
			c.from, _ = netip.ParseAddr(s) // one that cannot be read is nobody's
			c.from = c.from.Unmap()
		case "xms_cc":
			list(&c.Capabilities)
		case "iat":
			hasIat = true
			at(&c.IssuedAt)
		case "nbf":
			at(&c.NotBefore)
		case "exp":
			hasExp = true
			at(&c.Expires)
		case "auth_time":
			at(&c.AuthTime)
		case "born":
			var n int64
			if n, err = r.Integer(); err != nil {
				return errBorn
			}
			c.Born, hasBorn = cutoff.Pos(n), n >= 0
		case "cnf":
			c.bound, err = readConfirmation(r)
		default:
			err = r.Skip()
		}
		return err
	})
	switch {
	case errors.Is(err, errBorn), errors.Is(err, errBound):
		return nil, err
	case err != nil:
		return nil, errClaims
	case !hasBorn:
		return nil, errBorn
	case c.Issuer == "" || c.Subject == "" || c.Audience == "" || !hasExp || !hasIat:
		return nil, errIncomp
	case c.ClientID == "" || c.User == "" || c.Grant == "" && !c.AppOnly:
		// Without them a cutoff of that user, app or grant would miss the token.
		return nil, errIncomp
	}
	c.Chain, err = p.links(c)
	return c, err
}

func (c *Claims) owner() cutoff.Owner {
	return cutoff.NewOwner(cutoff.Belongs{User: c.User, Session: c.Session, Grant: c.Grant, App: c.ClientID, Device: c.Device, Chain: c.Chain})
}
