package issue

import (
	"errors"

	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/standing"
)

// Error is what OAuth calls an error.
type Error = clientauth.Error

func refuse(kind fault.Kind, code string, number int, sub, public string) error {
	return fault.Wrap(kind, public, &Error{Code: code, Number: number, Sub: sub})
}

// The refusals that more than one grant type gives.
var (
	errClient = clientauth.ErrClient
	errCode   = refuse(fault.Invalid, "invalid_grant", 70008, "bad_token", "The code is not valid: it is unknown, has expired, or was made for another client.")
	// Entra's AADSTS50105.
	errUnassigned = refuse(fault.Denied, "access_denied", 50105, "", "The application lets only people in who are assigned to it, and this account is not. Ask an administrator or the owner of the application.")
	errGrant      = refuse(fault.Revoked, "invalid_grant", 70000, "bad_token", "The refresh token is not valid.")
)

// dead is the answer for a grant, code or session that is no longer good. The
// numbers are those administrators search for; the suberror makes clients drop
// what they hold.
func dead(causes []standing.Cause) error {
	d := &standing.Dead{Causes: causes}
	number, text := 50173, "The grant was revoked. Sign in again."
	switch {
	case d.Has(standing.Deleted) || d.Has(standing.Unknown):
		number, text = 50034, "The account does not exist any more."
	case d.Has(standing.Disabled):
		number, text = 50057, "The account is disabled."
	case d.Has(standing.AppDisabled) || d.Has(standing.AppDeleted):
		return fault.Wrap(fault.Revoked, "The application is disabled.", errors.Join(d, &Error{Code: "unauthorized_client", Number: 7000112}))
	case d.Has(standing.Unassigned):
		number, text = 50105, "The account is not assigned to the application any more."
	case d.Has(standing.DeviceDisabled) || d.Has(standing.DeviceLost):
		number, text = 135011, "The device is disabled."
	case d.Has(standing.Over): // before idle: what is over is never used again either
		number, text = 700084, "The grant has reached its end. Sign in again."
	case d.Has(standing.Idle):
		number, text = 700082, "The refresh token was not used for too long. Sign in again."
	}
	return fault.Wrap(fault.Revoked, text, errors.Join(d, &Error{Code: "invalid_grant", Number: number, Sub: "bad_token"}))
}
