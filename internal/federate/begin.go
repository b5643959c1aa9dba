package federate

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
)

// kindTicket are sign-ins that are on their way through a provider.
const kindTicket = "upstream"

// maxNext bounds where a sign-in goes on to, in bytes.
const maxNext = 48 << 10

// Begin is a sign-in through a provider as it starts.
type Begin struct {
	Provider directory.ProviderID
	// Browser is a random value that only this browser has (a cookie): who brings
	// the answer must be who asked.
	Browser string
	Next    string // where to go on, for the surface
	// Fresh asks for a proof newer than this, whatever session the provider has.
	Fresh bool
	// Link is who is signed in and wants to link an account; nil: this is a sign-in.
	Link *signin.Signed
}

// ticket is what is kept of a sign-in on its way. What must stay secret is not in
// it: verifier and nonce are derived from the state, of which the row has the hash.
type ticket struct {
	Provider directory.ProviderID `json:"provider"`
	Version  int64                `json:"version"` // of the registration
	Browser  []byte               `json:"browser"` // SHA-256
	Next     string               `json:"next,omitempty"`
	Fresh    bool                 `json:"fresh,omitempty"`
	Began    time.Time            `json:"began"`
	// Session is the one in which an account is being linked; zero: a sign-in.
	Session directory.SessionID `json:"session,omitzero"`
}

// Begin starts a sign-in and returns where the browser goes. Kinds: NotFound,
// Denied (an account may be linked only by who has just signed in), Invalid,
// Unavailable.
func (s *Service) Begin(ctx context.Context, b Begin) (string, error) {
	if b.Browser == "" || len(b.Next) > maxNext {
		return "", fault.New(fault.Invalid, "That sign-in cannot be started.")
	}
	sum := sha256.Sum256([]byte(b.Browser))
	t := ticket{Provider: b.Provider, Browser: sum[:], Next: b.Next, Fresh: b.Fresh}
	if b.Link != nil {
		t.Session, t.Fresh = b.Link.Session.ID, true
	}
	return s.begin(ctx, t, b.Link)
}

func (s *Service) begin(ctx context.Context, t ticket, link *signin.Signed) (string, error) {
	state := rand.Text()
	var p *directory.Provider
	err := s.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if p, err = enabled(tx, t.Provider); err != nil {
			return err
		}
		t.Version, t.Began = p.Version, tx.Now
		row := &store.Ticket{Hash: sha256.Sum256([]byte(state)), Kind: kindTicket, Expires: tx.Now.Add(grant.DefaultLifetimes().Ticket)}
		if link != nil {
			tx.By(store.By{Actor: link.Actor})
			if tx.Now.Sub(link.Actor.AuthTime) > freshProof {
				return fault.New(fault.Denied, "To link an account, sign in again first: your last proof of who you are is older than 10 minutes.")
			}
			row.User = link.User.ID
		}
		doc, err := json.Marshal(t)
		if err != nil {
			return err
		}
		row.Doc = string(doc)
		return tx.CreateTicket(row) // born at the head
	})
	if err != nil {
		return "", err
	}
	return s.Upstream.Authorize(ctx, p, s.request(t, state))
}

// request is what is sent to the provider, and has to be answered.
func (s *Service) request(t ticket, state string) upstream.Request {
	return upstream.Request{Redirect: s.redirect(t.Provider), State: state, Nonce: s.derived("nonce", state), Verifier: s.derived("verifier", state), Force: t.Fresh}
}

func (s *Service) derived(what, state string) string {
	m := hmac.New(sha256.New, s.Keys.Derive("upstream sign-in"))
	m.Write([]byte(what + "\x00" + state))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// enabled is a provider through which people may sign in now.
func enabled(tx *store.Tx, id directory.ProviderID) (*directory.Provider, error) {
	p, err := tx.HoldProvider(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || !p.Enabled {
		return nil, fault.New(fault.NotFound, "There is no such way to sign in.")
	}
	return p, nil
}
