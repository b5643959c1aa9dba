package desk

import (
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Command is one button of the command bar: a link to a confirmation page.
type Command struct {
	Verb Verb
	URL  string
	// Refused keeps the button in sight and in the tab order, with a padlock; the
	// page then carries a Refusal that says why.
	Refused bool
}

// Refusal is the notice about what the reader's role cannot do here.
type Refusal struct {
	// Sentence in bold: "Anita holds Global Administrator. Your role cannot act on it."
	Sentence string
	// Rest is what can be done about it, where that is not a role.
	Rest string
	// Acts are what needs more: "revoke sessions, disable the account or reset the password".
	Acts string
	// Needs are the roles of which one is enough; You hold MyRoles.
	Needs   []string
	YouHold []string
	// Who can, each with a link; More is how many others can.
	Who  []webkit.Link
	More int
	// Untold: the reader may not know who holds roles.
	Untold bool
	// CopyURL is the absolute address to hand to one of them.
	CopyURL string
}

// NeedsOr joins the roles: "A or B".
func (r Refusal) NeedsOr() string { return webkit.Or(r.Needs) }

// Hold joins the roles held, or says none.
func (r Refusal) Hold() string {
	if len(r.YouHold) == 0 {
		return "no role"
	}
	return webkit.And(r.YouHold)
}

// Can is how many people can.
func (r Refusal) Can() int { return len(r.Who) + r.More }

// RefusedPage stands in place of a page that the reader's role does not open.
type RefusedPage struct {
	Shell
	Refusal *Refusal
}

// Refusal says why verbs are refused, and who can; nil when none is.
func (v *Visit) Refusal(verbs []Verb, ds []role.Decision, target directory.UserID, name, page string) *Refusal {
	n := &Refusal{YouHold: role.Names(v.Held.Roles), CopyURL: v.Desk.Base + page}
	var acts, plain []string
	var needs []directory.RoleID
	for i, d := range ds {
		switch {
		case d.OK:
			continue
		case len(d.Missing) == 0: // no role would do
			plain = append(plain, d.Sentence(name))
			continue
		case len(acts) == 0:
			needs = slices.Clone(d.Missing)
			n.Sentence = "Your role cannot do this."
			if len(v.Held.Roles) == 0 {
				n.Sentence = "Without a role you cannot do this."
			}
			if at := strings.LastIndex(d.Sentence(name), "To "); at > 0 {
				n.Sentence = strings.TrimSpace(d.Sentence(name)[:at])
			}
		default:
			needs = slices.DeleteFunc(needs, func(r directory.RoleID) bool { return !slices.Contains(d.Missing, r) })
		}
		if does := verbs[i].Doing; !slices.Contains(acts, does) {
			acts = append(acts, does)
		}
	}
	n.Sentence = strings.TrimSpace(n.Sentence + " " + strings.Join(plain, " "))
	if n.Sentence == "" {
		return nil
	}
	n.Acts, n.Needs = webkit.Or(acts), role.Names(needs)
	v.who(n, needs, target)
	return n
}

// who names people who hold one of the roles, other than the target.
func (v *Visit) who(n *Refusal, needs []directory.RoleID, target directory.UserID) {
	holders, err := v.Holders()
	if err != nil {
		n.Untold = true
		return // the roles are named; who holds them is a courtesy
	}
	var ids []directory.UserID
	for id, roles := range holders {
		if id != target && slices.ContainsFunc(roles, func(r directory.RoleID) bool { return slices.Contains(needs, r) }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b directory.UserID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		u, err := v.Desk.Manage.User(v.Ctx(), v.Actor, id.String())
		switch {
		case err != nil || !u.User.Enabled:
		case len(n.Who) == 3:
			n.More++
		default:
			n.Who = append(n.Who, webkit.Link{Text: Calling(u.User), URL: UserPath(id.String())})
		}
	}
}

// Holders lists who holds which roles, directly or through a group.
func (v *Visit) Holders() (map[directory.UserID][]directory.RoleID, error) {
	all, err := v.Desk.Manage.Assignments(v.Ctx(), v.Actor, manage.AssignmentQuery{})
	if err != nil {
		return nil, err
	}
	out := map[directory.UserID][]directory.RoleID{}
	add := func(u directory.UserID, r directory.RoleID) {
		if !slices.Contains(out[u], r) {
			out[u] = append(out[u], r)
		}
	}
	for _, a := range all {
		if !a.User.IsZero() {
			add(a.User, a.Role)
			continue
		}
		g, err := v.Desk.Manage.Group(v.Ctx(), v.Actor, a.Group.String())
		if fault.Is(err, fault.NotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		for _, m := range g.Members {
			add(m.ID, a.Role)
		}
	}
	return out, nil
}

// Count counts who meets a query, whatever its page.
func (v *Visit) Count(q directory.UserQuery) (int, error) {
	q.Top, q.After, q.Count, q.Order = 1, "", true, directory.Order{}
	p, err := v.Desk.Manage.Users(v.Ctx(), v.Actor, q)
	return p.Count, err
}

// Calling is how pages call a user.
func Calling(u *directory.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Name
}
