package directory

import (
	"slices"
	"time"
)

// MethodKind is what kind of thing a method is.
type MethodKind string

// The kinds.
const (
	MethodTOTP    MethodKind = "totp"    // codes of an authenticator app
	MethodPasskey MethodKind = "passkey" // a key that knows its owner: two factors by itself
	MethodCodes   MethodKind = "codes"   // one set of recovery codes
	MethodPass    MethodKind = "pass"    // temporary access pass, from an administrator
)

// Method is a way in which a person proves who they are beside the password.
type Method struct {
	ID   MethodID
	User UserID
	Kind MethodKind
	Name string // as its owner calls it
	// Lookup finds a passkey: the SHA-256 of its credential id; zero: none.
	Lookup  [32]byte
	Created time.Time
	Used    time.Time // zero: never
	Expires time.Time // zero: never
	// Counter is what must not be used twice: the last step of TOTP, the sign counter
	// of a passkey, how many codes or tries are used up.
	Counter int64
	Doc     string // JSON, internal/factor's; secrets in it are sealed or hashed
}

// Live reports whether the method is not over by its time.
func (m *Method) Live(now time.Time) bool { return m.Expires.IsZero() || now.Before(m.Expires) }

// HasMethod reports whether one of the methods is live and of one of the kinds.
func HasMethod(all []*Method, now time.Time, kinds ...MethodKind) bool {
	return slices.ContainsFunc(all, func(m *Method) bool { return m.Live(now) && slices.Contains(kinds, m.Kind) })
}
