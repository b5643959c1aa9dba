package portal

import (
	"cmp"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// appAct is one verb on an application: its confirmation, and what it does.
type appAct struct {
	verb   desk.Verb
	action role.Action
	tab    string // where it stands, and where one comes back to
	part   bool   // it is about one part, which the address names
	roles  bool   // owners may not, though they may do the action
	ask    func(*visit, *application) (registry.Question, error)
	do     doApp
}

// doApp does it. It returns the receipt, if something was cut, and the word of what
// to say otherwise: answered when it has answered itself.
type doApp func(*visit, *application, webkit.Form, manage.Act) (*manage.Receipt, string, error)

const answered = "-"

// appActs are the verbs on an application, by what stands in the address. Those
// without a question have a form of their own.
var appActs = func(all ...appAct) map[string]appAct {
	m := map[string]appAct{}
	for _, x := range all {
		m[x.verb.Slug] = x
	}
	return m
}(
	appAct{verb: EditApp, action: role.UpdateApp},
	appAct{verb: EditRights, action: role.UpdateApp, tab: "consent"},
	appAct{verb: RevokeApp, action: role.CutApp, roles: true, ask: whole(registry.AskRevoke), do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		res, err := v.s.Revoke.App(v.Ctx(), v.Actor, a.ID, revoke.Options{Reason: act.Reason})
		return res.Receipt, "", err
	}},
	appAct{verb: DisableApp, action: role.CutApp, roles: true, ask: whole(registry.AskDisable), do: setApp(false)},
	appAct{verb: EnableApp, action: role.UpdateApp, roles: true, ask: whole(registry.AskEnable), do: setApp(true)},
	appAct{verb: DeleteApp, action: role.DeleteApp, roles: true, ask: whole(registry.AskDelete), do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		r, err := v.s.Manage.DeleteApp(v.Ctx(), v.Actor, a.ID, act)
		if err != nil {
			return nil, "", err
		}
		return nil, answered, v.To(v.after(r, desk.PathApplications, "deleted"))
	}},
	appAct{verb: AddSecret, action: role.UpdateAppKeys, tab: "secrets", ask: whole(registry.AskAddSecret), do: addSecret},
	appAct{verb: RotateSecrets, action: role.UpdateAppKeys, tab: "secrets", ask: whole(registry.AskRotate), do: rotateSecrets},
	appAct{verb: RemoveSecret, action: role.UpdateAppKeys, tab: "secrets", part: true, ask: func(v *visit, a *application) (q registry.Question, err error) {
		for _, x := range a.Secrets {
			if x.ID == v.R.PathValue("part") {
				return registry.AskRemoveSecret(a.App, x), nil
			}
		}
		return q, desk.ErrNoPart
	}, do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		r, err := v.s.Manage.RemoveSecret(v.Ctx(), v.Actor, a.ID, v.R.PathValue("part"), act)
		return r, "secret-removed", err
	}},
	appAct{verb: AddOwner, action: role.UpdateApp, tab: "owners", ask: whole(registry.AskAddOwner), do: func(v *visit, a *application, f webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		n, err := v.whom(a, f)
		if err == nil && n.User.IsZero() {
			err = &desk.Mistake{Field: "who", Text: "The owner of an application is a person"}
		}
		if err != nil {
			return nil, "", err
		}
		return nil, "owner-added", v.s.Manage.AddOwner(v.Ctx(), v.Actor, a.ID, n.User, act)
	}},
	appAct{verb: RemoveOwner, action: role.UpdateApp, tab: "owners", part: true, ask: func(v *visit, a *application) (q registry.Question, err error) {
		owners, err := v.s.Manage.Owners(v.Ctx(), v.Actor, a.ID)
		if err != nil {
			return q, err
		}
		for _, u := range owners {
			if u.ID.String() == v.R.PathValue("part") {
				return registry.AskRemoveOwner(a.App, desk.Calling(u)), nil
			}
		}
		return q, desk.ErrNoPart
	}, do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		id, err := directory.ParseID[directory.User](v.R.PathValue("part"))
		if err != nil {
			return nil, "", desk.ErrNoPart
		}
		return nil, "owner-removed", v.s.Manage.RemoveOwner(v.Ctx(), v.Actor, a.ID, id, act)
	}},
	appAct{verb: RequireAssignment, action: role.UpdateApp, tab: "assignments", ask: whole(registry.AskRequire), do: setAssignment(true, "required")},
	appAct{verb: LetEverybodyIn, action: role.UpdateApp, tab: "assignments", ask: whole(registry.AskLetIn), do: setAssignment(false, "open")},
	appAct{verb: Assign, action: role.AssignApp, tab: "assignments", ask: whole(registry.AskAssign), do: func(v *visit, a *application, f webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		n, err := v.whom(a, f)
		if err != nil {
			return nil, "", err
		}
		n.Role = strings.TrimSpace(f.Get("role"))
		if n.Role != "" && directory.CheckScope(n.Role) != nil {
			return nil, "", &desk.Mistake{Field: "role", Text: "A role is one word of letters, digits and . _ - :"}
		}
		_, err = v.s.Manage.AssignApp(v.Ctx(), v.Actor, a.ID, n, act)
		return nil, "assigned", err
	}},
	appAct{verb: Unassign, action: role.AssignApp, tab: "assignments", part: true, ask: func(v *visit, a *application) (q registry.Question, err error) {
		all, err := v.s.Manage.AppAssignments(v.Ctx(), v.Actor, a.ID)
		if err != nil {
			return q, err
		}
		for _, x := range all {
			if x.ID.String() == v.R.PathValue("part") {
				return registry.AskUnassign(a.App, x), nil
			}
		}
		return q, desk.ErrNoPart
	}, do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		id, err := directory.ParseID[directory.AppAssignment](v.R.PathValue("part"))
		if err != nil {
			return nil, "", desk.ErrNoPart
		}
		r, err := v.s.Manage.UnassignApp(v.Ctx(), v.Actor, a.ID, id, act)
		return r, "unassigned", err
	}},
	appAct{verb: ConsentForAll, action: role.GrantConsent, roles: true, tab: "consent", ask: whole(registry.AskConsent), do: func(v *visit, a *application, f webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		ps, err := registry.ReadPermissions(f.Get("permissions"))
		if err != nil || len(ps) == 0 {
			return nil, "", &desk.Mistake{Field: "permissions", Text: cmp.Or(strings.TrimSuffix(publicOf(err), "."), "Write a resource and a scope")}
		}
		r, err := v.s.Manage.GrantConsent(v.Ctx(), v.Actor, a.ID, ps, act)
		return r, "consented", err
	}},
	appAct{verb: WithdrawConsent, action: role.RemoveConsent, roles: true, tab: "consent", part: true, ask: func(v *visit, a *application) (q registry.Question, err error) {
		who, err := v.whose()
		if err != nil || who.IsZero() {
			return registry.AskWithdraw(a.App, registry.Everybody, "Everybody is asked for consent, unless they gave their own."), err
		}
		p, err := v.personOf(who.String())
		if fault.Is(err, fault.Denied) { // the notice says what is missing
			return registry.AskWithdraw(a.App, "one person", ""), nil
		}
		if err != nil {
			return q, err
		}
		return registry.AskWithdraw(a.App, p.name, p.first()+" is asked again."), nil
	}, do: func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		who, err := v.whose()
		if err != nil {
			return nil, "", err
		}
		r, err := v.s.Manage.WithdrawConsent(v.Ctx(), v.Actor, who, a.ID, act)
		return r, "", err
	}},
)

