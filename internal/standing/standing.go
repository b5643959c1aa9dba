package standing

import (
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// Cause is why something is no longer good, or why a ledger line was written.
type Cause string

// The causes. The first group ends things by a cutoff; the second is judged
// from facts at each use.
const (
	Revoked          Cause = "revoked"           // by an administrator or by the person
	Disabled         Cause = "disabled"          // the account
	Deleted          Cause = "deleted"           // the account
	PasswordChanged  Cause = "password_changed"  // by the person
	PasswordReset    Cause = "password_reset"    // by an administrator
	RightsRemoved    Cause = "rights_removed"    // a role, or a group that carries rights
	SignedOut        Cause = "signed_out"        // this browser session
	Reused           Cause = "reused"            // an old refresh token or code was used again
	AppDisabled      Cause = "app_disabled"      // the application
	AppDeleted       Cause = "app_deleted"       //
	AppNarrowed      Cause = "app_narrowed"      // a permission of the application was removed
	SecretRemoved    Cause = "secret_removed"    // app-only tokens of that application
	ConsentWithdrawn Cause = "consent_withdrawn" //
	DeviceLost       Cause = "device_lost"       // somebody said so
	DeviceDisabled   Cause = "device_disabled"   //
	DeviceDeleted    Cause = "device_deleted"    //
	HistoryLost      Cause = "history_lost"      // a backup was restored, or a standby had missed commits
	KeyDropped       Cause = "key_dropped"       // a signing key that somebody else may hold

	ProviderDisabled Cause = "provider_disabled" // the identity provider that proved who it is; or it was deleted
	Unlinked         Cause = "unlinked"          // from the identity provider that proved who it is

	MethodRemoved  Cause = "method_removed"  // a second factor, by the person
	MethodReset    Cause = "method_reset"    // a second factor, by an administrator
	PolicyBlocks   Cause = "policy_blocks"   // conditional access lets nothing help
	PolicyAsks     Cause = "policy_asks"     // conditional access demands what was not given
	PolicyLifetime Cause = "policy_lifetime" // the proof is older than conditional access allows

	Unassigned Cause = "unassigned" // the application lets only people in who are assigned to it

	Idle     Cause = "idle"     // not used for too long
	Over     Cause = "over"     // the absolute end is past
	Unknown  Cause = "unknown"  // the user or the application is not there
	Orphaned Cause = "orphaned" // what it was made from, or its session, is not there any more

	// Causes of lines that end nothing.
	Enabled         Cause = "enabled"          // the account
	RightsAdded     Cause = "rights_added"     //
	AppChanged      Cause = "app_changed"      // caches of registrations must be read anew
	KeysChanged     Cause = "keys_changed"     // a signing key was published, timed or withdrawn
	SettingsChanged Cause = "settings_changed" // of the directory
	ProviderChanged Cause = "provider_changed" // registered, enabled or changed
	Linked          Cause = "linked"           // somebody, to another identity provider
	PoliciesChanged Cause = "policy_changed"   // of conditional access: what was born before must be judged again
	MethodAdded     Cause = "method_added"     // a second factor, by whomever
	RiskAltered     Cause = "risk_changed"     // of the account: what is the person's must be judged again
	DeviceAltered   Cause = "device_changed"   // enabled, or found compliant or not
)

// Cut is a cutoff that covers the artefact and lies after its birth.
type Cut struct {
	Scope cutoff.Scope
	Pos   cutoff.Pos
	Cause Cause
}

// Facts are what is known about one artefact and those it belongs to.
type Facts struct {
	Now  time.Time
	User *directory.User // nil: not found
	// App is the client; NeedsApp says that the artefact belongs to one.
	App      *directory.App
	NeedsApp bool
	// Unassigned: App lets only people in who are assigned to it, and User is not.
	Unassigned bool
	Ends       time.Time // when it ends by itself unless used: idle
	End        time.Time // absolute; zero: none
	Cuts       []Cut     // all that cover it and lie after its birth
	// Above are the grants that this one was made from, and the session that it
	// ends with: none of them does it outlive. Orphan says that one of them was
	// not found.
	Above  []Facts
	Orphan bool
	// Policy is what conditional access says of this use; nil: it has no say here.
	Policy *policy.Verdict
}

// Check lists all causes for which the artefact is no longer good. None means
// that it is good.
func Check(f Facts) []Cause {
	var c []Cause
	for _, cut := range f.Cuts {
		c = add(c, cut.Cause)
	}
	switch {
	case f.User == nil:
		c = add(c, Unknown)
	case !f.User.Deleted.IsZero():
		c = add(c, Deleted)
	case !f.User.Enabled:
		c = add(c, Disabled)
	}
	if f.NeedsApp {
		switch {
		case f.App == nil:
			c = add(c, AppDeleted)
		case !f.App.Enabled:
			c = add(c, AppDisabled)
		}
	}
	if f.Unassigned {
		c = add(c, Unassigned)
	}
	if !f.Ends.IsZero() && !f.Now.Before(f.Ends) {
		c = add(c, Idle)
	}
	if !f.End.IsZero() && !f.Now.Before(f.End) {
		c = add(c, Over)
	}
	if f.Policy != nil {
		c = append(c, Verdict(f.Policy)...)
	}
	for _, a := range f.Above {
		for _, cause := range Check(a) {
			c = add(c, cause)
		}
	}
	if f.Orphan {
		c = add(c, Orphaned)
	}
	return c
}

// Verdict are the causes that a verdict of conditional access comes to.
func Verdict(v *policy.Verdict) (c []Cause) {
	const proofs = policy.NeedSignIn | policy.NeedSecond
	switch {
	case v.Decision == policy.Block:
		return []Cause{PolicyBlocks}
	case v.Decision == policy.Allow:
		return nil
	}
	if v.Needs&^proofs != 0 || v.Needs == 0 {
		c = append(c, PolicyAsks)
	}
	if v.Needs&proofs != 0 {
		c = append(c, PolicyLifetime)
	}
	return c
}

func add(c []Cause, x Cause) []Cause {
	for _, have := range c {
		if have == x {
			return c
		}
	}
	return append(c, x)
}

// Dead is the error of an artefact that is no longer good. Surfaces find it
// with errors.As behind a fault of kind Revoked and put the causes into their
// own codes.
type Dead struct{ Causes []Cause }

// Error lists the causes, for logs.
func (d *Dead) Error() string {
	s := make([]string, len(d.Causes))
	for i, c := range d.Causes {
		s[i] = string(c)
	}
	return "no longer good: " + strings.Join(s, ", ")
}

// Has reports whether c is among the causes.
func (d *Dead) Has(c Cause) bool {
	for _, x := range d.Causes {
		if x == c {
			return true
		}
	}
	return false
}
