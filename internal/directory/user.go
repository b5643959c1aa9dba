package directory

import (
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// User is a person or a service account (an application's own identity). Both
// are revoked, disabled and deleted by the same rules.
type User struct {
	ID          UserID
	Name        string // user principal name, "ada@contoso.example"; unique ignoring case
	DisplayName string
	GivenName   string
	Surname     string
	Mail        string
	Nickname    string // mailNickname
	JobTitle    string
	Department  string
	Office      string
	Mobile      string
	Language    string // BCP 47
	Service     bool   // an application's identity: it has no password and never signs in
	Enabled     bool
	Created     time.Time
	Deleted     time.Time // zero while the user exists
	// ValidFrom is the instant of the last revocation, for people and for
	// signInSessionsValidFromDateTime. It decides nothing.
	ValidFrom time.Time
	Password  Credential
	// BornPos is the ledger head at creation.
	BornPos cutoff.Pos
}

// Credential is a stored password.
type Credential struct {
	Hash       string // PHC string (argon2id); empty: no password, sign-in by password impossible
	Version    int64  // grows by one with each change; read again where a check outside the transaction must hold
	Changed    time.Time
	MustChange bool // at next sign-in
}

// Group is a set of users.
type Group struct {
	ID          GroupID
	Name        string // unique ignoring case
	Description string
	// RoleAssignable groups can hold roles. Members and owners of one are
	// privileged targets even while it holds none (reference/entra.md §4).
	RoleAssignable bool
	Created        time.Time
}

// RoleID is the template GUID of a directory role, in lower case.
type RoleID string

// RoleAssignment gives a role to a user or, for a role-assignable group, to its
// members. Exactly one of User and Group is set.
type RoleAssignment struct {
	ID      AssignmentID
	Role    RoleID
	User    UserID
	Group   GroupID
	Created time.Time
}

// Held is what roles and groups make of a user, as one read of the
// directory: what the matrix of internal/role decides on.
type Held struct {
	Roles []RoleID // direct and through groups, without repeats
	// RoleAssignableMember: member of a role-assignable group, with or without a role.
	RoleAssignableMember bool
}

// Has reports whether r is among the roles held.
func (h Held) Has(r RoleID) bool {
	for _, x := range h.Roles {
		if x == r {
			return true
		}
	}
	return false
}

// Actor is who acts, as the surface identified it. Verbs decide what it may do.
type Actor struct {
	User UserID // zero for the system and for the operator at the machine
	App  AppID  // the client through which, or as which, it acts
	Name string // for audit lines: a user name, a client_id, "operator", "system"
	Held Held
	// Scopes are the permissions the client holds at our API (delegated scp or
	// application roles). Nil means a first-party surface that needs none.
	Scopes []string
	// AppOnly: the client acts as itself; Scopes decide and roles do not.
	AppOnly bool
	// Operator is somebody with the directory's files in hand (curfew apply on
	// the machine, first start). May do everything; is written down as such.
	Operator bool
	// System is curfew itself: reuse found, lifetime over, history lost.
	System bool
	// Provider is another identity provider that acts on its own word; it may
	// order what a verb grants providers, and nothing else.
	Provider ProviderID
	// Registration is an application whose registration access token was shown: who
	// has it may read and delete that registration, and nothing else.
	Registration AppID
	// Born and Owner are those of the token or session that identified the
	// actor. A write is refused when they are cut before it commits.
	Born  cutoff.Pos
	Owner cutoff.Owner
	Kind  cutoff.Kind
	// AuthTime is when the person last proved who they are.
	AuthTime time.Time
	Session  SessionID // the browser session behind a portal request
	IP       string
	Request  string // correlation id
}

// FoldName is the form in which names are unique: lower case, no outer space.
func FoldName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Belongs are the ids of an access token, grant or session in the form in which
// cutoffs name them. Zero ids are left out.
func Belongs(u UserID, s SessionID, g GrantID, a AppID, d DeviceID) cutoff.Belongs {
	str := func(zero bool, s string) string {
		if zero {
			return ""
		}
		return s
	}
	return cutoff.Belongs{
		User:    str(u.IsZero(), u.String()),
		Session: str(s.IsZero(), s.String()),
		Grant:   str(g.IsZero(), g.String()),
		App:     string(a),
		Device:  str(d.IsZero(), d.String()),
	}
}
