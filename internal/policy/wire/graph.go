package wire

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// ReadPolicy reads a conditionalAccessPolicy as Graph has it, whole, and checks
// it against what exists. Errors are of kind Invalid, with a *[Fault] inside.
func ReadPolicy(b []byte, k Known) (*policy.Policy, error) {
	return read(b, bindPolicy, func(p *policy.Policy, d *document) { check(p, d, k) })
}

// ReadLocation reads an ipNamedLocation or a countryNamedLocation. Errors as of
// [ReadPolicy].
func ReadLocation(b []byte) (*policy.Location, error) {
	return read(b, bindLocation, func(l *policy.Location, d *document) { d.named(l.Name) })
}

// ReadStrength reads an authenticationStrengthPolicy. Errors as of [ReadPolicy].
func ReadStrength(b []byte) (*policy.Strength, error) {
	return read(b, bindStrength, func(s *policy.Strength, d *document) {
		d.named(s.Name)
		d.described(s.Description)
	})
}

// ReadContext reads an authenticationContextClassReference. Errors as of
// [ReadPolicy].
func ReadContext(b []byte) (*policy.Context, error) {
	return read(b, bindContext, func(c *policy.Context, d *document) {
		d.named(c.Name)
		d.described(c.Description)
	})
}

// WritePolicy writes what [ReadPolicy] reads.
func WritePolicy(p *policy.Policy) []byte {
	return write(p, bindPolicy)
}

// WriteLocation writes what [ReadLocation] reads.
func WriteLocation(l *policy.Location) []byte {
	return write(l, bindLocation)
}

// WriteStrength writes what [ReadStrength] reads.
func WriteStrength(s *policy.Strength) []byte {
	return write(s, bindStrength)
}

// WriteContext writes what [ReadContext] reads.
func WriteContext(c *policy.Context) []byte {
	return write(c, bindContext)
}

func bindPolicy(p *policy.Policy, f *form) {
	f.guid("id", &p.ID)
	f.guid("templateId", &p.Template)
	f.text("displayName", &p.Name)
	f.instant("createdDateTime", &p.Created)
	f.instant("modifiedDateTime", &p.Modified)
	oneOf(f, "state", &p.State, stateNames)
	f.child("conditions", true, func(f *form) { bindConditions(p, f) })
	f.child("grantControls", p.Grant != nil, func(f *form) {
		if p.Grant == nil {
			p.Grant = &policy.Grant{}
		}
		bindGrant(p.Grant, f)
	})
	f.child("sessionControls", p.Session != nil, func(f *form) {
		if p.Session == nil {
			p.Session = &policy.Session{}
		}
		bindSession(p.Session, f)
	})
	f.absent("deletedDateTime", "a deleted policy is not a policy")
}

