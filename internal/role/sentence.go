package role

import (
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// Sentence says why not, and what would do, in words for the person who asked.
// The target's name is the caller's to choose; without one it is "This user".
// For a Decision that is OK it is empty.
func (d Decision) Sentence(targetName string) string {
	if d.OK {
		return ""
	}
	if targetName == "" {
		targetName = "This user"
	}
	switch d.why {
	case unknown:
		return "Nobody may do this."
	case nobody:
		return "To " + d.rule.to + " you need to sign in."
	case unnamed:
		return "To " + d.rule.to + " a user must be named."
	case noSecret:
		return targetName + " is an application's identity. It has no password and no user name."
	case ownReset:
		return "Nobody resets their own password. Change it with the current one."
	case ownMethod:
		return "Nobody gives or takes their own methods like this. Change them on the account page, where they are proven first."
	case notOwn:
		return "Only " + targetName + " can change this password. It can be reset instead."
	case noApps:
		return "To " + d.rule.to + " a person is needed. An application cannot do it on its own."
	}
	var said []string
	if len(d.Missing) > 0 {
		said = append(said, d.cause(targetName, who(d.roles))...)
		said = append(said, "To "+d.rule.to+" you need "+oneOf("a role", Names(d.Missing))+".", "You hold "+allOf("no role", d.roles)+".")
	}
	if len(d.Scopes) > 0 {
		if d.appOnly {
			said = append(said, d.cause(targetName, "Permissions of the application alone")...)
		}
		said = append(said, "To "+d.rule.to+" the application needs "+oneOf("a permission", d.Scopes)+".", "It holds "+allOf("no permission", d.granted)+".")
	}
	return strings.Join(said, " ")
}

// cause says what the target holds, if that is the matter, and who cannot act on it.
func (d Decision) cause(name, who string) []string {
	what, so := name+" holds "+d.Holds+".", who+" cannot act on it."
	switch {
	case d.member:
		what, so = name+" is a member of a role-assignable group.", who+" cannot act on its members."
	case d.Holds == "":
		return nil
	}
	if who == "" {
		return []string{what}
	}
	return []string{what, so}
}

// Err returns nil when the decision is OK, and else a fault of kind Denied with
// the sentence.
func (d Decision) Err(targetName string) error {
	if d.OK {
		return nil
	}
	return fault.New(fault.Denied, d.Sentence(targetName))
}

// Names returns the display names of roles, for surfaces that list Missing.
func Names(ids []directory.RoleID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = nameOf(id)
	}
	return names
}

// oneOf lists up to three alternatives; of more it names the two least and says
// that there are others.
func oneOf(what string, names []string) string {
	if len(names) > 3 {
		return what + " such as " + names[0] + " or " + names[1]
	}
	return join(names, " or ")
}

func allOf(none string, names []string) string {
	if len(names) == 0 {
		return none
	}
	return join(names, " and ")
}

func join(names []string, last string) string {
	n := len(names)
	if n == 1 {
		return names[0]
	}
	return strings.Join(names[:n-1], ", ") + last + names[n-1]
}

// who is the subject of "cannot act on it"; nobody's role cannot do anything.
func who(held []string) string {
	switch len(held) {
	case 0:
		return ""
	case 1:
		return "Your role"
	}
	return "Your roles"
}
