package cutoff

import (
	"errors"
	"fmt"
)

// Pos is a position in the ledger: 1, 2, 3 … in commit order, 0 before the
// first line. It fits 53 bits, so that it survives JSON readers that use
// floating point.
type Pos int64

// MaxPos is the largest position there can be.
const MaxPos Pos = 1<<53 - 1

// Scope says what kind of thing a cutoff covers.
type Scope uint8

// The scopes. The zero Scope is invalid.
const (
	All     Scope = iota + 1 // the whole directory; the ID is empty
	User                     // a person or a service account, by object id
	Session                  // one browser session and what ends with it
	Grant                    // one family of refresh tokens and its access tokens
	App                      // a client, by client_id
	UserApp                  // one user in one client; see UserAppID
	Device                   // everything bound to one device
	scopes
)

var scopeNames = [scopes]string{All: "all", User: "user", Session: "session", Grant: "grant", App: "app", UserApp: "user_app", Device: "device"}

// String returns the name the scope has on the wire.
func (s Scope) String() string {
	if s == 0 || s >= scopes {
		return fmt.Sprintf("scope(%d)", uint8(s))
	}
	return scopeNames[s]
}

// MarshalText writes the wire name. An invalid scope is an error.
func (s Scope) MarshalText() ([]byte, error) {
	if s == 0 || s >= scopes {
		return nil, fmt.Errorf("cutoff: invalid scope %d", uint8(s))
	}
	return []byte(scopeNames[s]), nil
}

// UnmarshalText reads a wire name. An unknown one is an error: a reader that
// does not know a scope must refuse to go on, not skip it.
func (s *Scope) UnmarshalText(b []byte) error {
	for i, n := range scopeNames {
		if i > 0 && n == string(b) {
			*s = Scope(i)
			return nil
		}
	}
	return fmt.Errorf("cutoff: unknown scope %q", b)
}

// Reach says which artefacts of the scope a cutoff covers.
type Reach uint8

// The reaches. The zero Reach is invalid.
const (
	// Everything covers browser sessions, codes, tickets, grants and tokens.
	Everything Reach = iota + 1
	// Tokens covers grants and access tokens only. Browser sessions stay, and
	// codes too, because their exchange judges anew (as after a role change).
	Tokens
	// Judge ends nothing: access tokens born before are judged again by the
	// server before they are accepted, as after a change of policy. Everything
	// else is judged at each use anyhow.
	Judge
	reaches
)

var reachNames = [reaches]string{Everything: "everything", Tokens: "tokens", Judge: "judge"}

// String returns the name the reach has on the wire.
func (r Reach) String() string {
	if r == 0 || r >= reaches {
		return fmt.Sprintf("reach(%d)", uint8(r))
	}
	return reachNames[r]
}

// MarshalText writes the wire name. An invalid reach is an error.
func (r Reach) MarshalText() ([]byte, error) {
	if r == 0 || r >= reaches {
		return nil, fmt.Errorf("cutoff: invalid reach %d", uint8(r))
	}
	return []byte(reachNames[r]), nil
}

// UnmarshalText reads a wire name. An unknown one is an error.
func (r *Reach) UnmarshalText(b []byte) error {
	for i, n := range reachNames {
		if i > 0 && n == string(b) {
			*r = Reach(i)
			return nil
		}
	}
	return fmt.Errorf("cutoff: unknown reach %q", b)
}

// Cutoff names what is dead: everything within Reach that belongs to Scope:ID
// and was born before the position of the [Line] that carries it. One whose Reach
// is [Judge] names what is in doubt instead.
type Cutoff struct {
	Scope Scope  `json:"scope"`
	ID    string `json:"id,omitempty"` // empty exactly for All
	Reach Reach  `json:"reach"`
}

// MaxIDLen bounds an ID on the wire, in bytes. Object ids take 36, a client_id
// at most 255, a user_app id both and a colon.
const MaxIDLen = 36 + 1 + 255

var errID = errors.New("cutoff: id missing, too long, or given for scope all")

// Valid reports what is wrong with c, or nil.
func (c Cutoff) Valid() error {
	if c.Scope == 0 || c.Scope >= scopes || c.Reach == 0 || c.Reach >= reaches {
		return fmt.Errorf("cutoff: invalid scope %d or reach %d", c.Scope, c.Reach)
	}
	if (c.Scope == All) != (c.ID == "") || len(c.ID) > MaxIDLen {
		return errID
	}
	return nil
}

// String is for logs and tests: "user:6f9… everything".
func (c Cutoff) String() string { return c.Scope.String() + ":" + c.ID + " " + c.Reach.String() }

// Ends reports whether any of cuts ends something: one of reach [Judge] does not.
func Ends(cuts []Cutoff) bool {
	for _, c := range cuts {
		if c.Reach != Judge {
			return true
		}
	}
	return false
}

// UserAppID joins a user's object id and a client_id to the ID of a UserApp
// cutoff. The object id has a fixed length, so the pair is unambiguous.
func UserAppID(user, clientID string) string { return user + ":" + clientID }

// Line is one ledger line as readers outside the server see it: a position and
// what died, or came in doubt, there. It never says why, or who did it. A line without cutoffs is
// an event that ends nothing; readers only take note of its position.
type Line struct {
	Pos  Pos      `json:"pos"`
	Cuts []Cutoff `json:"cuts,omitempty"`
}

// Valid reports what is wrong with l, or nil.
func (l Line) Valid() error {
	if l.Pos < 1 || l.Pos > MaxPos {
		return fmt.Errorf("cutoff: position %d out of range", l.Pos)
	}
	for _, c := range l.Cuts {
		if err := c.Valid(); err != nil {
			return err
		}
	}
	return nil
}