func bindConditions(p *policy.Policy, f *form) {
	f.child("users", true, func(f *form) {
		for _, side := range []struct {
			name string
			who  *policy.Who
		}{{"include", &p.Include}, {"exclude", &p.Exclude}} {
			w := side.who
			words := []keyword{{"All", &w.All}, {"None", &w.None}, {"GuestsOrExternalUsers", &w.AnyGuest}}
			if side.who == &p.Exclude {
				words = words[2:]
			}
			ids(f, side.name+"Users", &w.Users, words...)
			ids(f, side.name+"Groups", &w.Groups)
			guids(f, side.name+"Roles", &w.Roles, "a GUID", func(s string) (directory.RoleID, error) {
				id, err := directory.ParseID[struct{}](s)
				return directory.RoleID(id.String()), err
			}, func(r directory.RoleID) string { return string(r) })
			f.child(side.name+"GuestsOrExternalUsers", w.Guests != 0, func(f *form) {
				joined(f, "guestOrExternalUserTypes", &w.Guests, guestNames)
				if f.in != nil && w.Guests == 0 {
					f.fail(f.path+".guestOrExternalUserTypes", "is missing")
				}
				f.absent("externalTenants", "guests are not told apart by where they come from")
			})
		}
	})
	f.child("applications", true, func(f *form) {
		a := &p.Apps
		app := func(s string) (string, error) {
			if !directory.ValidAppID(s) {
				return "", directory.ErrID
			}
			return s, nil
		}
		same := func(s string) string { return s }
		guids(f, "includeApplications", &a.Include, "a client_id or a resource", app, same, keyword{"All", &a.All}, keyword{"None", &a.None})
		guids(f, "excludeApplications", &a.Exclude, "a client_id or a resource", app, same)
		some(f, "includeUserActions", &a.Actions, actionNames)
		f.each("includeAuthenticationContextClassReferences", contextNames(a.Contexts), func(s string) string {
			n, ok := contextNumber(s)
			if ok {
				a.Contexts.Add(n)
				return ""
			}
			return "is not one of c1 to c99"
		})
		f.absent("applicationFilter", "applications are not filtered by a rule; name them")
	})
	some(f, "clientAppTypes", &p.Clients, clientNames)
	f.child("platforms", p.IncludePlatforms|p.ExcludePlatforms != 0, func(f *form) {
		some(f, "includePlatforms", &p.IncludePlatforms, platformNames)
		some(f, "excludePlatforms", &p.ExcludePlatforms, platformNames[:6])
		if f.in != nil && p.IncludePlatforms == 0 {
			f.fail(f.path+".includePlatforms", "names nothing: the policy would never apply")
		}
	})
	f.child("locations", !nowhere(&p.IncludePlaces) || !nowhere(&p.ExcludePlaces), func(f *form) {
		in, ex := &p.IncludePlaces, &p.ExcludePlaces
		f.guids("includeLocations", &in.IDs, keyword{"All", &in.All}, keyword{"AllTrusted", &in.Trusted})
		f.guids("excludeLocations", &ex.IDs, keyword{"AllTrusted", &ex.Trusted})
		if f.in != nil && nowhere(in) {
			f.fail(f.path+".includeLocations", "names nothing: the policy would never apply")
		}
	})
	f.child("devices", p.Device != nil, func(f *form) {
		f.child("deviceFilter", true, func(f *form) {
			if p.Device == nil {
				p.Device = &policy.DeviceFilter{}
			}
			mode := uint8(0)
			if f.in == nil {
				mode = 1
			}
			if p.Device.Exclude {
				mode = 2
			}
			oneOf(f, "mode", &mode, []string{"", "include", "exclude"})
			if mode == 0 {
				f.fail(f.path+".mode", "is missing: include or exclude")
			}
			p.Device.Exclude = mode == 2
			f.text("rule", &p.Device.Rule)
		})
		f.absent("includeDevices", "use deviceFilter")
		f.absent("excludeDevices", "use deviceFilter")
		if p.Device == nil {
			f.fail(f.path, "names nothing")
		}
	})
	some(f, "signInRiskLevels", &p.SignInRisk, riskNames)
	some(f, "userRiskLevels", &p.UserRisk, riskNames)
	f.child("authenticationFlows", p.Flows != 0, func(f *form) {
		joined(f, "transferMethods", &p.Flows, flowNames)
		if f.in != nil && p.Flows == 0 {
			f.fail(f.path+".transferMethods", "is missing")
		}
	})
	f.absent("clientApplications", "policies are about people; what an application does as itself is its permissions' matter")
	f.absent("servicePrincipalRiskLevels", "the risk of applications is not computed")
	f.absent("insiderRiskLevels", "insider risk is not computed")
}

func contextNames(c policy.Contexts) (out []string) {
	for n := 1; n <= policy.MaxContext; n++ {
		if c.Has(n) {
			out = append(out, "c"+strconv.Itoa(n))
		}
	}
	return out
}

func contextNumber(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(s, "c"))
	return n, err == nil && n >= 1 && n <= policy.MaxContext && s == "c"+strconv.Itoa(n)
}

func bindGrant(g *policy.Grant, f *form) {
	operator := uint8(1)
	if g.Any {
		operator = 2
	}
	if f.in != nil {
		operator = 0
	}
	oneOf(f, "operator", &operator, []string{"", "AND", "OR"})
	if f.in != nil && operator == 0 {
		f.fail(f.path+".operator", "is missing: AND or OR")
	}
	g.Any = operator == 2
	controls := uint8(g.Controls << 1)
	if g.Block {
		controls |= 1
	}
	some(f, "builtInControls", &controls, controlNames)
	g.Block, g.Controls = controls&1 == 1, policy.Needs(controls>>1)
	f.absent("customAuthenticationFactors", "there are no custom factors")
	f.guids("termsOfUse", &g.Terms)
	f.child("authenticationStrength", g.Strength != "", func(f *form) {
		f.guid("id", &g.Strength)
		if f.in != nil && g.Strength == "" {
			f.fail(f.path+".id", "is missing")
		}
	})
}

// controlNames: block, then the bits of [Needs] from the lowest.
var controlNames = []string{"block", "mfa", "compliantDevice", "domainJoinedDevice", "passwordChange"}