func whole(ask func(*directory.App) registry.Question) func(*visit, *application) (registry.Question, error) {
	return func(_ *visit, a *application) (registry.Question, error) { return ask(a.App), nil }
}

func addSecret(v *visit, a *application, f webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
	life, err := lifeOf(f, "life")
	if err != nil {
		return nil, "", err
	}
	made, err := v.s.Manage.AddSecret(v.Ctx(), v.Actor, a.ID, v.until(life), act)
	if err != nil {
		return nil, "", err
	}
	return nil, answered, v.newSecret(a, made, nil)
}

func rotateSecrets(v *visit, a *application, f webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
	overlap, err := lifeOf(f, "overlap")
	if err != nil {
		return nil, "", err
	}
	life, err := lifeOf(f, "life")
	if err != nil {
		return nil, "", err
	}
	made, r, err := v.s.Manage.RotateSecret(v.Ctx(), v.Actor, a.ID, v.until(life), overlap, act)
	if err != nil {
		return nil, "", err
	}
	return nil, answered, v.newSecret(a, made, r)
}

// until is the instant a span from now; zero is never.
func (v *visit) until(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return v.Now().Add(d).UTC()
}

// whose is the user whose consent the address names; zero: everybody's.
func (v *visit) whose() (directory.UserID, error) {
	if v.R.PathValue("part") == registry.Everybody {
		return directory.UserID{}, nil
	}
	id, err := directory.ParseID[directory.User](v.R.PathValue("part"))
	if err != nil || id.IsZero() {
		return id, desk.ErrNoPart
	}
	return id, nil
}

func setApp(enabled bool) doApp {
	return func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		r, err := v.s.Manage.SetAppEnabled(v.Ctx(), v.Actor, a.ID, enabled, act)
		return r, "enabled", err
	}
}

func setAssignment(required bool, word string) doApp {
	return func(v *visit, a *application, _ webkit.Form, act manage.Act) (*manage.Receipt, string, error) {
		r, err := v.s.Manage.UpdateApp(v.Ctx(), v.Actor, a.ID, manage.AppPatch{AssignmentRequired: &required}, act)
		return r, word, err
	}
}
