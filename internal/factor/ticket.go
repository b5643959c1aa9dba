package factor

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Kinds of tickets: what was begun in one request, to be ended in another.
const (
	enrolTOTP    = "enrol-totp"
	enrolPasskey = "enrol-passkey"
	assertion    = "assertion"
	entrance     = "passkey-sign-in"
)

// life of a ticket.
const life = 10 * time.Minute

// errand is what a ticket holds. It is one session's, or before there is one, one
// browser's.
type errand struct {
	Session directory.SessionID   `json:"session,omitzero"`
	Browser []byte                `json:"browser,omitempty"` // SHA-256 of what only this browser brings along
	Sealed  []byte                `json:"sealed,omitempty"`  // secret of an authenticator app
	Web     *webauthn.SessionData `json:"web,omitempty"`     // of a ceremony, the challenge in it
}

// begin hands out a ticket, born at the head of this transaction.
func begin(tx *store.Tx, kind string, user directory.UserID, e errand) (value string, err error) {
	doc, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	value, hash := signin.NewSecret()
	return value, tx.CreateTicket(&store.Ticket{Hash: hash, Kind: kind, User: user, Expires: tx.Now.Add(life), Doc: string(doc)})
}

func ticketOver() error {
	return fault.Wrap(fault.Revoked, "This took too long, or was done already. Start again.", &standing.Dead{Causes: []standing.Cause{standing.Over}})
}

// find reads a ticket and judges it: unused, unexpired, of this session or browser,
// and not cut since its birth.
func find(tx *store.Tx, kind, value string, session directory.SessionID, browser string) (*store.Ticket, *errand, error) {
	t, err := tx.Ticket(kind, signin.HashSecret(value))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, ticketOver()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read ticket: %w", err)
	}
	e := &errand{}
	if !t.Used.IsZero() || !tx.Now.Before(t.Expires) || json.Unmarshal([]byte(t.Doc), e) != nil || e.Session != session {
		return nil, nil, ticketOver()
	}
	if session.IsZero() && subtle.ConstantTimeCompare(e.Browser, bound(browser)) != 1 {
		return nil, nil, ticketOver()
	}
	cuts, err := tx.CutsAfter(directory.Belongs(t.User, session, directory.GrantID{}, "", directory.DeviceID{}), cutoff.Browser, t.Born)
	if err != nil {
		return nil, nil, fmt.Errorf("read cutoffs of a ticket: %w", err)
	}
	if len(cuts) > 0 {
		return nil, nil, fault.Wrap(fault.Revoked, "This sign-in is over. Sign in again.", &standing.Dead{Causes: causes(cuts)})
	}
	return t, e, nil
}

func causes(cuts []standing.Cut) (out []standing.Cause) {
	for _, c := range cuts {
		out = append(out, c.Cause)
	}
	return out
}

// spend makes a ticket good for nothing more.
func spend(tx *store.Tx, t *store.Ticket) error {
	t.Used = tx.Now
	return tx.SaveTicket(t)
}

// bound is the form in which a ticket knows its browser. Without anything to know it
// by there is no form.
func bound(browser string) []byte {
	if browser == "" {
		return nil
	}
	h := sha256.Sum256([]byte(browser))
	return h[:]
}
