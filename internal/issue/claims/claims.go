// Package claims is what the tokens say that internal/issue gives, as it stands in
// them, and what an access token belongs to.
//
// It promises: a chain of exchanges is read exactly as it was written, or not at all.
//
// It leaves to others: what stands in a token and why, and signing.
//
// Trust: the claims were verified by whoever parsed them.
package claims

import (
	"errors"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/grant"
)

var errChain = errors.New("the token does not say what it was made from")

// Access are the claims of an access token (RFC 9068 §2.2, and Entra's names).
type Access struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	ClientID string   `json:"client_id"`
	AZP      string   `json:"azp"`
	OID      string   `json:"oid"`
	TID      string   `json:"tid"`
	Scp      string   `json:"scp,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	WIDs     []string `json:"wids,omitempty"`
	SID      string   `json:"sid,omitempty"` // only while the grant ends with the session
	DeviceID string   `json:"deviceid,omitempty"`
	IssuedAt int64    `json:"iat"`
	NotBefor int64    `json:"nbf"`
	Expires  int64    `json:"exp"`
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Controls []string `json:"controls,omitempty"` // "app_res": a policy leaves restrictions to the application
	// Controlled are the audiences that Controls is for, as in Entra's tokens.
	Controlled []string `json:"controls_auds,omitempty"`

	Born    cutoff.Pos    `json:"born"`
	GID     string        `json:"gid,omitempty"`
	GIDs    []string      `json:"gids,omitempty"` // of the grants above; see Hang
	Act     *Acting       `json:"act,omitempty"`
	JTI     string        `json:"jti"`
	UTI     string        `json:"uti"`
	CC      []string      `json:"xms_cc,omitempty"`
	ACRS    []string      `json:"acrs,omitempty"`  // authentication contexts that it satisfies
	From    string        `json:"from,omitempty"`  // good from this address; guards have it judged again for others
	CNF     *Confirmation `json:"cnf,omitempty"`   // the key it is bound to
	IDType  string        `json:"idtyp,omitempty"` // "app" when an application acts as itself
	Name    string        `json:"preferred_username,omitempty"`
	Version string        `json:"ver"`
}

// IDToken are the claims of an ID token (OpenID Connect Core 1.0 §2).
type IDToken struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      string   `json:"aud"`
	IssuedAt      int64    `json:"iat"`
	NotBefore     int64    `json:"nbf"`
	Expires       int64    `json:"exp"`
	AuthTime      int64    `json:"auth_time,omitempty"` // 0: another identity provider did not say
	Nonce         string   `json:"nonce,omitempty"`
	ACR           string   `json:"acr,omitempty"`
	AMR           []string `json:"amr,omitempty"`
	SID           string   `json:"sid,omitempty"`
	OID           string   `json:"oid"`
	TID           string   `json:"tid"`
	Name          string   `json:"name,omitempty"`
	Username      string   `json:"preferred_username,omitempty"`
	LoginHint     string   `json:"login_hint,omitempty"`
	Email         string   `json:"email,omitempty"`
	GivenName     string   `json:"given_name,omitempty"` // this and the next three only where asked for one by one
	FamilyName    string   `json:"family_name,omitempty"`
	Locale        string   `json:"locale,omitempty"`
	Phone         string   `json:"phone_number,omitempty"`
	SessionExpiry int64    `json:"session_expiry,omitempty"`
	JTI           string   `json:"uti"`
	Version       string   `json:"ver"`
}

// Confirmation is the cnf claim (RFC 7800): the key a token is bound to.
type Confirmation struct {
	JKT string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	X5T string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
}

// Acting is the act claim (RFC 8693 §4.1): the application that acts for the
// person, and inside it the one that did before.
type Acting struct {
	Subject string  `json:"sub"` // client_id
	Before  *Acting `json:"act,omitempty"`
}

// Hang writes the chain of a grant into the claims; guard's package comment says
// what they mean.
func (a *Access) Hang(g *grant.Grant) {
	if len(g.Chain) == 0 {
		return
	}
	a.Act = &Acting{Subject: string(g.App)}
	last := a.Act
	for _, l := range g.Chain {
		a.GIDs = append(a.GIDs, l.Grant.String())
		last.Before = &Acting{Subject: string(l.App)}
		last = last.Before
	}
}

// chain reads what Hang wrote. Every token here was signed by us; one that does
// not say exactly what it was made from is refused all the same, as at a guard.
func (a *Access) chain() (chain []cutoff.Link, err error) {
	if len(a.GIDs) == 0 && a.Act == nil {
		return nil, nil
	}
	if a.Act == nil || a.Act.Subject != a.ClientID || len(a.GIDs) > cutoff.MaxChain {
		return nil, errChain
	}
	x := a.Act.Before
	for _, g := range a.GIDs {
		if x == nil || x.Subject == "" || g == "" {
			return nil, errChain
		}
		chain = append(chain, cutoff.Link{Grant: g, App: x.Subject})
		x = x.Before
	}
	if x != nil || len(chain) == 0 {
		return nil, errChain
	}
	return chain, nil
}

// Belongs lists what the token belongs to.
func (a *Access) Belongs() (cutoff.Belongs, error) {
	chain, err := a.chain()
	return cutoff.Belongs{User: a.OID, Session: a.SID, Grant: a.GID, App: a.ClientID, Device: a.DeviceID, Chain: chain}, err
}

// Owner says which cutoffs cover the token.
func (a *Access) Owner() cutoff.Owner {
	b, _ := a.Belongs() // whoever verifies has refused what cannot be read
	return cutoff.NewOwner(b)
}
