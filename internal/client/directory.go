package client

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// Group is a set of users.
type Group struct {
	ID             string     `json:"id"`
	DisplayName    string     `json:"displayName"`
	Description    string     `json:"description,omitempty"`
	RoleAssignable bool       `json:"isAssignableToRole,omitempty"`
	Created        *time.Time `json:"createdDateTime,omitempty"`
}

// Groups lists groups; search, when not empty, is what words of their names begin
// with.
func (c *Client) Groups(ctx context.Context, search string) ([]*Group, error) {
	v := url.Values{"$top": {"999"}}
	if search != "" {
		v.Set("$search", `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(search)+`"`)
	}
	return all[Group](ctx, c, "/groups", v)
}

// Group returns a group by id or name.
func (c *Client) Group(ctx context.Context, ref string) (*Group, error) {
	if IsID(ref) {
		g := &Group{}
		return g, c.do(ctx, call{method: "GET", path: at("groups", ref)}, g)
	}
	found, err := all[Group](ctx, c, "/groups", url.Values{"$filter": {"displayName eq " + quote(ref)}})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, &Error{Status: 404, Code: "Request_ResourceNotFound", Message: "There is no such group."}
	}
	return found[0], nil
}

// IsID reports whether ref has the form of an object id.
func IsID(ref string) bool {
	return len(ref) == 36 && ref[8] == '-' && ref[13] == '-' && ref[18] == '-' && ref[23] == '-' &&
		strings.Trim(strings.ReplaceAll(ref, "-", ""), "0123456789abcdefABCDEF") == ""
}

// Members lists who is in a group, by its id.
func (c *Client) Members(ctx context.Context, group string) ([]*User, error) {
	return all[User](ctx, c, at("groups", group, "members"), url.Values{"$top": {"999"}, "$select": {userFields}})
}

// Membership is what a user is a member of, by name. Roles that a group gives are
// among the roles.
type Membership struct{ Roles, Groups []string }

// MemberOf lists what a user is a member of.
func (c *Client) MemberOf(ctx context.Context, user string) (m Membership, err error) {
	type member struct {
		Type string `json:"@odata.type"`
		Name string `json:"displayName"`
	}
	found, err := all[member](ctx, c, at("users", user, "memberOf"), url.Values{"$top": {"999"}})
	for _, x := range found {
		switch x.Type {
		case "#microsoft.graph.group":
			m.Groups = append(m.Groups, x.Name)
		case "#microsoft.graph.directoryRole":
			m.Roles = append(m.Roles, x.Name)
		}
	}
	return m, err
}

// CreateGroup creates a group. Whether it can hold roles is decided once.
func (c *Client) CreateGroup(ctx context.Context, name, description string, roleAssignable bool, act Act) (*Group, Done, error) {
	nick := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(strings.ReplaceAll(name, " ", "-")))
	if nick == "" {
		nick = "group"
	}
	doc := map[string]any{"displayName": name, "mailEnabled": false, "mailNickname": nick, "securityEnabled": true}
	if description != "" {
		doc["description"] = description
	}
	if roleAssignable {
		doc["isAssignableToRole"] = true
	}
	g := &Group{}
	done, err := c.change(ctx, call{method: "POST", path: "/groups", in: doc}, act, g)
	return g, done, err
}

// DeleteGroup deletes a group by id.
func (c *Client) DeleteGroup(ctx context.Context, id string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: at("groups", id)}, act, nil)
}

// AddMember puts a user into a group; both by id.
func (c *Client) AddMember(ctx context.Context, group, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: at("groups", group, "members") + "/$ref",
		in: map[string]any{"@odata.id": c.conn.Base + "/v1.0" + at("directoryObjects", user)}}, act, nil)
}

// RemoveMember takes a user out of a group; both by id.
func (c *Client) RemoveMember(ctx context.Context, group, user string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: at("groups", group, "members", user) + "/$ref"}, act, nil)
}

// Role is a directory role.
type Role struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	Description string `json:"description,omitempty"`
	Privileged  bool   `json:"isPrivileged,omitempty"`
}

const roleManagement = "/roleManagement/directory"

// Roles lists the roles there are.
func (c *Client) Roles(ctx context.Context) ([]*Role, error) {
	return all[Role](ctx, c, roleManagement+"/roleDefinitions", url.Values{"$top": {"999"}})
}

// Holder is who holds a role directly.
type Holder struct {
	Type string `json:"@odata.type"`
	User
}

// IsGroup reports whether its members hold the role.
func (h *Holder) IsGroup() bool { return h.Type == "#microsoft.graph.group" }

// Holders lists who holds a role directly, by the role's id.
func (c *Client) Holders(ctx context.Context, role string) ([]*Holder, error) {
	return all[Holder](ctx, c, at("directoryRoles", role, "members"), url.Values{"$top": {"999"}})
}

// Assignment gives a role to a user or a group.
type Assignment struct {
	ID        string `json:"id"`
	Role      string `json:"roleDefinitionId"`
	Principal string `json:"principalId"`
}

// Assignments lists role assignments: of a role, of a principal, or with both
// empty all.
func (c *Client) Assignments(ctx context.Context, role, principal string) ([]*Assignment, error) {
	v := url.Values{"$top": {"999"}}
	var tests []string
	if role != "" {
		tests = append(tests, "roleDefinitionId eq "+quote(role))
	}
	if principal != "" {
		tests = append(tests, "principalId eq "+quote(principal))
	}
	if tests != nil {
		v.Set("$filter", strings.Join(tests, " and "))
	}
	return all[Assignment](ctx, c, roleManagement+"/roleAssignments", v)
}

// Assign gives a role to a user or a group; both by id.
func (c *Client) Assign(ctx context.Context, role, principal string, act Act) (Done, error) {
	return c.change(ctx, call{method: "POST", path: roleManagement + "/roleAssignments",
		in: map[string]any{"roleDefinitionId": role, "principalId": principal, "directoryScopeId": "/"}}, act, nil)
}

// Unassign takes an assignment back, by its id.
func (c *Client) Unassign(ctx context.Context, assignment string, act Act) (Done, error) {
	return c.change(ctx, call{method: "DELETE", path: roleManagement + at("roleAssignments", assignment)}, act, nil)
}
