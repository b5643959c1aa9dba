package graph

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) userRoutes() api.Routes {
	return api.Routes{
		"GET /users":                                    s.getUsers,
		"POST /users":                                   s.postUsers,
		"GET /users/$count":                             s.getUsersCount,
		"GET /users/{user}":                             s.getUser,
		"PATCH /users/{user}":                           s.patchUser,
		"DELETE /users/{user}":                          s.deleteUser,
		"GET /users/{user}/memberOf":                    s.getMemberOf,
		"POST /users/{user}/revokeSignInSessions":       s.postRevokeSignInSessions,
		"POST /users/{user}/invalidateAllRefreshTokens": s.postRevokeSignInSessions,
		"POST /users/{user}/changePassword":             s.postChangePassword,
	}
}

func (s Server) getUsers(c *call) error {
	q, err := c.Query(&odata.Users)
	if err != nil {
		return err
	}
	uq, err := q.User()
	if err != nil {
		return err
	}
	page, err := s.Manage.Users(c.Ctx(), c.Actor, uq)
	if err != nil {
		return err
	}
	value := make([]object, len(page.Users))
	for i, u := range page.Users {
		value[i] = api.UserObject(u, q.Select)
	}
	s.Page(c, "users"+api.Selected(q.Select), page.Count, s.NextPage(c, page.Next), value)
	return nil
}

func (s Server) getUsersCount(c *call) error {
	q, err := c.Query(&odata.Users)
	if err != nil {
		return err
	}
	page, err := s.Manage.Users(c.Ctx(), c.Actor, directory.UserQuery{Filter: q.Filter, Search: q.Search, Top: 1, Count: true})
	if err != nil {
		return err
	}
	c.W.Header().Set("Content-Type", "text/plain")
	c.W.Write([]byte(strconv.Itoa(page.Count)))
	return nil
}

func (s Server) getUser(c *call) error {
	names, err := c.Single(&odata.Users)
	if err != nil {
		return err
	}
	ref := c.R.PathValue("user")
	if ref == api.Self {
		ref = c.Actor.User.String()
	}
	v, err := s.Manage.User(c.Ctx(), c.Actor, ref)
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, append(object{{"@odata.context", s.Context(c, "users"+api.Selected(names)+"/$entity")}}, api.UserObject(v.User, names)...))
	return nil
}

// getMemberOf lists groups and roles; roles that a group gives are among them.
func (s Server) getMemberOf(c *call) error {
	ref := c.R.PathValue("user")
	if ref == api.Self {
		ref = c.Actor.User.String()
	}
	v, err := s.Manage.User(c.Ctx(), c.Actor, ref)
	if err != nil {
		return err
	}
	var rows []row
	for _, g := range v.Groups {
		rows = append(rows, api.Typed("group", groupRow(g)))
	}
	for _, id := range v.Held.Roles {
		rows = append(rows, api.Typed("directoryRole", roleRow(id)))
	}
	return s.List(c, &odata.Groups, "directoryObjects", rows)
}

// profile is the form of the properties that both POST and PATCH take.
func profile(p *manage.Patch) odata.Form {
	return odata.Form{
		"userPrincipalName": odata.Text(&p.Name), "displayName": odata.Text(&p.DisplayName), "givenName": odata.Text(&p.GivenName), "surname": odata.Text(&p.Surname),
		"mail": odata.Text(&p.Mail), "mailNickname": odata.Text(&p.Nickname), "jobTitle": odata.Text(&p.JobTitle), "department": odata.Text(&p.Department),
		"officeLocation": odata.Text(&p.Office), "mobilePhone": odata.Text(&p.Mobile), "preferredLanguage": odata.Text(&p.Language), "accountEnabled": odata.Truth(&p.Enabled),
		// What is not kept here is taken where it says what is so anyway.
		"businessPhones": odata.Only("[]", "null"), "otherMails": odata.Only("[]", "null"), "userType": odata.Only(`"Member"`, "null"),
		"passwordPolicies": odata.Only(`"DisablePasswordExpiration"`, `"None"`, "null"),
	}
}

// password is a passwordProfile. Without a word about it the password must be
// changed at the next sign-in, as on Graph.
type password struct {
	given bool
	value *string
	force *bool
}

func (p *password) reader() odata.Reader {
	return odata.Inner(&p.given, odata.Form{"password": odata.Text(&p.value), "forceChangePasswordNextSignIn": odata.Truth(&p.force), "forceChangePasswordNextSignInWithMfa": odata.Only("false", "null")})
}

func (p *password) read(generate bool) (value string, mustChange bool, err error) {
	if p.value != nil {
		value = *p.value
	}
	if value == "" && !generate {
		err = odata.Unreadable("The passwordProfile holds no password.")
	}
	return value, p.force == nil || *p.force, err
}

