package role

import (
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// Target is the user an action is on. The zero Target is no user.
type Target struct {
	ID   directory.UserID
	Held directory.Held
	// Service: an application's own identity.
	Service bool
	// Permissions it holds at our own API as itself; of service accounts only.
	Permissions []string
	// Owned: the actor owns the application that the action is on, or whose identity
	// this is, and may sign in.
	Owned bool
}

// Decision is the answer to "may this actor do this to that?", with all that a
// person needs to know when it is no.
type Decision struct {
	OK     bool
	Action Action
	// Missing are the roles any one of which would do, least powerful first;
	// empty when no role would, or when roles are not what is missing.
	Missing []directory.RoleID
	// Holds is the role of the target that shuts the actor's roles out, the one
	// that shuts out most; empty when the target makes no difference.
	Holds string
	// Scopes are the permissions any one of which the client would have to hold,
	// least first; empty when permissions are not what is missing.
	Scopes []string

	rule    rule
	why     reason
	member  bool // the target is shut off by a role-assignable group
	appOnly bool
	roles   []string // names of the roles the actor holds
	granted []string // permissions the client holds
}

// reason is why a refusal is not a matter of roles or permissions alone.
type reason uint8

const (
	ordinary  reason = iota
	unknown          // no such action
	nobody           // the actor is no user and no application
	unnamed          // the action needs a target and has none
	noSecret         // an application's identity has no password and no user name
	ownReset         // one's own password, without the old one
	ownMethod        // one's own methods, without proving them
	notOwn           // somebody else's password, with the old one
	noApps           // no application may, whatever it holds
)

// reach is the published matrix, for the roles that reach only some targets:
// the roles a target may hold. It is one matrix for both tables of entra.md §4:
// "sensitive actions" are the same cells without the columns of Password and
// Helpdesk Administrator, which rule.by leaves out.
var reach = map[directory.RoleID][]directory.RoleID{
	PasswordAdministrator: {DirectoryReaders, GuestInviter, PasswordAdministrator},
	HelpdeskAdministrator: {DirectoryReaders, GuestInviter, PasswordAdministrator,
		MessageCenterReader, ReportsReader, UsageSummaryReportsReader, UserExperienceManager, HelpdeskAdministrator},
	AuthenticationAdministrator: {DirectoryReaders, GuestInviter, PasswordAdministrator,
		MessageCenterReader, ReportsReader, UsageSummaryReportsReader, UserExperienceManager, AuthenticationAdministrator},
	UserAdministrator: {DirectoryReaders, GuestInviter, PasswordAdministrator,
		MessageCenterReader, ReportsReader, UsageSummaryReportsReader, UserExperienceManager, HelpdeskAdministrator, UserAdministrator, GroupsAdministrator},
}

// reaches reports whether role r may act on a target that holds h, as far as h
// decides. Every role of the target must be within reach.
func reaches(r directory.RoleID, h directory.Held) bool {
	if r == PrivilegedAuthAdministrator || r == GlobalAdministrator {
		return true
	}
	return !h.RoleAssignableMember && !slices.ContainsFunc(h.Roles, func(x directory.RoleID) bool { return !slices.Contains(reach[r], x) })
}

// privileged reports whether taking this account over gives more than an
// ordinary account has: any role, membership in a role-assignable group, or, of
// an application, any permission at our API but reading.
func (t Target) privileged() bool {
	return len(t.Held.Roles) > 0 || t.Held.RoleAssignableMember || slices.ContainsFunc(t.Permissions, writes)
}

// writes reports whether a permission may be more than reading.
func writes(permission string) bool { return !strings.HasSuffix(permission, ".Read.All") }

// able reports whether role r allows the action on this target.
func (u rule) able(r directory.RoleID, t Target) bool {
	switch {
	case u.person && slices.Contains(u.service, r) && t.Service:
		return !t.privileged()
	case u.person:
		return slices.Contains(u.by, r) && reaches(r, t.Held)
	case u.secret && !t.ID.IsZero() && t.privileged():
		// Who can add a secret to an application can be it.
		return r == GlobalAdministrator
	}
	return slices.Contains(u.by, r)
}

// candidates are the roles that allow the action on some target of this sort,
// least powerful first.
func (u rule) candidates(t Target) []directory.RoleID {
	all := u.by
	if t.Service {
		all = slices.Concat(all, u.service)
	}
	return slices.SortedFunc(slices.Values(all), func(a, b directory.RoleID) int { return power(a) - power(b) })
}

// Allowed decides whether the actor may do the action to the target.
//
// People: one of the actor's roles must allow the action on the target, or the
// action must be one that everyone may do to their own account, or owners to their
// application. Through a client
// with permissions (Scopes not nil) the client must hold a permission for it
// too; neither replaces the other, so a delegated token is never more than the
// person and never more than the client. Nobody resets their own password or
// second factor: with a stolen session that would be keeping the account.
//
// Applications acting as themselves (AppOnly): permissions decide, roles do not.
// On Graph such a caller needs a directory role besides the permission to touch
// password, state, name or existence of somebody privileged. Roles do not
// decide here, so it must hold RoleManagement.ReadWrite.Directory instead: who
// can hand out roles could become as powerful anyway, and nobody else can. Every
// role counts as privileged for this, not only the labelled ones; doubt closes.
//
// The operator at the machine and curfew itself may do everything.
func Allowed(actor directory.Actor, action Action, target Target) Decision {
	u, known := rules[action]
	d := Decision{Action: action, rule: u}
	switch {
	case actor.Operator || actor.System:
		d.OK = true
		return d
	case !known:
		return d.because(unknown)
	case u.person && target.ID.IsZero():
		return d.because(unnamed)
	case target.Service && slices.Contains([]Action{ResetPassword, ChangePassword, RenameUser, CreateMethod, DeleteMethod}, action):
		return d.because(noSecret)
	case actor.AppOnly:
		return d.application(actor, target)
	case actor.User.IsZero():
		return d.because(nobody)
	}
	self := target.ID == actor.User
	switch {
	case self && action == ResetPassword:
		return d.because(ownReset)
	case self && (action == CreateMethod || action == DeleteMethod):
		return d.because(ownMethod)
	case !self && action == ChangePassword:
		return d.because(notOwn)
	}
	may := d.person(actor, target, self && u.self != nil)
	d.OK = d.client(actor, self) && may
	return d
}

func (d Decision) because(w reason) Decision {
	d.why = w
	return d
}

// person judges the roles; own actions need none.
func (d *Decision) person(actor directory.Actor, target Target, own bool) bool {
	able := func(r directory.RoleID) bool { return d.rule.able(r, target) }
	// An owner is not more than any administrator of applications: a secret that
	// would make more of them than they are is a Global Administrator's to give.
	owner := d.rule.owner && target.Owned && !(d.rule.secret && target.privileged())
	if own || owner || slices.ContainsFunc(actor.Held.Roles, able) {
		return true
	}
	all := d.rule.candidates(target)
	for _, r := range all {
		if able(r) {
			d.Missing = append(d.Missing, r)
		}
	}
	for _, r := range actor.Held.Roles {
		d.roles = append(d.roles, nameOf(r))
	}
	d.blame(all, target)
	return false
}

// blame names what the target holds that shuts out some of all.
func (d *Decision) blame(all []directory.RoleID, target Target) {
	if len(d.Missing) == len(all) {
		return // the target makes no difference
	}
	d.hold(target, func(one Target) int {
		out := 0
		for _, r := range all {
			if !d.rule.able(r, one) {
				out++
			}
		}
		return out
	})
}

// hold sets Holds to the role of the target with the highest weight, the more
// powerful of equals; without roles, to what else makes it privileged.
func (d *Decision) hold(target Target, weight func(one Target) int) {
	most := -1
	for _, h := range target.Held.Roles {
		one := target
		one.Held = directory.Held{Roles: []directory.RoleID{h}}
		if w := weight(one)*len(catalogue) + power(h) + 1; w > most {
			most, d.Holds = w, nameOf(h)
		}
	}
	switch {
	case d.Holds != "":
	case target.Held.RoleAssignableMember:
		d.member = true
	default:
		d.Holds = target.Permissions[slices.IndexFunc(target.Permissions, writes)]
	}
}

// client judges the permissions of the client the actor comes through.
func (d *Decision) client(actor directory.Actor, self bool) bool {
	if actor.Scopes == nil {
		return true
	}
	need := d.rule.scopes
	if self {
		need = slices.Concat(d.rule.self, need)
	}
	return d.permit(actor, append(slices.Clip(need), asUser))
}

// permit asks for one of need.
func (d *Decision) permit(actor directory.Actor, need []string) bool {
	if slices.ContainsFunc(need, func(s string) bool { return slices.Contains(actor.Scopes, s) }) {
		return true
	}
	d.Scopes, d.granted = need, actor.Scopes
	return false
}

// application judges an application acting as itself.
func (d Decision) application(actor directory.Actor, target Target) Decision {
	d.appOnly = true
	if d.rule.app == nil {
		return d.because(noApps)
	}
	if !d.permit(actor, d.rule.app) {
		return d
	}
	if d.rule.takes && target.privileged() && !d.permit(actor, []string{roleRW}) {
		d.hold(target, func(Target) int { return 0 })
		return d
	}
	d.OK = true
	return d
}
