package graph

import (
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

func (s Server) auditRoutes() api.Routes {
	return api.Routes{"GET /auditLogs/directoryAudits": s.getAudits}
}

func (s Server) getAudits(c *call) error {
	q, err := c.Query(&odata.Audits)
	if err != nil {
		return err
	}
	if q.Count {
		return odata.Unsupported("The audit log is not counted.")
	}
	aq := manage.AuditQuery{Limit: (&directory.UserQuery{Top: q.Top}).Limit()}
	if q.SkipToken != "" {
		if aq.Before, err = strconv.ParseInt(q.SkipToken, 10, 64); err != nil || aq.Before < 1 {
			return odata.Unreadable("The $skiptoken is not from a page of this listing.")
		}
	}
	all, err := s.Manage.Audits(c.Ctx(), c.Actor, aq)
	if err != nil {
		return err
	}
	next := ""
	if len(all) == aq.Limit {
		next = s.Next(c, "$skiptoken", strconv.FormatInt(all[len(all)-1].ID, 10))
	}
	value := make([]object, len(all))
	for i := range all {
		value[i] = auditObject(&all[i])
	}
	s.Page(c, "auditLogs/directoryAudits", -1, next, value)
	return nil
}

// categories are Microsoft's, by the words of an activity.
var categories = []struct{ word, category string }{{"role", "RoleManagement"}, {"group", "GroupManagement"}, {"application", "ApplicationManagement"},
	{"service principal", "ApplicationManagement"}, {"consent", "ApplicationManagement"}, {"resource", "ApplicationManagement"}, {"company", "DirectoryManagement"}}

func auditObject(r *audit.Record) object {
	category, result, low := "UserManagement", "success", strings.ToLower(r.Action)
	for _, x := range categories {
		if strings.Contains(low, x.word) {
			category = x.category
			break
		}
	}
	if r.Result != audit.Success {
		result = "failure"
	}
	by := object{{"user", nil}, {"app", object{{"appId", api.TextOrNull(r.Actor.ID)}, {"displayName", r.Actor.Name}}}}
	if r.Actor.Kind == "user" {
		by = object{{"user", object{{"id", r.Actor.ID}, {"displayName", nil}, {"userPrincipalName", r.Actor.Name}, {"ipAddress", api.TextOrNull(r.IP)}}}, {"app", nil}}
	}
	changed := []object{}
	for _, x := range r.Changes {
		changed = append(changed, object{{"displayName", x.Property}, {"oldValue", listed(x.Old)}, {"newValue", listed(x.New)}})
	}
	target := object{{"id", api.TextOrNull(r.Target.ID)}, {"type", typeName(r.Target.Kind)}, {"displayName", api.TextOrNull(r.Target.Name)}, {"userPrincipalName", nil}, {"modifiedProperties", changed}}
	if r.Target.Kind == "user" {
		target[3].Value = api.TextOrNull(r.Target.Name)
	}
	more := []object{}
	for _, x := range []struct{ key, value string }{{"reason", r.Reason}, {"receipt", r.Receipt}, {"client", r.Client}} {
		if x.value != "" {
			more = append(more, object{{"key", x.key}, {"value", x.value}})
		}
	}
	if r.Pos > 0 {
		more = append(more, object{{"key", "ledgerPosition"}, {"value", strconv.FormatInt(int64(r.Pos), 10)}})
	}
	return object{{"id", strconv.FormatInt(r.ID, 10)}, {"activityDateTime", r.At.UTC().Format("2006-01-02T15:04:05.000Z")}, {"activityDisplayName", r.Action},
		{"category", category}, {"operationType", operation(r.Action)}, {"loggedByService", "Core Directory"}, {"result", result}, {"resultReason", r.Elaborate},
		{"correlationId", api.TextOrNull(r.Request)}, {"initiatedBy", by}, {"targetResources", []object{target}}, {"additionalDetails", more}}
}

// operation is Microsoft's word for the kind of act: the first of the activity.
func operation(activity string) string {
	verb, _, _ := strings.Cut(activity, " ")
	switch verb {
	case "Add":
		if strings.Contains(activity, "member") {
			return "Assign"
		}
	case "Remove":
		return "Unassign"
	case "Delete":
	default:
		return "Update"
	}
	return verb
}

func typeName(kind string) string {
	if kind == "" {
		return "Other"
	}
	return strings.ToUpper(kind[:1]) + kind[1:]
}

// listed writes a value as Microsoft's log does: a JSON array in a string.
func listed(value string) string {
	if value == "" || strings.HasPrefix(value, "[") {
		return value
	}
	b, err := api.Encode([]string{value})
	if err != nil {
		panic("graph: " + err.Error()) // a text
	}
	return string(b)
}
