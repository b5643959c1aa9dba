package directory

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
)

// ProviderID names another identity provider in this directory: a short name that
// whoever registers it chooses. It stands in addresses.
type ProviderID string

// Provider is another identity provider whose people can sign in here.
type Provider struct {
	ID ProviderID
	// Issuer is the iss of its ID tokens, to the byte, and where its metadata is
	// found. It never changes: whose people are linked would change with it.
	Issuer  string
	Name    string // on the button of the sign-in page
	Enabled bool
	// ClientID is what this directory is called there, Secret what it proves that
	// with, sealed under the master key; empty: nothing, PKCE alone.
	ClientID string
	Secret   []byte
	// Signs: it proves itself by a signature of ours instead (private_key_jwt, RFC
	// 7523), which the provider checks by our published keys.
	Signs  bool
	Scopes []string // asked for beside openid
	// Claims say what becomes of its claims when a person is created.
	Claims ProviderClaims
	// Create lets people in who are linked to nobody, as new users whose names are
	// in one of Domains.
	Create  bool
	Domains []string
	Created time.Time
	Version int64 // grows with each change of the row, and beyond a deletion
}

// ProviderClaims name claims of an ID token.
type ProviderClaims struct {
	UserName    string `json:",omitempty"` // "preferred_username" when empty
	Mail        string `json:",omitempty"` // "email"
	DisplayName string `json:",omitempty"` // "name"
}

// Or fills in the usual names.
func (c ProviderClaims) Or() ProviderClaims {
	or := func(s *string, usual string) {
		if *s == "" {
			*s = usual
		}
	}
	or(&c.UserName, "preferred_username")
	or(&c.Mail, "email")
	or(&c.DisplayName, "name")
	return c
}

// Link says that somebody at another identity provider is a user here.
type Link struct {
	Provider ProviderID
	Subject  string // sub, to the byte
	User     UserID
	Linked   time.Time
	// AuthTime is the newest auth_time that came through this link.
	AuthTime time.Time
}

// MaxSubject bounds the sub of another provider, in bytes (OpenID Connect Core 1.0
// §2 allows 255).
const MaxSubject = 255

// WellKnown is where the metadata of an issuer is (OpenID Connect Discovery 1.0 §4).
const WellKnown = "/.well-known/openid-configuration"

// Check reports what is wrong with a provider as it is about to be written.
func (p *Provider) Check() error {
	if p.ID == "" || len(p.ID) > 64 || strings.Trim(string(p.ID), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return invalid("The id of an identity provider is 1 to 64 small letters, digits and hyphens: it stands in addresses.")
	}
	u, err := url.Parse(p.Issuer)
	if err != nil || len(p.Issuer) > 1024 || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(p.Issuer, "?# \\") {
		return invalid("The issuer must be an https address without query and fragment.")
	}
	if err := CheckRequired("The name of the identity provider", p.Name, 60); err != nil {
		return err
	}
	if err := CheckRequired("The client id", p.ClientID, 255); err != nil {
		return err
	}
	if len(p.Scopes) > 20 || len(p.Domains) > 100 {
		return invalid("An identity provider has at most 20 scopes and 100 domains.")
	}
	for _, s := range p.Scopes {
		if s == "" || len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return invalid("This is no scope: " + fault.Quote(s) + ".")
		}
	}
	for _, c := range []string{p.Claims.UserName, p.Claims.Mail, p.Claims.DisplayName} {
		if err := CheckText("The name of a claim", c, 128); err != nil {
			return err
		}
	}
	for _, d := range p.Domains {
		if err := CheckDomain(d); err != nil {
			return err
		}
	}
	if p.Signs && len(p.Secret) > 0 {
		return invalid("This directory proves itself there by a secret or by a signature, not by both.")
	}
	if p.Create && len(p.Domains) == 0 {
		return invalid("Name the domains in which the identity provider may create users: nobody else's name must be taken.")
	}
	return nil
}

// Owns reports whether the provider may create a user of that name.
func (p *Provider) Owns(name string) bool {
	_, domain, ok := strings.Cut(name, "@")
	return ok && p.Create && slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}
