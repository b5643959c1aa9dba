package signins

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Fields that only sign-ins have.
const (
	fieldUser        directory.Field = "user"
	fieldApp         directory.Field = "app"
	fieldIP          directory.Field = "ip"
	fieldRequest     directory.Field = "request"
	fieldError       directory.Field = "error"
	fieldStatus      directory.Field = "status"
	fieldInteractive directory.Field = "interactive"
)

// schema is that of /auditLogs/signIns: conditions joined by and.
var schema = odata.Schema{
	Entity: "microsoft.graph.signIn",
	Filter: map[string]odata.Property{
		"userid": {Field: fieldUser, Kind: directory.KindID}, "userprincipalname": {Field: directory.FieldName, Kind: directory.KindText}, "appid": {Field: fieldApp, Kind: directory.KindText},
		"createddatetime": {Field: directory.FieldCreated, Kind: directory.KindTime}, "status/errorcode": {Field: fieldError, Kind: directory.KindNumber},
		"conditionalaccessstatus": {Field: fieldStatus, Kind: directory.KindText}, "isinteractive": {Field: fieldInteractive, Kind: directory.KindBool},
		"ipaddress": {Field: fieldIP, Kind: directory.KindText}, "correlationid": {Field: fieldRequest, Kind: directory.KindText},
	},
	Selects: selects(),
}

var statuses = map[string]review.Status{"success": review.Passed, "failure": review.Failed, "notApplied": review.NotApplied}

func where(q *review.Query, e *directory.Expr) error {
	if e == nil {
		return nil
	}
	if e.Op == directory.And {
		for _, a := range e.Args {
			if err := where(q, a); err != nil {
				return err
			}
		}
		return nil
	}
	not := e.Op == directory.Not
	if not {
		e = e.Args[0]
	}
	if len(e.Values) != 1 || not && (e.Op != directory.Equal || e.Field != fieldError) {
		return odata.Unsupported("Sign-ins are filtered by comparisons joined by and, and by “ne” of status/errorCode only.")
	}
	v := e.Values[0]
	twice := func(set bool) error {
		if set {
			return odata.Unsupported("Sign-ins are filtered by a property once.")
		}
		return nil
	}
	if e.Field == directory.FieldCreated {
		return span(q, e.Op, v.Time)
	}
	if e.Op != directory.Equal {
		return odata.Unsupported("Sign-ins are filtered by eq; createdDateTime by ge, gt, le and lt.")
	}
	switch e.Field {
	case fieldUser:
		if err := twice(!q.User.IsZero()); err != nil {
			return err
		}
		id, err := directory.ParseID[directory.User](v.Text)
		q.User = id
		return err
	case fieldInteractive:
		err := twice(q.Asked != nil)
		q.Asked = &v.Bool
		return err
	case fieldError:
		n, err := strconv.Atoi(v.Text)
		if err != nil {
			return err
		}
		if n == 0 {
			err, ok := twice(q.Success != nil), !not
			q.Success = &ok
			return err
		}
		if not {
			err, q.NotError = twice(q.NotError != 0), n
			return err
		}
		err, q.Error = twice(q.Error != 0), n
		return err
	case fieldStatus:
		for name, s := range statuses {
			if strings.EqualFold(name, v.Text) {
				err := twice(q.Status != 0)
				q.Status = s
				return err
			}
		}
		return odata.Unreadable("conditionalAccessStatus is success, failure or notApplied.")
	}
	to := map[directory.Field]*string{directory.FieldName: &q.UserName, fieldApp: (*string)(&q.App), fieldIP: &q.IP, fieldRequest: &q.Request}[e.Field]
	if v.Text == "" {
		return odata.Unsupported("Sign-ins without a value are not looked for.")
	}
	err := twice(*to != "")
	*to = v.Text
	return err
}

// span narrows the time. The log goes by milliseconds.
func span(q *review.Query, op directory.Op, t time.Time) error {
	ms := t.Truncate(time.Millisecond)
	switch op {
	case directory.AtLeast, directory.After:
		if op == directory.After || ms.Before(t) {
			ms = ms.Add(time.Millisecond)
		}
		if ms.After(q.From) {
			q.From = ms
		}
	case directory.AtMost, directory.Before:
		if op == directory.AtMost || ms.Before(t) {
			ms = ms.Add(time.Millisecond)
		}
		if q.To.IsZero() || ms.Before(q.To) {
			q.To = ms
		}
	default:
		return odata.Unsupported("createdDateTime is compared by ge, gt, le and lt.")
	}
	return nil
}

// filters are our own. Each returns what its value must be, or nothing.
var filters = map[string]func(*review.Query, string) string{
	"user": func(q *review.Query, v string) string {
		if id, err := directory.ParseID[directory.User](v); err == nil {
			q.User = id
		} else {
			q.UserName = v
		}
		return ""
	},
	"app":  func(q *review.Query, v string) string { q.App = directory.AppID(v); return "" },
	"from": func(q *review.Query, v string) string { return instant(&q.From, v) },
	"to":   func(q *review.Query, v string) string { return instant(&q.To, v) },
	"result": func(q *review.Query, v string) string {
		ok := v == "success"
		if q.Success = &ok; !ok && v != "failure" {
			return "success or failure"
		}
		return ""
	},
	"error": func(q *review.Query, v string) (problem string) {
		n, err := strconv.Atoi(strings.TrimPrefix(strings.ToUpper(v), "AADSTS"))
		if err != nil || n < 1 {
			return "a number such as 53003"
		}
		q.Error = n
		return ""
	},
	"kind": func(q *review.Query, v string) string {
		for k, name := range types {
			if name == v {
				q.Kind = k
				return ""
			}
		}
		return "interactiveUser, nonInteractiveUser or servicePrincipal"
	},
	"ip": func(q *review.Query, v string) string {
		if _, err := netip.ParseAddr(v); err != nil {
			return "an address"
		}
		q.IP = v
		return ""
	},
	"status": func(q *review.Query, v string) string {
		if q.Status = statuses[v]; q.Status == 0 {
			return "success, failure or notApplied"
		}
		return ""
	},
	"policy":  func(q *review.Query, v string) string { q.Policy = strings.ToLower(v); return "" },
	"outcome": func(q *review.Query, v string) string { q.Outcome = policy.Outcome(v); return "" },
	"risk": func(q *review.Query, v string) string {
		for r, name := range risks {
			if name == v {
				q.Risk = r
				return ""
			}
		}
		return "low, medium or high"
	},
	"request": func(q *review.Query, v string) string { q.Request = v; return "" },
	"token":   func(q *review.Query, v string) string { q.Token = v; return "" },
	"session": func(q *review.Query, v string) string { return parsed(&q.Session, v) },
	"grant":   func(q *review.Query, v string) string { return parsed(&q.Grant, v) },
}

func parsed[Of any](to *directory.ID[Of], v string) string {
	id, err := directory.ParseID[Of](v)
	if *to = id; err != nil {
		return "an id"
	}
	return ""
}

func instant(to *time.Time, v string) string {
	t, err := time.Parse(time.RFC3339, v)
	if *to = t; err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return "an instant such as 2026-03-02T12:00:00Z"
	}
	return ""
}
