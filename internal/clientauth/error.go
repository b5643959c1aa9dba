package clientauth

import "github.com/curfew-id/curfew/internal/fault"

// Error is what OAuth calls an error: the code of RFC 6749 §5.2 and its
// relatives, with the number and the suberror Microsoft's libraries look for
// (reference/entra.md §6). It stands behind a fault; surfaces find it with
// errors.As.
type Error struct {
	Code   string // "invalid_grant"
	Number int    // AADSTS number, 0: none fits
	Sub    string // "bad_token"
	// Claims is what the client is to send to the authorization endpoint; empty: nothing.
	Claims string
}

// Error names the code, for logs.
func (e *Error) Error() string { return e.Code }

// refuse says why a client is not who it says.
func refuse(number int, public string) error {
	return fault.Wrap(fault.Unauthenticated, public, &Error{Code: "invalid_client", Number: number})
}

var (
	// ErrClient does not tell whether there is such a client.
	ErrClient = refuse(7000215, "The client is unknown, or its secret is not right.")
	// ErrDisabled: the client is who it says, and disabled.
	ErrDisabled = fault.New(fault.Revoked, "The application is disabled.")
)
