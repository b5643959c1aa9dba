package registry

import (
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Fact is one line of a card: a label, what holds, and a remark.
type Fact struct {
	Label  string
	Values []string // none: a dash
	Mono   bool     // what may be copied
	Remark string
}

// Facts are the lines of one card.
type Facts struct {
	Title string
	Rows  []Fact
}

// Kind is what sort of application it is.
func Kind(a *directory.App) string {
	switch {
	case len(a.SPARedirectURIs) > 0:
		return "Browser only"
	case a.Public:
		return "Native, public"
	case len(a.RedirectURIs) == 0 && len(a.AppPermissions)+len(a.Guards) > 0:
		return "Service"
	}
	return "Web, confidential"
}

// Proof is how it proves who it is.
func Proof(a *directory.App) string {
	var by []string
	if n := len(a.Secrets); n > 0 {
		by = append(by, webkit.Count(n, "secret", "secrets"))
	}
	if n := len(a.Keys); n > 0 {
		by = append(by, webkit.Count(n, "key", "keys"))
	}
	if a.KeysURI != "" {
		by = append(by, "keys it publishes")
	}
	switch {
	case a.Public:
		return "Not at all: it is public, PKCE protects its codes"
	case len(by) == 0:
		return "Nothing yet: add a secret or a key"
	}
	return "By " + webkit.Or(by)
}

func some(s ...string) (out []string) {
	for _, x := range s {
		if x != "" {
			out = append(out, x)
		}
	}
	return out
}

func either(is bool, yes, no string) []string {
	if is {
		return []string{yes}
	}
	return []string{no}
}

// AppFacts are the cards of an application's overview.
func AppFacts(a *directory.App) []Facts {
	refresh := map[directory.RefreshMode]string{
		"":                      "Rotate: a new refresh token each time, and a lost answer may be asked for again",
		directory.RefreshRotate: "Rotate: a new refresh token each time, and a lost answer may be asked for again",
		directory.RefreshStrict: "Strict: a new refresh token each time, and a second use of the old one ends the grant",
		directory.RefreshBound:  "Bound: one refresh token, which only the holder of a key can use",
	}[a.Refresh]
	end := []string{"None: a grant lives while it is used"}
	switch {
	case a.GrantAbsolute > 0:
		end = []string{WriteSpan(a.GrantAbsolute) + " after the sign-in"}
	case len(a.SPARedirectURIs) > 0:
		end = []string{"24 hours after the sign-in at a browser-only address, else none"}
	}
	life := "As the resource says"
	if a.AccessTokenMinutes > 0 {
		life = webkit.Count(a.AccessTokenMinutes, "minute", "minutes") + ", or less where the resource says so"
	}
	alg := a.SigningAlg
	if alg == "" {
		alg = directory.ES256 + ", the default"
	}
	said := func(uri string, session bool) string {
		switch {
		case uri == "":
			return "Nobody is told"
		case session:
			return "With the session's id"
		}
		return ""
	}
	return []Facts{
		{"Registration", []Fact{
			{"Client id", []string{string(a.ID)}, true, ""},
			{"Object id", []string{a.Object.String()}, true, ""},
			{"Publisher", some(a.Publisher), false, ""},
			{"Kind", []string{Kind(a)}, false, ""},
			{"Consent", either(a.FirstParty, "Asks nobody: it is first-party", "Asks, unless an administrator consented for everybody"), false, ""},
			{"Assignment", either(a.AssignmentRequired, "Required: only who is assigned is let in", "Not required: everybody is let in"), false, ""},
		}},
		{"Where people come back to", []Fact{
			{"Web and native", a.RedirectURIs, true, ""},
			{"Browser only", a.SPARedirectURIs, true, ""},
			{"After sign-out", a.PostLogoutURIs, true, ""},
			{"Device code", either(a.DeviceCode, "May be used", "Refused"), false, ""},
		}},
		{"How it proves who it is", []Fact{
			{"Proof", []string{Proof(a)}, false, ""},
			{"Keys at", some(a.KeysURI), true, ""},
			{"Requests", either(a.RequirePAR, "Must be pushed (PAR)", "May come through the browser"), false, ""},
			{"Tokens", either(a.RequireDPoP, "Must be bound to a key (DPoP)", "May be bearer tokens"), false, ""},
		}},
		{"Grants and tokens", []Fact{
			{"Refresh", []string{refresh}, false, ""},
			{"Absolute end", end, false, ""},
			{"Access tokens live", []string{life}, false, ""},
			{"ID tokens signed with", []string{alg}, false, ""},
		}},
		{"Who is told of a logout", []Fact{
			{"Back channel", some(a.BackChannelLogoutURI), true, said(a.BackChannelLogoutURI, a.BackChannelSession)},
			{"Front channel", some(a.FrontChannelLogoutURI), true, said(a.FrontChannelLogoutURI, a.FrontChannelSession)},
		}},
	}
}

func onOff(is bool) string {
	if is {
		return "1"
	}
	return ""
}

func area(name, label, hint string, values []string, rows int) webkit.Field {
	return webkit.Field{Name: name, Label: label, Hint: hint, Value: strings.Join(values, "\n"), Lines: rows, Mono: true, Max: 20000, Autocomplete: "off"}
}

func tick(name, label, hint string, is bool) webkit.Field {
	return webkit.Field{Name: name, Label: label, Hint: hint, Check: true, Value: onOff(is)}
}

var algChoices = []webkit.Choice{{Value: directory.ES256, Label: "ES256", Hint: "The default."}, {Value: directory.RS256, Label: "RS256", Hint: "For libraries that know nothing else."}, {Value: directory.EdDSA, Label: "EdDSA"}}

// AppForm is the form of an application, as it is registered; a nil one is being
// created.
func AppForm(a *directory.App) []webkit.Fieldset {
	what := []webkit.Field{}
	if a == nil {
		a = &directory.App{}
		what = append(what, webkit.Field{Name: "client_id", Label: "Client id (optional)", Hint: "What the application calls itself. Cannot be changed later. Empty: one is made.", Mono: true, Autocomplete: "off"})
	}
	public, mins, alg, mode := "no", "", a.SigningAlg, string(a.Refresh)
	if a.Public {
		public = "yes"
	}
	if a.AccessTokenMinutes > 0 {
		mins = strconv.Itoa(a.AccessTokenMinutes)
	}
	if alg == "" {
		alg = directory.ES256
	}
	if mode == "" {
		mode = string(directory.RefreshRotate)
	}
	return []webkit.Fieldset{
		{Legend: "What it is", Fields: append(what,
			webkit.Field{Name: "name", Label: "Name", Hint: "What people read when it asks for consent.", Value: a.Name, Required: true, Max: 256, Autocomplete: "off"},
			webkit.Field{Name: "publisher", Label: "Publisher (optional)", Hint: "Who made it.", Value: a.Publisher, Max: 256, Autocomplete: "off"},
			tick("first_party", "It asks nobody for consent", "For applications of your own. Taking this away ends its grants and access tokens.", a.FirstParty))},
		{Legend: "Where people come back to", Hint: "Addresses are compared exactly. One on each line.", Fields: []webkit.Field{
			area("redirects", "Web and native addresses", "https://, http:// to this machine, or a scheme of the application's own.", a.RedirectURIs, 3),
			area("spa", "Browser-only addresses", "For applications that run in the browser alone: their refresh tokens end 24 hours after the sign-in. The application must be public.", a.SPARedirectURIs, 2),
			area("post_logout", "Addresses after sign-out", "", a.PostLogoutURIs, 2),
			tick("device_code", "It may use the device code", "For televisions and command lines. People type a code elsewhere, which attackers ask for as well.", a.DeviceCode)}},
		{Legend: "How it proves who it is", Fields: []webkit.Field{
			{Name: "public", Label: "Can it keep a secret?", Value: public, Choices: []webkit.Choice{
				{Value: "no", Label: "Yes: it runs on a server", Hint: "Secrets are added on its page."}, {Value: "yes", Label: "No: it runs on people's devices", Hint: "It is public, and holds no secret, key or permission of its own."}}},
			{Name: "keys", Label: "Public keys (optional)", Hint: "A JWK Set, or one JWK, for private_key_jwt and mutual TLS. The private half stays where it is.", Value: writeKeys(a.Keys), Lines: 3, Mono: true, Max: 30000, Autocomplete: "off"},
			{Name: "jwks_uri", Label: "Where it publishes its keys (optional)", Hint: "Instead of keys here: an https address.", Value: a.KeysURI, Mono: true, Max: 2048, Autocomplete: "off"},
			tick("par", "Its requests must be pushed (PAR)", "Requests that come through the browser alone are refused.", a.RequirePAR),
			tick("dpop", "Its tokens must be bound to a key (DPoP)", "Bearer tokens are refused.", a.RequireDPoP)}},
		{Legend: "Grants and tokens", Fields: []webkit.Field{
			{Name: "refresh", Label: "Refresh tokens", Value: mode, Choices: []webkit.Choice{
				{Value: string(directory.RefreshRotate), Label: "Rotate", Hint: "A new one each time. A lost answer may be asked for again."},
				{Value: string(directory.RefreshStrict), Label: "Strict", Hint: "A new one each time. A second use of the old one ends the grant, were it only a lost answer."},
				{Value: string(directory.RefreshBound), Label: "Bound", Hint: "The same one, which only the holder of a key can use (DPoP or mutual TLS)."}}},
			{Name: "absolute", Label: "Absolute end of a grant (optional)", Hint: "So long after the sign-in, used or not: 30 days, 12 hours. Between one hour and ten years; empty: none.", Value: WriteSpan(a.GrantAbsolute), Autocomplete: "off", Max: 40},
			{Name: "minutes", Label: "Access tokens live, in minutes (optional)", Hint: "10 to 60. Empty: as the resource says.", Value: mins, InputMode: "numeric", Autocomplete: "off", Max: 4},
			{Name: "alg", Label: "ID tokens are signed with", Value: alg, Choices: algChoices}}},
		{Legend: "Who is told of a logout", Fields: []webkit.Field{
			{Name: "back_uri", Label: "Back-channel logout address (optional)", Hint: "This server tells it when a session or a person ends.", Value: a.BackChannelLogoutURI, Mono: true, Max: 2048, Autocomplete: "off"},
			tick("back_session", "It needs the session's id in each notice", "", a.BackChannelSession),
			{Name: "front_uri", Label: "Front-channel logout address (optional)", Hint: "The browser loads it when somebody signs out. At the origin of one of the addresses above.", Value: a.FrontChannelLogoutURI, Mono: true, Max: 2048, Autocomplete: "off"},
			tick("front_session", "It needs the session's id in the query", "", a.FrontChannelSession)}},
	}
}

// ReadApp reads the form: the client_id, empty for a new one, and the whole
// registration. old is the application as it is, nil for a new one: a default that
// nobody chose is not written down as a choice.
func ReadApp(f webkit.Form, old *directory.App) (directory.AppID, manage.AppPatch, Mistakes) {
	m := Mistakes{}
	if old == nil {
		old = &directory.App{}
	}
	text := func(name string) *string {
		s := strings.TrimSpace(f.Get(name))
		return &s
	}
	is := func(name string) *bool {
		b := f.Get(name) != ""
		return &b
	}
	list := func(name string) *[]string {
		all, err := uris(f.Get(name))
		m.note(name, err)
		return &all
	}
	p := manage.AppPatch{Name: text("name"), Publisher: text("publisher"), FirstParty: is("first_party"), DeviceCode: is("device_code"),
		RedirectURIs: list("redirects"), PostLogoutURIs: list("post_logout"), Protocol: manage.Protocol{
			SPARedirectURIs: list("spa"), KeysURI: text("jwks_uri"), RequirePAR: is("par"), RequireDPoP: is("dpop"), BackChannelLogoutURI: text("back_uri"), BackChannelSession: is("back_session"),
			FrontChannelLogoutURI: text("front_uri"), FrontChannelSession: is("front_session")}}
	m.note("name", directory.CheckRequired("The name of the application", *p.Name, 256))
	m.note("publisher", directory.CheckText("The publisher", *p.Publisher, 256))
	public := f.Get("public") == "yes"
	p.Public = &public
	if len(*p.SPARedirectURIs) > 0 && !public {
		m.note("spa", fault.New(fault.Invalid, "A browser-only application keeps no secret: it must be public."))
	}
	keys, err := readKeys(f.Get("keys"))
	m.note("keys", err)
	p.Keys = &keys
	if *p.KeysURI != "" && len(keys) > 0 {
		m.note("jwks_uri", fault.New(fault.Invalid, "The keys are in the registration or at this address, not both."))
	}
	if public && (len(keys) > 0 || *p.KeysURI != "") {
		m.note("public", fault.New(fault.Invalid, "A public application has no key to prove itself by."))
	}
	for _, name := range []string{"jwks_uri", "back_uri", "front_uri"} {
		if u := *text(name); u != "" && (directory.CheckRedirectURI(u) != nil || !strings.HasPrefix(u, "http")) {
			m.note(name, fault.New(fault.Invalid, "Write an https address without fragment; http only to this machine."))
		}
	}
	mode := kept(directory.RefreshMode(f.Get("refresh")), old.Refresh, directory.RefreshRotate)
	p.Refresh = &mode
	absolute, err := ReadSpan(f.Get("absolute"))
	m.note("absolute", err)
	p.GrantAbsolute = &absolute
	mins, err := minutes(f.Get("minutes"))
	m.note("minutes", err)
	p.AccessTokenMinutes = &mins
	alg := kept(f.Get("alg"), old.SigningAlg, directory.ES256)
	p.SigningAlg = &alg
	id := directory.AppID(*text("client_id"))
	if id != "" && !directory.ValidAppID(string(id)) {
		m.note("client_id", fault.New(fault.Invalid, "A client id is 1 to 255 printable ASCII characters without spaces."))
	}
	return id, p, m
}

// kept leaves a default unwritten where it was.
func kept[T ~string](chosen, was, usual T) T {
	if chosen == usual && was == "" {
		return ""
	}
	return chosen
}

// RightsForm is the form of what an application may ask for, holds and guards.
func RightsForm(a *directory.App) []webkit.Fieldset {
	var guards []string
	for _, g := range a.Guards {
		guards = append(guards, string(g))
	}
	return []webkit.Fieldset{{Legend: "For people", Fields: []webkit.Field{
		area("permissions", "What it may ask people for", "One resource on each line, and its scopes behind it: api://mail Mail.Read Mail.Send", lines(WritePermissions(a.Permissions)), 4)}},
		{Legend: "As itself", Hint: "Who owns the application cannot change these.", Fields: []webkit.Field{
			area("app_permissions", "What it holds without anybody", "One resource on each line, and its application roles behind it: api://mail Mail.Read.All", lines(WritePermissions(a.AppPermissions)), 3),
			area("guards", "What it guards", "One resource on each line. It may exchange and see the access tokens of that resource.", guards, 2)}}}
}

// ReadRights reads that form. What is as it was is left alone, so that nobody needs
// a right to keep it.
func ReadRights(f webkit.Form, a *directory.App) (manage.AppPatch, Mistakes) {
	m, was, p := Mistakes{}, RightsForm(a), manage.AppPatch{}
	same := func(name string) bool {
		for _, s := range was {
			for _, x := range s.Fields {
				if x.Name == name {
					return strings.Join(lines(x.Value), "\n") == strings.Join(lines(f.Get(name)), "\n")
				}
			}
		}
		return false
	}
	read := func(name string) *[]directory.Permission {
		if same(name) {
			return nil
		}
		ps, err := ReadPermissions(f.Get(name))
		m.note(name, err)
		return &ps
	}
	p.Permissions, p.AppPermissions = read("permissions"), read("app_permissions")
	if !same("guards") {
		ids := []directory.ResourceID{}
		for _, l := range lines(f.Get("guards")) {
			ids = append(ids, directory.ResourceID(l))
		}
		p.Guards = &ids
	}
	return p, m
}
