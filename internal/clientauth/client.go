package clientauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/proof"
	"github.com/curfew-id/curfew/internal/store"
)

// Credentials are what a client presents to prove who it is. Secret and Assertion
// exclude each other; a certificate may come beside them, to bind tokens to.
type Credentials struct {
	ID        directory.AppID // may be empty with an assertion, which names the client
	Secret    string          // empty: none was sent
	Assertion string          // signed by the client (RFC 7523), for the issuer where it is presented
	Issuer    grant.Issuer
	// Directory is the directory's name in the address that was asked, as the
	// client wrote it and the surface has found it to be one of ours; empty: none.
	Directory string
	// Certificate is the one of the connection (RFC 8705), whose key the peer has
	// proven to hold; nil: none.
	Certificate *x509.Certificate
	IP          string // where it came from
}

// Client is an authenticated client.
type Client struct {
	*directory.App
	by credential
}

// Still reports whether app, as read inside a transaction, would authenticate
// the client as well: a secret or key may have been removed meanwhile.
func (c *Client) Still(app *directory.App, now time.Time) bool {
	if app.ID != c.ID || app.Object != c.Object {
		return false
	}
	return app.Version == c.Version || c.by.opens(app, now)
}

// A credential is what a client has proven itself with: nothing, a secret, an
// assertion or a certificate.
type credential interface {
	// opens reports whether an application's registration takes the credential now.
	opens(app *directory.App, now time.Time) bool
}

// nothing is what public clients present.
type nothing struct{}

func (nothing) opens(app *directory.App, _ time.Time) bool { return app.Public }

// secret is the SHA-256 of a client secret.
type secret [sha256.Size]byte

func (x secret) opens(app *directory.App, now time.Time) bool {
	if app.Public {
		return false
	}
	ok := 0
	for _, have := range app.Secrets {
		if have.Expires.IsZero() || now.Before(have.Expires) {
			ok |= subtle.ConstantTimeCompare(have.Hash, x[:])
		}
	}
	return ok == 1
}

// assertion is a client assertion that was verified.
type assertion struct {
	keySource
	token string
	want  proof.Assertion
}

func (x *assertion) opens(app *directory.App, now time.Time) bool {
	if app.Public || app.KeysURI != x.uri {
		return false
	}
	want := x.want
	want.Strict, want.Now = app.RequirePAR, now
	_, err := want.Verify(x.token, x.of(app, now))
	return err == nil
}

// certificate is a client certificate that was found among the client's keys.
type certificate struct {
	keySource
	sum  [sha256.Size]byte
	ends time.Time
}

func (x *certificate) opens(app *directory.App, now time.Time) bool {
	if app.Public || app.KeysURI != x.uri || !now.Before(x.ends) {
		return false
	}
	return x.of(app, now).Certificate(x.sum)
}

// Verifier is what the clients of one issuer are authenticated with.
type Verifier struct {
	DB *store.DB
	// Issuer and TokenURLs are the audiences an assertion may be for.
	Issuer    string
	TokenURLs []string
	Published *Published // keys that clients publish
	Now       func() time.Time
}

// Named returns the client that credentials name. Kinds: Unauthenticated.
func Named(c Credentials) (directory.AppID, error) {
	if c.ID != "" || c.Assertion == "" {
		return c.ID, nil
	}
	u, err := proof.Peek(c.Assertion)
	if err != nil {
		return "", badAssertion(err)
	}
	return directory.AppID(u.Subject), nil
}

// Verify authenticates app, the client that c names. A public one must present
// nothing, a confidential one must prove who it is in one of the ways it is
// registered for. An assertion is good once. A disabled application is told so
// only when it has proven who it is. Kinds: Unauthenticated, Unavailable, and
// [ErrDisabled].
func (v *Verifier) Verify(ctx context.Context, app *directory.App, c Credentials) (*Client, error) {
	client := &Client{App: app}
	var claims *proof.Claims
	var err error
	switch {
	case c.Assertion != "":
		client.by, claims, err = v.asserted(ctx, app, c)
	case c.Secret != "":
		if client.by = secret(sha256.Sum256([]byte(c.Secret))); !client.by.opens(app, v.Now()) {
			err = ErrClient
		}
	case app.Public:
		client.by = nothing{}
	case c.Certificate != nil:
		client.by, err = v.certified(ctx, app, c.Certificate)
	default:
		err = refuse(7000218, "This client must authenticate: send its secret, a client assertion or a certificate.")
	}
	switch {
	case err != nil:
		return nil, err
	case !app.Enabled:
		return nil, ErrDisabled
	case claims != nil:
		err = v.spend(ctx, app, claims, c.IP)
	}
	if err != nil {
		return nil, err
	}
	return client, nil
}

