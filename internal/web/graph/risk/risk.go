package risk

import (
	"cmp"
	"context"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/watch"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
)

// Server answers about risk.
type Server struct {
	*api.Server
	Watch *watch.Service
}

type (
	call   = api.Call
	object = api.Object
)

const (
	users      = "/identityProtection/riskyUsers"
	detections = "/identityProtection/riskDetections"
)

// Routes are all addresses of Microsoft's that are about risk.
func (s Server) Routes() api.Routes {
	return api.Routes{
		"GET " + users:                          s.getUsers,
		"GET " + users + "/{id}":                s.getUser,
		"GET " + users + "/{id}/history":        s.getHistory,
		"POST " + users + "/confirmCompromised": s.postAbout(s.Watch.Confirm),
		"POST " + users + "/dismiss":            s.postAbout(s.Watch.Dismiss),
		"GET " + detections:                     s.getDetections,
		"GET " + detections + "/{id}":           s.getDetection,
	}
}

// OwnRoutes are those under /curfew.
func (s Server) OwnRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/riskRules":          s.getRules,
		"PATCH /curfew/riskRules/{rule}": s.patchRule,
	}
}

var (
	userSchema = odata.Schema{Entity: "microsoft.graph.riskyUser", Filter: filters("id"), Selects: []string{"id", "isDeleted", "isProcessing", "riskDetail", "riskLastUpdatedDateTime", "riskLevel", "riskState", "userDisplayName", "userPrincipalName"}}
	foundNames = []string{"id", "requestId", "correlationId", "riskEventType", "riskState", "riskLevel", "riskDetail", "source", "detectionTimingType", "activity", "tokenIssuerType", "ipAddress", "location",
		"activityDateTime", "detectedDateTime", "lastUpdatedDateTime", "userId", "userDisplayName", "userPrincipalName", "additionalInfo"}
	foundSchema   = odata.Schema{Entity: "microsoft.graph.riskDetection", Filter: filters("userid"), Selects: foundNames}
	historySchema = odata.Schema{Entity: "microsoft.graph.riskyUserHistoryItem", Selects: append([]string{"userId", "initiatedBy", "activity"}, userSchema.Selects...)}
	ruleSchema    = odata.Schema{Entity: "curfew.riskRule", Selects: []string{"id", "text", "weight", "isEnabled", "isEnabledByDefault", "about", "riskEventType"}}
)

// levels are Graph's words for a risk; a risk that nobody computed is none there too.
var levels = map[policy.Risk]string{0: "none", policy.NoRisk: "none", policy.LowRisk: "low", policy.MediumRisk: "medium", policy.HighRisk: "high"}

// details say how an account or a finding came into the state it is in.
var details = map[risk.Rule]string{"": "none", risk.Confirmed: "adminConfirmedUserCompromised", risk.Dismissed: "adminDismissedAllRiskForUser",
	risk.Changed: "userPerformedSecuredPasswordChange", risk.Reset: "adminGeneratedTemporaryPassword"}

func userObject(u watch.User) object {
	state, detail := cmp.Or(u.State.State, "none"), details[u.By]
	if state == watch.Compromised {
		detail = details[risk.Confirmed]
	}
	why := make([]string, len(u.Why))
	for i, d := range u.Why {
		why[i] = d.Why
	}
	return object{{"id", u.User}, {"isDeleted", u.Deleted}, {"isProcessing", false}, {"riskLevel", levels[u.Level]}, {"riskState", state}, {"riskDetail", detail},
		{"riskLastUpdatedDateTime", api.Instant(u.Updated)}, {"userDisplayName", u.DisplayName}, {"userPrincipalName", u.Name}, {"@curfew.reasons", why}}
}

func (s Server) getUsers(c *call) error {
	q, err := c.Query(&userSchema)
	if err != nil {
		return err
	}
	if q.Count {
		return odata.Unsupported("Accounts at risk are not counted.")
	}
	w, err := where(q.Filter)
	if err != nil {
		return err
	}
	var after directory.UserID
	if q.SkipToken != "" {
		if after, err = directory.ParseID[directory.User](q.SkipToken); err != nil {
			return odata.Unreadable("The $skiptoken is not from a page of this listing.")
		}
	}
	all, next, err := s.Watch.Users(c.Ctx(), c.Actor, w, after)
	if err != nil {
		return err
	}
	value := make([]object, len(all))
	for i, u := range all {
		value[i] = userObject(u)
	}
	token := ""
	if !next.IsZero() {
		token = next.String()
	}
	return s.page(c, "identityProtection/riskyUsers", q, token, value)
}

