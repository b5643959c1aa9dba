package access

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

var kindWords = map[policy.ChangeKind]string{0: "stays", policy.Ends: "ends", policy.Asks: "asks", policy.Shortens: "shortens", policy.Opens: "opens"}

func texts(all []string) []string { return append([]string{}, all...) }

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func tally(t govern.Tally) object {
	return object{{"ends", t.Ends}, {"asks", t.Asks}, {"shortens", t.Shortens}, {"opens", t.Opens}, {"stays", t.Stays}}
}

// effectObject is what a change would do.
func effectObject(e *govern.Effect) object {
	fates := make([]object, len(e.Fates))
	for i, f := range e.Fates {
		o := object{{"fate", kindWords[f.Kind]}, {"user", f.User}, {"userPrincipalName", f.UserName}}
		if f.Grant.IsZero() {
			o = append(o, member{"session", f.Session})
		} else {
			o = append(o, member{"grant", f.Grant}, member{"app", f.App}, member{"appName", f.AppName})
		}
		fates[i] = append(o, member{"needs", texts(f.Needs)}, member{"by", texts(f.By)}, member{"until", instant(f.Until)}, member{"atOnce", f.Cut})
	}
	apps := make([]object, len(e.Apps))
	for i, a := range e.Apps {
		apps[i] = append(object{{"app", a.App}, {"name", a.Name}}, tally(a.Tally)...)
	}
	return object{{"sessions", tally(e.Sessions)}, {"grants", tally(e.Grants)}, {"rows", e.Rows}, {"part", e.Part}, {"apps", apps}, {"fates", fates}, {"left", e.Left},
		{"globalAdministrators", object{{"lockedOut", e.Lockout.Out}, {"in", texts(e.Lockout.In)}, {"spared", texts(e.Lockout.Spared)}, {"by", texts(e.Lockout.By)}}}}
}

// whatIf tells what a change would do: of a policy (or another document), or of a
// person's row.
func (s Server) whatIf(c *call) error {
	var kind, id, user, role *string
	var del, disable *bool
	var doc json.RawMessage
	err := c.Body(odata.Form{"kind": odata.Text(&kind), "id": odata.Text(&id), "delete": odata.Truth(&del), "user": odata.Text(&user), "disable": odata.Truth(&disable), "removeRole": odata.Text(&role),
		"document": func(raw json.RawMessage) (string, error) { doc = raw; return "", nil }})
	if err != nil {
		return err
	}
	x := govern.Suppose{}
	is := func(b *bool) bool { return b != nil && *b }
	switch {
	case user != nil && (kind != nil || id != nil || doc != nil || is(del)):
		return odata.Unreadable("Say one change: of a document, or of a user.")
	case user != nil && is(disable) == (role != nil):
		return odata.Unreadable("Say what happens to the user: disable, or removeRole.")
	case user != nil:
		if x.User, err = directory.ParseID[directory.User](*user); err != nil {
			return odata.Unreadable("The property user must be an object id.")
		}
		if role != nil {
			x.Role = directory.RoleID(*role)
		}
	case doc == nil && !is(del), doc != nil && is(del), is(del) && id == nil:
		return odata.Unreadable("Say a change: a document, with the id of one that it changes; or id and delete; or a user.")
	default:
		x.Kind, x.Doc, x.Delete = govern.Policy, doc, is(del)
		if kind != nil {
			x.Kind = govern.Kind(*kind)
		}
		if id != nil {
			x.Ref = *id
		}
	}
	what, effect, err := s.Govern.WhatIf(c.Ctx(), c.Actor, x)
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, object{{"effects", []string{what}}, {"whatIf", effectObject(effect)}})
	return nil
}

// getResults says what a policy did with the sign-ins of the last days.
func (s Server) getResults(c *call) error {
	q, err := c.Parameters("days")
	if err != nil {
		return err
	}
	days := 7
	if q["days"] != "" {
		if days, err = strconv.Atoi(q["days"]); err != nil {
			return odata.Unreadable("The parameter days must be a whole number.")
		}
	}
	r, err := s.Govern.Results(c.Ctx(), c.Actor, c.R.PathValue("id"), days)
	if err != nil {
		return err
	}
	counts := func(n govern.Counts) object {
		return object{{"satisfied", n.Satisfied}, {"asked", n.Asked}, {"refused", n.Refused}, {"notApplied", n.NotApplied}, {"reported", n.Reported}, {"silent", n.Silent}}
	}
	all := make([]object, len(r.Days))
	for i, d := range r.Days {
		all[i] = append(object{{"day", d.Day.Format(time.DateOnly)}}, counts(d.Counts)...)
	}
	row := document(r.Policy)
	c.Write(http.StatusOK, object{{"policy", row.Pick([]string{"id", "displayName", "state"})}, {"since", instant(r.Since)}, {"kept", r.Kept}, {"lost", r.Lost}, {"total", counts(r.Total)}, {"days", all}})
	return nil
}

func (s Server) getPlaces(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	if _, err := s.Govern.List(c.Ctx(), c.Actor, govern.Location); err != nil { // who may read locations may know what they rest on
		return err
	}
	p, named := s.Places()
	c.Write(http.StatusOK, object{{"database", named}, {"file", p.File}, {"type", p.Type}, {"built", instant(p.Built)}, {"trouble", p.Trouble}})
	return nil
}

func (s Server) getSpared(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	all, err := s.Govern.SparedAccounts(c.Ctx(), c.Actor)
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, x := range all {
		out[i] = object{{"id", x.User.ID}, {"userPrincipalName", x.User.Name}, {"displayName", x.User.DisplayName}, {"enabled", x.User.Enabled}, {"globalAdministrator", x.Admin}, {"lastUsed", instant(x.LastUsed)}}
	}
	s.Page(c, "", -1, "", out)
	return nil
}

func (s Server) postSpared(c *call) error {
	var user *string
	act, err := c.OwnOrder(odata.Form{"user": odata.Text(&user)})
	if err != nil {
		return err
	}
	if user == nil {
		return odata.Unreadable("The property user is missing.")
	}
	id, err := directory.ParseID[directory.User](*user)
	if err != nil {
		return odata.Unreadable("The property user must be an object id.")
	}
	how, err := order0(c)
	if err != nil {
		return err
	}
	how.Act = act
	effect, err := s.Govern.Spare(c.Ctx(), c.Actor, id, true, how)
	return finish(c, how, effect, err)
}

func (s Server) deleteSpared(c *call) error {
	id, err := api.ID[directory.User](c, "user")
	if err != nil {
		return err
	}
	how, err := order0(c)
	if err != nil {
		return err
	}
	effect, err := s.Govern.Spare(c.Ctx(), c.Actor, id, false, how)
	return finish(c, how, effect, err)
}
