package own

import (
	"net/http"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

var errNobody = fault.New(fault.NotFound, "There is no such user.")

func (s Server) getOwners(c *call) error {
	all, err := s.Manage.Owners(c.Ctx(), c.Actor, app(c))
	if err != nil {
		return err
	}
	out := make([]object, len(all))
	for i, u := range all {
		out[i] = object{{"id", u.ID}, {"name", u.Name}}
	}
	s.Page(c, "", -1, "", out)
	return nil
}

func (s Server) postOwner(c *call) error {
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
		return errNobody
	}
	return c.Finish(act, nil, s.Manage.AddOwner(c.Ctx(), c.Actor, app(c), id, act))
}

func (s Server) deleteOwner(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		id, err := directory.ParseID[directory.User](c.R.PathValue("user"))
		if err != nil {
			return nil, errNobody
		}
		return nil, s.Manage.RemoveOwner(c.Ctx(), c.Actor, app(c), id, act)
	})
}

func (s Server) getAssignments(c *call) error {
	all, err := s.Manage.AppAssignments(c.Ctx(), c.Actor, app(c))
	if err != nil {
		return err
	}
	s.Page(c, "", -1, "", views(all))
	return nil
}

func (s Server) postAssignment(c *call) error {
	var user, group, role *string
	act, err := c.OwnOrder(odata.Form{"user": odata.Text(&user), "group": odata.Text(&group), "role": odata.Text(&role)})
	if err != nil {
		return err
	}
	var n manage.NewAppAssignment
	if user != nil {
		if n.User, err = directory.ParseID[directory.User](*user); err != nil {
			return errNobody
		}
	}
	if group != nil {
		if n.Group, err = directory.ParseID[directory.Group](*group); err != nil {
			return fault.New(fault.NotFound, "There is no such group.")
		}
	}
	if role != nil {
		n.Role = *role
	}
	a, err := s.Manage.AssignApp(c.Ctx(), c.Actor, app(c), n, act)
	if err != nil {
		return err
	}
	return c.Done(act, nil, http.StatusCreated, view(a))
}

func (s Server) deleteAssignment(c *call) error {
	return c.Do(func(act manage.Act) (*manage.Receipt, error) {
		id, err := directory.ParseID[directory.AppAssignment](c.R.PathValue("assignment"))
		if err != nil {
			return nil, fault.New(fault.NotFound, "There is no such assignment.")
		}
		return s.Manage.UnassignApp(c.Ctx(), c.Actor, app(c), id, act)
	})
}
