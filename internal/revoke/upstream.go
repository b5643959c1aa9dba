package revoke

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Kinds of tickets: logout tokens that were followed, for as long as they could come
// again; and what a provider has ended, for as long as a sign-in may be half-finished.
const (
	kindLogout = "logout"
	kindEnded  = "ended"
)

// endedFor is how long it is remembered that a provider ended a session: no
// sign-in through it takes longer.
const endedFor = time.Hour

// LoggedOut ends the sessions that came through a provider because it says that its
// own have ended: those of its session sid, or, with an empty one, of its subject.
// As when somebody signs out, grants with offline_access stay (Back-Channel Logout
// 1.0 §2.7). An order is good once. It returns how many sessions ended. Kinds: Invalid
// (used before), Unauthenticated (not, or not any more, a provider), Unavailable.
func (s *Service) LoggedOut(ctx context.Context, o Order, subject, sid string) (ended int, err error) {
	actor := directory.Actor{Provider: o.Provider.ID, Name: o.Provider.Name, IP: o.IP, Request: o.Request}
	var cuts []*store.Cut
	err = s.DB.Urgent(ctx, func(tx *store.Tx) error {
		cuts = nil
		tx.By(store.By{Actor: actor, Reason: "Logout at " + o.Provider.Name})
		p, err := tx.LockProvider(o.Provider.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && (!p.Enabled || p.Version != o.Provider.Version) {
			return errProvider
		}
		if err != nil {
			return err
		}
		once := &store.Ticket{Hash: ticketHash(kindLogout, p.ID, o.JTI), Kind: kindLogout, Expires: o.Expires}
		if _, err := tx.Ticket(kindLogout, once.Hash); err == nil {
			return errLogout
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.CreateTicket(once); errors.Is(err, store.ErrDuplicate) { // two came at once
			return errLogout
		} else if err != nil {
			return err
		}
		if err := remember(tx, p.ID, subject, sid); err != nil {
			return err
		}
		var whose directory.UserID
		if subject != "" {
			l, err := tx.Linked(p.ID, subject)
			if errors.Is(err, store.ErrNotFound) {
				return nil // nobody here: nothing is left to end
			}
			if err != nil {
				return err
			}
			whose = l.User
		}
		all, err := tx.SessionsThrough(p.ID, sid, whose)
		if err != nil {
			return err
		}
		for _, x := range all {
			u, err := tx.User(x.User)
			if err != nil {
				return err
			}
			c, err := s.cutSession(tx, x, u, standing.LoggedOutThere)
			if err != nil {
				return err
			}
			if c != nil {
				cuts = append(cuts, c)
			}
		}
		tx.Audit(audit.Record{Action: "Back-channel logout", Target: store.ProviderParty(p)})
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, c := range cuts {
		s.Counted(ctx, c, "")
	}
	return len(cuts), nil
}

var errLogout = fault.New(fault.Invalid, "The logout token was used before.")

func ticketHash(kind string, p directory.ProviderID, what string) [32]byte {
	return sha256.Sum256([]byte(kind + "\x00" + string(p) + "\x00" + what))
}

// what a provider ended: its session, or, when it named none, all of a subject's.
func endedKey(subject, sid string) string {
	if sid != "" {
		return "sid\x00" + sid
	}
	return "sub\x00" + subject
}

// remember notes what a provider has ended, for sign-ins that are half-finished.
func remember(tx *store.Tx, p directory.ProviderID, subject, sid string) error {
	at, err := json.Marshal(tx.Now)
	if err != nil {
		return err
	}
	t := &store.Ticket{Hash: ticketHash(kindEnded, p, endedKey(subject, sid)), Kind: kindEnded, Expires: tx.Now.Add(endedFor), Doc: string(at)}
	if err := tx.DeleteTicket(t.Hash); err != nil { // the newest counts, for its own time
		return err
	}
	return tx.CreateTicket(t)
}

// EndedMeanwhile reports whether a provider has ended its session sid, or all of its
// subject's, since a sign-in through it began, at that instant under the head born.
// The caller holds the provider. Where no line lies between the two, the clock
// decides; who is a moment too early starts again.
func EndedMeanwhile(tx *store.Tx, p directory.ProviderID, subject, sid string, born cutoff.Pos, began time.Time) (bool, error) {
	for _, key := range []string{endedKey(subject, ""), endedKey("", sid)} {
		t, err := tx.Ticket(kindEnded, ticketHash(kindEnded, p, key))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		var at time.Time
		if err != nil || json.Unmarshal([]byte(t.Doc), &at) != nil {
			return true, err
		}
		if t.Born > born || t.Born == born && !at.Before(began) {
			return true, nil
		}
	}
	return false, nil
}