// page answers with one page of a listing.
func (s Server) page(c *call, set string, q odata.Query, token string, value []object) error {
	if q.Select != nil {
		for i := range value {
			value[i] = value[i].Pick(q.Select)
		}
	}
	s.Page(c, set+api.Selected(q.Select), -1, s.NextPage(c, token), value)
	return nil
}

func (s Server) getUser(c *call) error {
	id, err := api.ID[directory.User](c, "id")
	if err != nil {
		return err
	}
	u, err := s.Watch.User(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	return s.Entity(c, &userSchema, "identityProtection/riskyUsers", api.Row{ID: id.String(), Item: func() object { return userObject(u) }})
}

// of is Graph's name for what was found, and the words that go with it.
func of(d *watch.Detection) (event, level, detail, about string) {
	row, ok := risk.Of(d.Rule)
	event, about, detail = row.Graph, "user", details[d.By]
	switch {
	case d.Rule == risk.Confirmed:
		if event = "adminConfirmedUserCompromised"; d.By == "" {
			detail = details[risk.Confirmed]
		}
	case risk.Weight(d.Rule) == 0:
		event = "generic"
	case !ok:
		event = "unknownFutureValue"
	case row.SignIn:
		about = "signin"
	}
	return event, levels[risk.Level([]risk.Rule{d.Rule})], detail, about
}

func (s Server) getHistory(c *call) error {
	id, err := api.ID[directory.User](c, "id")
	if err != nil {
		return err
	}
	q, before, err := s.listing(c, &historySchema)
	if err != nil {
		return err
	}
	u, err := s.Watch.User(c.Ctx(), c.Actor, id)
	if err != nil {
		return err
	}
	all, next, err := s.Watch.History(c.Ctx(), c.Actor, id, before)
	if err != nil {
		return err
	}
	value := make([]object, len(all))
	for i, d := range all {
		event, level, detail, _ := of(d)
		value[i] = object{{"id", d.ID}, {"userId", id}, {"isDeleted", u.Deleted}, {"isProcessing", false}, {"riskLevel", level}, {"riskState", state(d)}, {"riskDetail", detail},
			{"riskLastUpdatedDateTime", api.Instant(d.At)}, {"userDisplayName", u.DisplayName}, {"userPrincipalName", u.Name}, {"initiatedBy", api.TextOrNull(d.Actor)},
			{"activity", object{{"detail", api.TextOrNull(detail)}, {"riskEventTypes", []string{event}}}},
			{"@curfew.rule", string(d.Rule)}, {"@curfew.why", d.Why}, {"@curfew.ipAddress", api.TextOrNull(d.IP)}}
	}
	return s.page(c, "identityProtection/riskyUsers('"+id.String()+"')/history", q, next, value)
}

// state is what became of a finding.
func state(d *watch.Detection) string {
	switch {
	case d.By == risk.Changed, d.By == risk.Reset:
		return watch.Remediated
	case !d.Closed.IsZero():
		return watch.Dismissed
	case d.Rule == risk.Confirmed:
		return watch.Compromised
	}
	return watch.AtRisk
}

// listing reads the query of a listing of findings.
func (s Server) listing(c *call, schema *odata.Schema) (q odata.Query, before watch.DetectionID, err error) {
	if q, err = c.Query(schema); err != nil {
		return q, before, err
	}
	if q.Count {
		return q, before, odata.Unsupported("Findings are not counted.")
	}
	if q.SkipToken != "" {
		if err := before.UnmarshalText([]byte(q.SkipToken)); err != nil {
			return q, before, odata.Unreadable("The $skiptoken is not from a page of this listing.")
		}
	}
	return q, before, nil
}

func (s Server) getDetections(c *call) error {
	q, before, err := s.listing(c, &foundSchema)
	if err != nil {
		return err
	}
	w, err := where(q.Filter)
	if err != nil {
		return err
	}
	all, next, err := s.Watch.Detections(c.Ctx(), c.Actor, w, before)
	if err != nil {
		return err
	}
	value := make([]object, len(all))
	for i, d := range all {
		value[i] = detection(d)
	}
	return s.page(c, "identityProtection/riskDetections", q, next, value)
}

func (s Server) getDetection(c *call) error {
	id, err := api.ID[watch.Detection](c, "id")
	if err != nil {
		return err
	}
	all, _, err := s.Watch.Detections(c.Ctx(), c.Actor, watch.Query{ID: id}, watch.DetectionID{})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fault.New(fault.NotFound, "There is no such finding.")
	}
	return s.Entity(c, &foundSchema, "identityProtection/riskDetections", api.Row{ID: id.String(), Item: func() object { return detection(all[0]) }})
}