func bindSession(s *policy.Session, f *form) {
	f.control("signInFrequency", s.Frequency != nil, true, func(f *form) {
		if s.Frequency == nil {
			s.Frequency = &policy.Frequency{}
		}
		bindFrequency(s.Frequency, f)
	})
	f.control("persistentBrowser", s.Persistent != 0, true, func(f *form) { f.mode(&s.Persistent, persistenceNames) })
	f.control("applicationEnforcedRestrictions", s.AppEnforced, true, func(f *form) { s.AppEnforced = true })
	f.control("continuousAccessEvaluation", s.Continuous != 0, false, func(f *form) { f.mode((*policy.Persistence)(&s.Continuous), continuityNames) })
	f.off("cloudAppSecurity", "there is no proxy of that kind")
	f.off("secureSignInSession", "tokens are bound to keys by the application's registration")
	if have := s.NoResilience; f.in != nil || have != nil {
		on := have != nil && *have
		f.flag("disableResilienceDefaults", &on)
		if f.in != nil {
			if v, _ := f.member("disableResilienceDefaults", boolean); v != nil {
				s.NoResilience = &on
			}
		}
	}
}

// control binds a session control. One that is not enabled is none, and must not
// say anything else: it could be taken for one that is. must: isEnabled has to be
// written out.
func (f *form) control(name string, here, must bool, bind func(*form)) {
	f.child(name, here, func(f *form) {
		on := f.in == nil || !must
		if f.in != nil {
			v, path := f.member("isEnabled", boolean)
			if v == nil && must {
				f.fail(path, "is missing")
			}
			if v != nil && !v.on {
				for i, n := range f.in.names {
					if f.in.items[i].kind != null && n != "isEnabled" && !strings.Contains(n, "@odata.") {
						f.fail(f.path+member(n), "is said of a control that is not enabled")
					}
					f.used[i] = true
				}
				return
			}
		} else {
			f.flag("isEnabled", &on)
		}
		bind(f)
	})
}

func (f *form) mode(p *policy.Persistence, names []string) {
	oneOf(f, "mode", p, names)
	if f.in != nil && *p == 0 {
		f.fail(f.path+".mode", "is missing")
	}
}

// off accepts a control that curfew does not have only where it is not enabled.
func (f *form) off(name, why string) {
	if f.in == nil {
		return
	}
	f.control(name, false, true, func(f *form) { f.fail(f.path, why) })
}

func bindFrequency(q *policy.Frequency, f *form) {
	interval, who, unit, n := uint8(1), uint8(1), uint8(0), 0
	if f.in == nil {
		if unit, n = 1, int(q.Life/time.Hour); n%24 == 0 {
			unit, n = 2, n/24
		}
		if q.Every {
			interval, unit, n = 2, 0, 0
		}
		if q.Secondary {
			who = 2
		}
	}
	oneOf(f, "frequencyInterval", &interval, []string{"", "timeBased", "everyTime"})
	oneOf(f, "type", &unit, []string{"", "hours", "days"})
	f.number("value", &n)
	oneOf(f, "authenticationType", &who, []string{"", "primaryAndSecondaryAuthentication", "secondaryAuthentication"})
	q.Every, q.Secondary = interval == 2, who == 2
	switch {
	case f.in == nil:
	case q.Every && unit != 0:
		f.fail(f.path+".type", "is said of a sign-in every time")
	case q.Every && n != 0:
		f.fail(f.path+".value", "is said of a sign-in every time")
	case q.Every:
	case unit == 0:
		f.fail(f.path+".type", "is missing: hours or days")
	case n == 0:
		f.fail(f.path+".value", "is missing")
	case unit == 1 && n > 23 && n%24 != 0 || n > 365*24:
		f.fail(f.path+".value", "is more than 23 hours; say days")
	case unit == 2 && n > 365:
		f.fail(f.path+".value", "is more than 365 days")
	default:
		q.Life = time.Duration(n) * []time.Duration{0, time.Hour, 24 * time.Hour}[unit]
	}
}

const (
	ipLocation      = "#microsoft.graph.ipNamedLocation"
	countryLocation = "#microsoft.graph.countryNamedLocation"
)