// asserted verifies a client assertion.
func (v *Verifier) asserted(ctx context.Context, app *directory.App, c Credentials) (credential, *proof.Claims, error) {
	if app.Public {
		return nil, nil, refuse(700025, "This client is public: it must not send a client assertion.")
	}
	x := &assertion{token: c.Assertion, want: proof.Assertion{Client: string(app.ID), Issuer: v.Issuer, TokenURLs: v.TokenURLs, Strict: app.RequirePAR, Now: v.Now()}}
	var claims *proof.Claims
	err := v.withKeys(ctx, app, &x.keySource, func(keys *proof.Keys) (err error) {
		claims, err = x.want.Verify(c.Assertion, keys)
		return err
	})
	var r *proof.Refusal
	if errors.As(err, &r) {
		return nil, nil, badAssertion(err)
	}
	return x, claims, err
}

// certified finds the certificate of a connection among the client's keys
// (RFC 8705 §2.2). Who signed it does not matter, only that it was registered.
func (v *Verifier) certified(ctx context.Context, app *directory.App, cert *x509.Certificate) (credential, error) {
	x := &certificate{sum: sha256.Sum256(cert.Raw), ends: cert.NotAfter}
	err := v.withKeys(ctx, app, &x.keySource, func(keys *proof.Keys) error {
		if !keys.Certificate(x.sum) {
			return proof.ErrKey
		}
		return nil
	})
	switch {
	case errors.Is(err, proof.ErrKey):
		return nil, refuse(7000218, "This client must authenticate, and the certificate of the connection is not one that is registered for it.")
	case err == nil && !v.Now().Before(x.ends):
		return nil, refuse(700024, "The certificate of the connection has expired.")
	}
	return x, err
}

// badAssertion tells which check an assertion did not pass, under the number
// Entra has for it.
func badAssertion(err error) error {
	var r *proof.Refusal
	if !errors.As(err, &r) {
		return err
	}
	number := 50027
	for why, n := range map[error]int{proof.ErrSignature: 700027, proof.ErrKey: 700027, proof.ErrIssuer: 700021, proof.ErrSubject: 700021, proof.ErrAudience: 700023, proof.ErrTime: 700024} {
		if errors.Is(err, why) {
			number = n
		}
	}
	return refuse(number, "The client assertion is not accepted: "+r.Text+".")
}

const kindJTI = "jti"

// errReplay: the second use of an assertion.
var errReplay = refuse(700027, "The client assertion was used before. Sign a new one for each request.")

// repeatable bounds the life of an assertion that may come more than once.
const repeatable = 10 * time.Minute

// spend writes down that an assertion was used, for all nodes, for as long as it
// could be used again. Microsoft's library for Node.js sends one assertion again
// and again for the ten minutes it lives: those that name a certificate, are for
// the token endpoint and live no longer may repeat, but only from the network
// that sent them first.
func (v *Verifier) spend(ctx context.Context, app *directory.App, c *proof.Claims, ip string) error {
	t := &store.Ticket{Hash: sha256.Sum256([]byte(kindJTI + "\x00" + app.Object.String() + "\x00" + c.JTI)), Kind: kindJTI, App: app.ID, Expires: c.Expires.Add(proof.Leeway)}
	if network := grant.NetworkOf(ip); c.ByCertificate && !app.RequirePAR && network.IsValid() && !c.NotBefore.IsZero() && c.Expires.Sub(c.NotBefore) <= repeatable {
		t.Doc = network.String()
	}
	use := func(tx *store.Tx) error {
		was, err := tx.Ticket(kindJTI, t.Hash)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return tx.CreateTicket(t)
		case err == nil && (was.Doc == "" || was.Doc != t.Doc):
			return errReplay
		}
		return err
	}
	err := v.DB.Update(ctx, use)
	if errors.Is(err, store.ErrDuplicate) { // two came at once
		err = v.DB.Update(ctx, use)
	}
	return err
}