func detection(d watch.Found) object {
	event, level, detail, about := of(d.Detection)
	return object{{"id", d.ID}, {"requestId", api.TextOrNull(d.Request)}, {"correlationId", api.TextOrNull(d.Request)}, {"riskEventType", event}, {"riskState", state(d.Detection)}, {"riskLevel", level},
		{"riskDetail", detail}, {"source", "curfew"}, {"detectionTimingType", "realtime"}, {"activity", about}, {"tokenIssuerType", "AzureAD"}, {"ipAddress", api.TextOrNull(d.IP)}, {"location", nil},
		{"activityDateTime", api.Instant(d.At)}, {"detectedDateTime", api.Instant(d.At)}, {"lastUpdatedDateTime", api.Instant(d.Changed())},
		{"userId", d.User}, {"userDisplayName", d.DisplayName}, {"userPrincipalName", d.Name}, {"additionalInfo", nil}, {"@curfew.rule", string(d.Rule)}, {"@curfew.why", d.Why}}
}

// most bounds how many accounts one request may be about, as Graph does.
const most = 60

// postAbout does the same to each of the accounts named. It goes on after one that
// fails, and answers with the first fault.
func (s Server) postAbout(do func(context.Context, directory.Actor, directory.UserID, manage.Act) error) func(*call) error {
	return func(c *call) error {
		var ids *[]string
		act, err := c.Order(odata.Form{"userIds": odata.List(&ids, "strings")})
		if err != nil {
			return err
		}
		if ids == nil || len(*ids) == 0 || len(*ids) > most {
			return fault.New(fault.Invalid, "userIds must name 1 to 60 accounts.")
		}
		var first error
		for _, text := range *ids {
			id, err := directory.ParseID[directory.User](text)
			if err != nil {
				return odata.Unreadable("userIds must be object ids.")
			}
			one := act
			if act.Effects != nil {
				one.Effects = new([]string)
			}
			if err := do(c.Ctx(), c.Actor, id, one); err != nil && first == nil {
				first = err
			}
			if act.Effects != nil {
				*act.Effects = append(*act.Effects, *one.Effects...)
			}
		}
		return c.Finish(act, nil, first)
	}
}

func ruleObject(r watch.Setting) object {
	about := "user"
	if r.SignIn {
		about = "signIn"
	}
	return object{{"id", string(r.Rule)}, {"text", r.Text}, {"weight", r.Weight}, {"isEnabled", r.On}, {"isEnabledByDefault", r.Row.On}, {"about", about}, {"riskEventType", r.Graph}}
}

func (s Server) getRules(c *call) error {
	q, err := c.Query(&ruleSchema)
	if err != nil {
		return err
	}
	all, err := s.Watch.Rules(c.Ctx(), c.Actor)
	if err != nil {
		return err
	}
	value := make([]object, len(all))
	for i, r := range all {
		value[i] = ruleObject(r)
	}
	return s.page(c, "curfew/riskRules", q, "", value)
}

func (s Server) patchRule(c *call) error {
	var on *bool
	act, err := c.OwnOrder(odata.Form{"isEnabled": odata.Truth(&on)})
	if err != nil {
		return err
	}
	if on == nil {
		return odata.Unreadable("Say isEnabled, true or false.")
	}
	return c.Finish(act, nil, s.Watch.SetRules(c.Ctx(), c.Actor, map[risk.Rule]bool{risk.Rule(c.R.PathValue("rule")): *on}, act))
}