func (s Server) postUsers(c *call) error {
	var p manage.Patch
	var pass password
	var generate *bool
	f := profile(&p)
	f["passwordProfile"] = pass.reader()
	f["@curfew.generatePassword"] = odata.Truth(&generate)
	act, err := c.Order(f)
	if err != nil {
		return err
	}
	switch {
	case p.Enabled == nil:
		return odata.Unreadable("The property accountEnabled is missing.")
	case p.Name == nil:
		return odata.Unreadable("The property userPrincipalName is missing.")
	case p.DisplayName == nil:
		return odata.Unreadable("The property displayName is missing.")
	}
	n := manage.NewUser{Disabled: !*p.Enabled, Generate: generate != nil && *generate}
	for _, f := range []struct {
		to   *string
		from *string
	}{{&n.Name, p.Name}, {&n.DisplayName, p.DisplayName}, {&n.GivenName, p.GivenName}, {&n.Surname, p.Surname}, {&n.Mail, p.Mail}, {&n.Nickname, p.Nickname},
		{&n.JobTitle, p.JobTitle}, {&n.Department, p.Department}, {&n.Office, p.Office}, {&n.Mobile, p.Mobile}, {&n.Language, p.Language}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if n.Password, n.MustChange, err = pass.read(n.Generate); err != nil {
		return err
	}
	if n.Generate && n.Password != "" {
		return odata.Unreadable("There is a password, so none can be generated.")
	}
	u, made, err := s.Manage.CreateUser(c.Ctx(), c.Actor, n, act)
	if err != nil {
		return err
	}
	c.W.Header().Set("Location", s.Root(c)+"/users/"+u.ID.String())
	out := append(object{{"@odata.context", s.Context(c, "users/$entity")}}, api.UserObject(u, append(slices.Clone(api.Usual), "accountEnabled"))...)
	if made != "" {
		out = append(out, member{"@curfew.password", made})
	}
	return c.Done(act, nil, http.StatusCreated, out)
}

func (s Server) patchUser(c *call) error {
	var p manage.Patch
	var pass password
	f := profile(&p)
	f["passwordProfile"] = pass.reader()
	act, err := c.Order(f)
	if err != nil {
		return err
	}
	if pass.given {
		value, mustChange, err := pass.read(false)
		if err != nil {
			return err
		}
		p.Password = &manage.NewPassword{Value: value, MustChange: mustChange}
	}
	id, err := s.User(c)
	if err != nil {
		return err
	}
	r, err := s.Manage.UpdateUser(c.Ctx(), c.Actor, id, p, act)
	return c.Finish(act, r, err)
}

func (s Server) deleteUser(c *call) error {
	id, err := s.User(c)
	if err != nil {
		return err
	}
	return c.Do(func(act manage.Act) (*manage.Receipt, error) { return s.Manage.DeleteUser(c.Ctx(), c.Actor, id, act) })
}

// postRevokeSignInSessions ends everything a user holds. It takes any body and
// looks into none: of all requests this one must not fail over a header that a
// script forgot.
func (s Server) postRevokeSignInSessions(c *call) error {
	act, err := c.Act()
	if err != nil {
		return err
	}
	id, err := s.User(c)
	if err != nil {
		return err
	}
	res, err := s.Revoke.User(c.Ctx(), c.Actor, id, revoke.Options{Reason: act.Reason, DryRun: act.DryRun})
	if err != nil {
		return err
	}
	if act.DryRun {
		return c.Done(act, nil, 0, nil)
	}
	return c.Done(act, res.Receipt, http.StatusOK, object{{"@odata.context", s.Context(c, "Edm.Boolean")}, {"value", true}, {"@curfew.receipt", res.Receipt.ID}})
}

// postChangePassword changes one's own password with the current one. What the
// caller holds, this token included, ends with it.
func (s Server) postChangePassword(c *call) error {
	var current, next *string
	if err := c.Body(odata.Form{"currentPassword": odata.Text(&current), "newPassword": odata.Text(&next)}); err != nil {
		return err
	}
	if current == nil || next == nil {
		return odata.Unreadable("The properties currentPassword and newPassword are needed.")
	}
	if c.R.Header.Get(api.DryRunHeader) != "" { // the verb knows none
		return fault.New(fault.Invalid, "A change of password cannot be tried without making it.")
	}
	id, err := s.User(c)
	if err != nil {
		return err
	}
	// Whoever it is about is read again inside. The name is for throttling, the
	// other one for the sentence that refuses.
	signed := &signin.Signed{Actor: c.Actor, User: &directory.User{ID: id, Name: c.Actor.Name, DisplayName: "this user"}}
	_, r, err := s.SignIn.ChangePassword(c.Ctx(), signed, *current, *next)
	if err != nil {
		return err
	}
	return c.Done(manage.Act{}, r, 0, nil)
}
