package wire

import (
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// Known says what exists: what a policy names must. A nil func: nothing of the
// kind does.
type Known struct {
	User     func(directory.UserID) bool
	Group    func(directory.GroupID) bool
	Role     func(directory.RoleID) bool
	App      func(string) bool // a client_id or a resource
	Location func(id string) bool
	Strength func(id string) bool
	Terms    func(id string) bool
	Context  func(number int) bool
}

const (
	atUsers    = "$.conditions.users."
	atApps     = "$.conditions.applications."
	atPlaces   = "$.conditions.locations."
	atGrant    = "$.grantControls"
	atSession  = "$.sessionControls"
	alone      = "stands alone; what is beside it would mean nothing"
	bothSides  = "is included too; exclusion wins, so including it would mean nothing"
	notThere   = "does not exist"
	allAppOnly = "is possible with all applications only, none of them excluded: a browser session is not one application's"
)

func (d *document) named(name string) {
	if directory.CheckRequired("", name, 256) != nil {
		d.fail("$.displayName", "is not a line of 1 to 256 printable characters")
	}
}

// described checks a description that people read.
func (d *document) described(text string) {
	if directory.CheckText("", text, 1024) != nil {
		d.fail("$.description", "is not a line of at most 1024 printable characters")
	}
}

// check refuses what contradicts itself, what would never apply or do anything,
// and what names things that are not there. An administrator meant something by
// it, and it would not happen.
func check(p *policy.Policy, d *document, k Known) {
	d.named(p.Name)
	if p.State == 0 {
		d.fail("$.state", "is missing")
	}
	checkWho(p, d, k)
	checkApps(p, d, k)
	checkPlaces(p, d, k)
	switch {
	case p.Clients == 0:
		d.fail("$.conditions.clientAppTypes", "is missing; say all, or which")
	case p.Clients&policy.AllClients != 0 && p.Clients != policy.AllClients:
		d.fail(d.entry("$.conditions.clientAppTypes", "all"), alone)
	}
	const platforms = "$.conditions.platforms."
	if p.IncludePlatforms&policy.AllPlatforms != 0 && p.IncludePlatforms != policy.AllPlatforms {
		d.fail(d.entry(platforms+"includePlatforms", "all"), alone)
	}
	for _, n := range listed(p.IncludePlatforms&p.ExcludePlatforms, platformNames) {
		d.fail(d.entry(platforms+"excludePlatforms", n), bothSides)
	}
	if p.Device != nil {
		if len(p.Device.Rule) > maxRule {
			d.fail("$.conditions.devices.deviceFilter.rule", "is longer than "+strconv.Itoa(maxRule)+" bytes")
		} else if _, err := policy.ParseRule(p.Device.Rule); err != nil {
			d.fail("$.conditions.devices.deviceFilter.rule", err.Error())
		}
	}
	if p.Flows&1 != 0 {
		d.fail("$.conditions.authenticationFlows.transferMethods", "is none: leave authenticationFlows out for a policy about every sign-in")
	}
	if p.Grant == nil && p.Session == nil {
		d.fail("$", "neither demands nor limits anything: grantControls or sessionControls must say something")
	}
	checkGrant(p, d, k)
	checkSession(p, d)
}

func checkWho(p *policy.Policy, d *document, k Known) {
	in, ex := &p.Include, &p.Exclude
	switch {
	case nobody(in) && !in.None:
		d.fail("$.conditions.users", "includes nobody; say All, None, or whom")
	case in.None && (!nobody(in) || !nobody(ex)):
		d.fail(d.entry(atUsers+"includeUsers", "None"), alone)
	case in.All && (in.AnyGuest || len(in.Users)+len(in.Groups)+len(in.Roles) > 0 || in.Guests != 0):
		d.fail(d.entry(atUsers+"includeUsers", "All"), alone)
	case in.AnyGuest && ex.AnyGuest:
		d.fail(d.entry(atUsers+"excludeUsers", "GuestsOrExternalUsers"), bothSides)
	case in.Guests&ex.Guests != 0:
		d.fail(atUsers+"excludeGuestsOrExternalUsers.guestOrExternalUserTypes", bothSides)
	}
	for _, side := range []struct {
		name string
		who  *policy.Who
	}{{"include", in}, {"exclude", ex}} {
		exist(d, atUsers+side.name+"Users", side.who.Users, k.User, directory.UserID.String)
		exist(d, atUsers+side.name+"Groups", side.who.Groups, k.Group, directory.GroupID.String)
		exist(d, atUsers+side.name+"Roles", side.who.Roles, k.Role, func(r directory.RoleID) string { return string(r) })
	}
	apart(d, atUsers+"excludeUsers", in.Users, ex.Users, directory.UserID.String)
	apart(d, atUsers+"excludeGroups", in.Groups, ex.Groups, directory.GroupID.String)
	apart(d, atUsers+"excludeRoles", in.Roles, ex.Roles, func(r directory.RoleID) string { return string(r) })
}

func checkApps(p *policy.Policy, d *document, k Known) {
	a := &p.Apps
	named := a.All || a.None || len(a.Include) > 0
	switch {
	case !named && a.Actions == 0 && a.Contexts == (policy.Contexts{}):
		d.fail("$.conditions.applications", "includes nothing; say All, None, or which")
	case named && (a.Actions != 0 || a.Contexts != (policy.Contexts{})):
		d.fail(atApps+"includeApplications", "is said together with user actions or authentication contexts; make a policy for each")
	case a.Actions != 0 && a.Contexts != (policy.Contexts{}):
		d.fail(atApps+"includeUserActions", "is said together with authentication contexts; make a policy for each")
	case a.All && (a.None || len(a.Include) > 0):
		d.fail(d.entry(atApps+"includeApplications", "All"), alone)
	case a.None && (len(a.Include) > 0 || len(a.Exclude) > 0):
		d.fail(d.entry(atApps+"includeApplications", "None"), alone)
	case !named && len(a.Exclude) > 0:
		d.fail(atApps+"excludeApplications", "excludes from nothing: no applications are included")
	}
	same := func(s string) string { return s }
	exist(d, atApps+"includeApplications", a.Include, k.App, same)
	exist(d, atApps+"excludeApplications", a.Exclude, k.App, same)
	apart(d, atApps+"excludeApplications", a.Include, a.Exclude, same)
	exist(d, atApps+"includeAuthenticationContextClassReferences", contextNames(a.Contexts), func(s string) bool {
		n, _ := contextNumber(s)
		return k.Context != nil && k.Context(n)
	}, same)
}

func checkPlaces(p *policy.Policy, d *document, k Known) {
	in, ex := &p.IncludePlaces, &p.ExcludePlaces
	switch {
	case in.All && (in.Trusted || len(in.IDs) > 0):
		d.fail(d.entry(atPlaces+"includeLocations", "All"), alone)
	case in.Trusted && ex.Trusted:
		d.fail(d.entry(atPlaces+"excludeLocations", "AllTrusted"), bothSides)
	}
	same := func(s string) string { return s }
	exist(d, atPlaces+"includeLocations", in.IDs, k.Location, same)
	exist(d, atPlaces+"excludeLocations", ex.IDs, k.Location, same)
	apart(d, atPlaces+"excludeLocations", in.IDs, ex.IDs, same)
}

func checkGrant(p *policy.Policy, d *document, k Known) {
	g := p.Grant
	if g == nil {
		return
	}
	const builtIn = atGrant + ".builtInControls"
	switch {
	case g.Block && (g.Controls != 0 || g.Strength != "" || len(g.Terms) > 0):
		d.fail(d.entry(builtIn, "block"), alone)
	case g.Block && p.Session != nil:
		d.fail(atSession, "limits a session that is blocked")
	case !g.Block && g.Controls == 0 && g.Strength == "" && len(g.Terms) == 0:
		d.fail(atGrant, "demands nothing")
	case g.Controls&policy.NeedMFA != 0 && g.Strength != "":
		d.fail(d.entry(builtIn, "mfa"), "is said together with an authentication strength, which is more exact")
	case g.Controls&policy.NeedPasswordChange != 0 && (p.UserRisk == 0 || !everyApp(p)):
		d.fail(d.entry(builtIn, "passwordChange"), "is possible with a user risk and all applications only: else it would be asked for at each sign-in")
	}
	same := func(s string) string { return s }
	if g.Strength != "" && (k.Strength == nil || !k.Strength(g.Strength)) {
		d.fail(atGrant+".authenticationStrength.id", notThere)
	}
	exist(d, atGrant+".termsOfUse", g.Terms, k.Terms, same)
}

func checkSession(p *policy.Policy, d *document) {
	s := p.Session
	switch {
	case s == nil:
	case s.Frequency == nil && s.Persistent == 0 && !s.AppEnforced && s.Continuous == 0:
		d.fail(atSession, "limits nothing")
	case s.Persistent != 0 && !everyApp(p):
		d.fail(atSession+".persistentBrowser", allAppOnly)
	case s.Continuous == policy.NotContinuous && (!everyApp(p) || limited(p)):
		d.fail(atSession+".continuousAccessEvaluation", "is disabled: that is possible with all applications and no further condition only")
	}
}

func everyApp(p *policy.Policy) bool { return p.Apps.All && len(p.Apps.Exclude) == 0 }

// limited reports whether a condition beyond users and applications is set.
func limited(p *policy.Policy) bool {
	return p.Clients != policy.AllClients || p.IncludePlatforms != 0 || !nowhere(&p.IncludePlaces) || p.Device != nil || p.SignInRisk != 0 || p.UserRisk != 0 || p.Flows != 0
}

func exist[T any](d *document, list string, all []T, known func(T) bool, write func(T) string) {
	for _, x := range all {
		if known == nil || !known(x) {
			d.fail(d.entry(list, write(x)), notThere)
		}
	}
}

func apart[T comparable](d *document, list string, in, ex []T, write func(T) string) {
	for _, x := range ex {
		if slices.ContainsFunc(in, func(y T) bool { return strings.EqualFold(write(x), write(y)) }) {
			d.fail(d.entry(list, write(x)), bothSides)
		}
	}
}

func nobody(w *policy.Who) bool {
	return !w.All && !w.AnyGuest && len(w.Users)+len(w.Groups)+len(w.Roles) == 0 && w.Guests == 0
}

func nowhere(p *policy.Places) bool { return !p.All && !p.Trusted && len(p.IDs) == 0 }
