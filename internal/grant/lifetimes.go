package grant

import "time"

// Lifetimes are the lives of artefacts. Every field must be positive but for
// GrantAbsolute, where zero means no absolute end.
type Lifetimes struct {
	SessionIdle     time.Duration // browser session, not kept signed in
	SessionKept     time.Duration // the same, kept signed in
	SessionAbsolute time.Duration // any browser session, from sign-in
	GrantIdle       time.Duration // refresh token, unused
	GrantAbsolute   time.Duration // refresh token family, from consent
	AccessToken     time.Duration
	IDToken         time.Duration
	Code            time.Duration // authorization code
	DeviceCode      time.Duration
	Ticket          time.Duration // a half-finished sign-in, a stored request
	RetryWindow     time.Duration // of a refresh token whose answer was lost
	Deadline        time.Duration // of a token request, from its body's last byte
}

// DefaultLifetimes are those of a directory without policies, as people know
// them from Entra (reference: refresh tokens 90 days unused, access tokens an hour).
func DefaultLifetimes() Lifetimes {
	return Lifetimes{
		SessionIdle:     24 * time.Hour,
		SessionKept:     90 * 24 * time.Hour,
		SessionAbsolute: 180 * 24 * time.Hour,
		GrantIdle:       90 * 24 * time.Hour,
		AccessToken:     time.Hour,
		IDToken:         time.Hour,
		Code:            time.Minute,
		DeviceCode:      15 * time.Minute,
		Ticket:          10 * time.Minute,
		RetryWindow:     time.Minute,
		Deadline:        30 * time.Second,
	}
}