func bindLocation(l *policy.Location, f *form) {
	kind := uint8(1)
	if len(l.Countries) > 0 {
		kind = 2
	}
	if f.in != nil {
		kind = 0
	}
	oneOf(f, "@odata.type", &kind, []string{"", ipLocation, countryLocation})
	if f.in != nil && kind == 0 {
		f.fail(f.path+`["@odata.type"]`, "is missing")
	}
	f.guid("id", &l.ID)
	f.text("displayName", &l.Name)
	f.instant("createdDateTime", &l.Created)
	f.instant("modifiedDateTime", &l.Modified)
	f.absent("deletedDateTime", "a deleted location is not a location")
	if kind == 2 {
		guids(f, "countriesAndRegions", &l.Countries, "a country as DE", func(s string) (c policy.Country, err error) {
			if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
				return c, directory.ErrID
			}
			return policy.Country{s[0], s[1]}, nil
		}, policy.Country.String)
		lookup := uint8(1)
		oneOf(f, "countryLookupMethod", &lookup, []string{"", "clientIpAddress"})
		f.flag("includeUnknownCountriesAndRegions", &l.Unknown)
		if f.in != nil && len(l.Countries) == 0 {
			f.fail(f.path+".countriesAndRegions", "names nothing")
		}
		return
	}
	f.flag("isTrusted", &l.Trusted)
	f.children("ipRanges", len(l.Ranges), func(f *form, i int) {
		var p netip.Prefix
		family := uint8(0)
		if f.in == nil {
			p, family = l.Ranges[i], 1
			if p.Addr().Is6() {
				family = 2
			}
		}
		oneOf(f, "@odata.type", &family, []string{"", "#microsoft.graph.iPv4CidrRange", "#microsoft.graph.iPv6CidrRange"})
		parsed(f, "cidrAddress", &p, func(s string) (netip.Prefix, bool) {
			p, err := netip.ParsePrefix(s)
			return p, err == nil && p == p.Masked() && !p.Addr().Is4In6()
		}, netip.Prefix.String, "a range as 192.0.2.0/24 or 2001:db8::/32, with no bits behind its length")
		if f.in == nil {
			return
		}
		switch {
		case family == 0:
			f.fail(f.path+`["@odata.type"]`, "is missing")
		case !p.IsValid():
			f.fail(f.path+".cidrAddress", "is missing")
		case p.Addr().Is6() != (family == 2):
			f.fail(f.path+".cidrAddress", "is of the other family than its type")
		case p.Bits() < 8:
			f.fail(f.path+".cidrAddress", "is more than a /8")
		}
		l.Ranges = append(l.Ranges, p)
	})
	if f.in != nil && len(l.Ranges) == 0 {
		f.fail(f.path+".ipRanges", "names nothing")
	}
}

func bindStrength(s *policy.Strength, f *form) {
	f.guid("id", &s.ID)
	f.text("displayName", &s.Name)
	f.text("description", &s.Description)
	f.instant("createdDateTime", &s.Created)
	f.instant("modifiedDateTime", &s.Modified)
	kind := uint8(2)
	if s.BuiltIn {
		kind = 1
	}
	oneOf(f, "policyType", &kind, []string{"", "builtIn", "custom"})
	s.BuiltIn = kind == 1
	satisfied := uint8(2)
	for _, c := range s.Combinations {
		if f.in == nil && !policy.TwoFactors(c) {
			satisfied = 1
		}
	}
	oneOf(f, "requirementsSatisfied", &satisfied, []string{"", "none", "mfa"}) // follows from the combinations
	var have []string
	for _, c := range s.Combinations {
		have = append(have, strings.Join(listed(c, methodNames), ","))
	}
	f.each("allowedCombinations", have, func(text string) string {
		m, ok := methodsOf(text)
		if !ok {
			return "is not some of " + strings.Join(methodNames, ", ") + ", joined by commas"
		}
		for _, c := range s.Combinations {
			if c == m {
				return "is in the list twice"
			}
		}
		s.Combinations = append(s.Combinations, m)
		return ""
	})
	f.absent("combinationConfigurations", "combinations are not narrowed any further")
	if f.in != nil && len(s.Combinations) == 0 {
		f.fail(f.path+".allowedCombinations", "names nothing: nobody could meet it")
	}
}

func bindContext(c *policy.Context, f *form) {
	parsed(f, "id", &c.Number, contextNumber, func(n int) string { return "c" + strconv.Itoa(n) }, "one of c1 to c99")
	f.text("displayName", &c.Name)
	f.text("description", &c.Description)
	f.flag("isAvailable", &c.Available)
	if f.in != nil && c.Number == 0 {
		f.fail(f.path+".id", "is missing")
	}
}
