package policies

import (
	"cmp"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// book is what documents name, by id, as people call it. What the reader may not
// read, or what is gone, is called by its id.
type book struct {
	v      *desk.Visit
	apps   map[string]string
	docs   map[govern.Kind]map[string]string
	users  map[directory.UserID]string
	groups map[directory.GroupID]string
}

func (s *Server) book(v *desk.Visit) (*book, error) {
	b := &book{v: v, apps: map[string]string{}, docs: map[govern.Kind]map[string]string{}, users: map[directory.UserID]string{}, groups: map[directory.GroupID]string{}}
	for _, k := range []govern.Kind{govern.Location, govern.Strength, govern.Context, govern.Terms} {
		all, err := s.Govern.List(v.Ctx(), v.Actor, k)
		if err != nil {
			return nil, err
		}
		b.docs[k] = map[string]string{}
		for _, d := range all {
			b.docs[k][d.ID()] = d.Name()
		}
	}
	// Names are a courtesy: a reader of policies may not be one of applications.
	if apps, err := s.Manage.Apps(v.Ctx(), v.Actor); err == nil {
		for _, a := range apps {
			b.apps[string(a.ID)] = registry.Name(a)
		}
	}
	if all, err := s.Manage.Resources(v.Ctx(), v.Actor); err == nil {
		for _, r := range all {
			b.apps[string(r.ID)] = cmp.Or(r.Name, string(r.ID))
		}
	}
	return b, nil
}

func (b *book) doc(k govern.Kind, id string) string { return cmp.Or(b.docs[k][id], id) }

func (b *book) user(id directory.UserID) string {
	if _, known := b.users[id]; !known {
		b.users[id] = id.String()
		if u, err := b.v.Desk.Manage.User(b.v.Ctx(), b.v.Actor, id.String()); err == nil {
			b.users[id] = desk.Calling(u.User)
		}
	}
	return b.users[id]
}

func (b *book) group(id directory.GroupID) string {
	if _, known := b.groups[id]; !known {
		b.groups[id] = id.String()
		if g, err := b.v.Desk.Manage.Group(b.v.Ctx(), b.v.Actor, id.String()); err == nil {
			b.groups[id] = g.Group.Name
		}
	}
	return b.groups[id]
}

// few joins names, of which so many are written out.
func few(names []string, n int) string {
	if len(names) > n {
		return strings.Join(names[:n], ", ") + " and " + webkit.Num(len(names)-n) + " more"
	}
	return webkit.And(names)
}

func (b *book) people(w policy.Who) (all []string) {
	switch {
	case w.All:
		return []string{"Everyone"}
	case w.None:
		return []string{"Nobody"}
	}
	if w.AnyGuest || w.Guests != 0 {
		all = append(all, "guests")
	}
	all = append(all, role.Names(w.Roles)...)
	for _, g := range w.Groups {
		all = append(all, "the group "+b.group(g))
	}
	for _, u := range w.Users {
		all = append(all, b.user(u))
	}
	return all
}

func (b *book) called(ids []string) (all []string) {
	for _, id := range ids {
		all = append(all, cmp.Or(b.apps[id], id))
	}
	return all
}

// reaches is what a policy is about.
func (b *book) reaches(a policy.Apps) (all []string) {
	switch {
	case a.All:
		return []string{"Every application"}
	case a.None:
		return []string{"No application"}
	}
	if a.Actions&(1<<(policy.RegisterSecurityInfo-1)) != 0 {
		all = append(all, "Registering a way to prove who one is")
	}
	if a.Actions&(1<<(policy.RegisterDevice-1)) != 0 {
		all = append(all, "Registering a device")
	}
	for n := 1; n <= policy.MaxContext; n++ {
		if a.Contexts.Has(n) {
			id := "c" + webkit.Num(n)
			all = append(all, "What is protected as "+b.doc(govern.Context, id))
		}
	}
	return append(all, b.called(a.Include)...)
}

func (b *book) places(p policy.Places) (all []string) {
	if p.All {
		return nil
	}
	if p.Trusted {
		all = append(all, "a trusted location")
	}
	for _, id := range p.IDs {
		all = append(all, b.doc(govern.Location, id))
	}
	return all
}

var (
	clientWords   = []string{"browsers", "apps", "Exchange ActiveSync", "Exchange ActiveSync (supported)", "other clients"}
	platformWords = []string{"Android", "iOS", "Windows", "Windows Phone", "macOS", "Linux"}
	riskWords     = []string{"not known", "none", "low", "medium", "high"}
)

// picked are the words of a set of bits.
func picked(bits uint64, words []string, from int) (all []string) {
	for i, w := range words {
		if w != "" && i >= from && bits>>(i-from)&1 == 1 {
			all = append(all, w)
		}
	}
	return all
}

// conditions are the further conditions of a policy, one sentence each.
func (b *book) conditions(p *policy.Policy) (all []string) {
	say := func(before string, words []string) {
		if len(words) > 0 {
			all = append(all, before+webkit.Or(words))
		}
	}
	if p.Clients&policy.AllClients == 0 {
		say("Only in ", picked(uint64(p.Clients), clientWords, 0))
	}
	if p.IncludePlatforms&policy.AllPlatforms == 0 {
		say("Only on ", picked(uint64(p.IncludePlatforms), platformWords, 0))
	}
	say("Not on ", picked(uint64(p.ExcludePlatforms), platformWords, 0))
	say("Only from ", b.places(p.IncludePlaces))
	say("Not from ", b.places(p.ExcludePlaces))
	if p.Device != nil && p.Device.Exclude {
		all = append(all, "Not on devices where "+p.Device.Rule)
	} else if p.Device != nil {
		all = append(all, "Only on devices where "+p.Device.Rule)
	}
	say("Only if the risk of the sign-in is ", picked(uint64(p.SignInRisk), riskWords, 1))
	say("Only if the risk of the account is ", picked(uint64(p.UserRisk), riskWords, 1))
	say("Only by ", picked(uint64(p.Flows), []string{"a sign-in in the app itself", "device code", "a transferred sign-in"}, 0))
	return all
}

// demands are what a policy asks for.
func (b *book) demands(g *policy.Grant) (all []string) {
	if g == nil {
		return nil
	}
	if g.Block {
		return []string{"Block"}
	}
	for _, x := range []struct {
		bit  policy.Needs
		word string
	}{{policy.NeedMFA, "Two factors"}, {policy.NeedCompliantDevice, "A compliant device"}, {policy.NeedHybridDevice, "A joined device"}, {policy.NeedPasswordChange, "A new password"}} {
		if g.Controls&x.bit != 0 {
			all = append(all, x.word)
		}
	}
	if g.Strength != "" {
		all = append(all, b.doc(govern.Strength, g.Strength))
	}
	for _, id := range g.Terms {
		all = append(all, "Accepting "+b.doc(govern.Terms, id))
	}
	return all
}

func joined(g *policy.Grant, all []string) string {
	if g != nil && g.Any {
		return webkit.Or(all)
	}
	return webkit.And(all)
}

// limits are what a policy says of what comes after.
func limits(x *policy.Session) (all []string) {
	if x == nil {
		return nil
	}
	if f := x.Frequency; f != nil {
		what, when := "Sign in again ", "each time"
		if f.Secondary {
			what = "Give a second factor again "
		}
		if !f.Every {
			when = "after " + webkit.Span(f.Life)
		}
		all = append(all, what+when)
	}
	switch x.Persistent {
	case policy.Always:
		all = append(all, "Browsers stay signed in")
	case policy.Never:
		all = append(all, "Browsers do not stay signed in")
	}
	if x.AppEnforced {
		all = append(all, "The application limits what it shows")
	}
	switch x.Continuous {
	case policy.NotContinuous:
		all = append(all, "Not judged again by guards")
	case policy.StrictLocation:
		all = append(all, "Judged by guards at each request, address and all")
	case policy.StrictEnforcement:
		all = append(all, "Judged by guards at each request, strictly")
	}
	return all
}

// need is what is asked for, in plain words. Those that are documents have names.
func (b *book) need(name string) string {
	if id, ok := strings.CutPrefix(name, "authenticationStrength:"); ok {
		return b.doc(govern.Strength, id)
	}
	if id, ok := strings.CutPrefix(name, "termsOfUse:"); ok {
		return "accepting " + b.doc(govern.Terms, id)
	}
	return registry.Demand(name)
}

func (b *book) needs(names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, b.need(n))
	}
	return webkit.And(all)
}

// state is a policy's state as a mark.
func state(x policy.State) registry.Mark {
	switch x {
	case policy.On:
		return registry.Mark{Icon: "ended", Tone: "t-ok", Word: "On"}
	case policy.ReportOnly:
		return registry.Mark{Icon: "eye", Tone: "t-accent", Word: "Report only"}
	}
	return registry.Mark{Icon: "disabled", Tone: "t-2", Word: "Off"}
}

// reasons are Graph's whatIfAnalysisReasons in plain words.
func reasons(names []string) string {
	words := map[string]string{"users": "the person", "application": "the application", "userActions": "what is done", "authenticationContext": "the authentication context", "clientApps": "the program", "devicePlatform": "the platform",
		"location": "the place", "devices": "the device", "signInRisk": "the risk of the sign-in", "userRisk": "the risk of the account", "authenticationFlow": "the way it is done", "policyNotEnabled": "it is off"}
	var all []string
	for _, n := range names {
		if w := cmp.Or(words[n], n); !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return webkit.And(all)
}
