package revoke

import (
	"fmt"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// What people do to what is their own appends a line, and every line wakes every
// guard. So everybody has an allowance, of the same size for each sort of act:
// this many at once, and one more each time this long has passed.
//
// It does not matter what roles somebody holds, only whose it is: who ends what
// is somebody else's is not counted, and a role gives nobody more of their own.
const (
	paceAtOnce = 10
	paceEvery  = 30 * time.Second
)

// Each grant can make one line, when it is given back or its token is used twice,
// and that is never refused. So what is limited is how often somebody gets one. The
// allowance is wide: a thief who has used it up must not keep the owner from
// signing in again after a revoke, and people who are used by scripts have many.
const (
	grantsAtOnce = 1000
	grantsEvery  = 100 * time.Millisecond
)

// The sorts of acts. They do not count together, because they take different
// things: whoever holds a copied cookie can end this and that again and again; a
// sign-out costs a sign-in each time; a change of the password costs the
// password. So a thief who uses up the first leaves the owner the last, which
// ends the thief's session too. Nor does one sort wait for another's row.
const (
	ownActs      = "acts" // oneself revoked; one's own session, grant, application or consent ended
	ownSignOuts  = "sign-outs"
	ownPasswords = "passwords"
	ownMethods   = "methods" // registered, removed or renamed
	newGrants    = "grants"
)

// TooMany is the error behind a fault of kind Limited: from Until on another try
// is let through.
type TooMany struct{ Until time.Time }

// Error says until when, for logs.
func (t *TooMany) Error() string { return "until " + t.Until.UTC().Format(time.RFC3339) }

// Pace counts an act of the actor that ends something of owner's and appends a
// line, if it is the actor's own. It comes before any row is locked. Kinds:
// Limited with *TooMany.
func Pace(tx *store.Tx, actor directory.Actor, owner directory.UserID) error {
	if owner.IsZero() || actor.User != owner {
		return nil
	}
	return pace(tx, owner, ownActs, paceAtOnce, paceEvery, "You have ended sessions or access of yours too often. Nothing was changed. Try again in %s. If it is urgent, change your password: that ends everything else.")
}

// PacePassword counts a change of the own password by somebody who has just
// proven the old one. Otherwise as Pace.
func PacePassword(tx *store.Tx, owner directory.UserID) error {
	return pace(tx, owner, ownPasswords, paceAtOnce, paceEvery, "You have changed your password too often. Nothing was changed. Try again in %s.")
}

// PaceMethods counts a change of the own methods of proof. Otherwise as Pace.
func PaceMethods(tx *store.Tx, owner directory.UserID) error {
	return pace(tx, owner, ownMethods, paceAtOnce, paceEvery, "You have changed your methods too often. Nothing was changed. Try again in %s.")
}

// PaceGrant counts a grant that a person gives by signing in to an application.
// Kinds as Pace.
func PaceGrant(tx *store.Tx, owner directory.UserID) error {
	return pace(tx, owner, newGrants, grantsAtOnce, grantsEvery, "This account has signed in to applications too often. Try again in %s.")
}

// pace takes a place; sentence says what is refused, with a gap for the wait.
func pace(tx *store.Tx, owner directory.UserID, sort string, atOnce int, every time.Duration, sentence string) error {
	next, err := tx.Pace(owner, sort, atOnce, every)
	if err != nil {
		return fmt.Errorf("count an act of user %s: %w", owner, err)
	}
	if next.IsZero() {
		return nil
	}
	wait := "a second"
	if n := (next.Sub(tx.Now) + time.Second - 1) / time.Second; n > 1 {
		wait = fmt.Sprintf("%d seconds", n)
	}
	return fault.Wrap(fault.Limited, fmt.Sprintf(sentence, wait), &TooMany{Until: next})
}
