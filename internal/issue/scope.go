package issue

import (
	"context"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
)

// Plan is what a request's scope and resource parameters come to.
type Plan struct {
	// Resource is the one the access token is for: the first one named.
	Resource *directory.Resource
	Scopes   []string // of that resource
	OIDC     []string // openid, profile, email, phone, as asked, and single claims
	Offline  bool     // offline_access
	// All is everything asked for, for consent: the access token's resource
	// first. OpenID Connect's own scopes stand under directory.OwnAPI.
	All []directory.Permission

	asked []asked
}

// asked is one scope as it stood in the request, so that it can be echoed to
// the letter: Microsoft's libraries look for it in their caches.
type asked struct {
	text     string
	resource directory.ResourceID
	name     string // ".default" stays as it is
}

// maxScopes bounds how many scopes one request may name.
const maxScopes = 64

// Plan resolves the parameters for a delegated request (a person is there).
// Kind: Invalid (invalid_scope, invalid_target).
func (s *Service) Plan(ctx context.Context, app *directory.App, scope string, resource []string) (*Plan, error) {
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	p, err := s.parse(reg, scope, resource)
	if err != nil {
		return nil, err
	}
	for _, a := range p.asked {
		if a.resource == "" {
			continue
		}
		allowed := permitted(app.Permissions, a.resource)
		names := []string{a.name}
		r := reg.resources[a.resource]
		if a.name == ".default" {
			names = slices.DeleteFunc(slices.Clone(allowed), func(n string) bool {
				return slices.ContainsFunc(r.Scopes, func(x directory.Scope) bool { return x.Name == n && x.Disabled })
			})
		}
		for _, n := range names {
			if !slices.ContainsFunc(r.Scopes, func(x directory.Scope) bool { return x.Name == n && !x.Disabled }) || !slices.Contains(allowed, n) {
				return nil, refuse(fault.Invalid, "invalid_scope", 70011, "", "The application may not ask for the scope "+printable(a.text)+".")
			}
		}
		if len(names) == 0 {
			return nil, refuse(fault.Invalid, "invalid_scope", 650057, "", "The application is not registered for "+r.Name+".")
		}
		p.add(a.resource, names)
	}
	return s.finish(reg, p)
}

// finish chooses the resource of the access token.
func (s *Service) finish(reg *registrations, p *Plan) (*Plan, error) {
	p.add(directory.OwnAPI, p.OIDC) // last, unless there is nothing else: userinfo is part of our own API
	if len(p.All) == 0 {
		return nil, refuse(fault.Invalid, "invalid_scope", 70011, "", "The request names no scope.")
	}
	p.Resource = reg.resources[p.All[0].Resource]
	p.Scopes = p.All[0].Scopes
	return p, nil
}

func (p *Plan) add(r directory.ResourceID, names []string) {
	if len(names) == 0 {
		return
	}
	i := slices.IndexFunc(p.All, func(x directory.Permission) bool { return x.Resource == r })
	if i < 0 {
		p.All = append(p.All, directory.Permission{Resource: r})
		i = len(p.All) - 1
	}
	for _, n := range names {
		if !slices.Contains(p.All[i].Scopes, n) {
			p.All[i].Scopes = append(p.All[i].Scopes, n)
		}
	}
}

// parse splits scope and resource without judging what the application may.
func (s *Service) parse(reg *registrations, scope string, resource []string) (*Plan, error) {
	p := &Plan{}
	var target directory.ResourceID
	for _, r := range resource { // RFC 8707: one access token, one resource
		id, ok := s.resourceNamed(reg, r)
		if !ok {
			return nil, refuse(fault.Invalid, "invalid_target", 500011, "", "There is no resource "+printable(r)+".")
		}
		if target != "" && id != target {
			return nil, refuse(fault.Invalid, "invalid_target", 28000, "", "An access token is for one resource. Ask for one at a time.")
		}
		target = id
	}
	words := strings.Fields(scope)
	if len(words) > maxScopes {
		return nil, refuse(fault.Invalid, "invalid_scope", 70011, "", "The request names too many scopes.")
	}
	named := false
	for _, w := range words {
		switch w {
		case "openid", "profile", "email", "phone":
			p.OIDC = append(p.OIDC, w)
			p.asked = append(p.asked, asked{text: w})
			continue
		case "address": // which nobody has here: not understood, and so ignored (OpenID Connect Core 1.0 §3.1.2.1)
			continue
		case "offline_access":
			p.Offline = true
			p.asked = append(p.asked, asked{text: w})
			continue
		}
		a, err := s.named(reg, w, target)
		if err != nil {
			return nil, err
		}
		named = true
		p.asked = append(p.asked, a)
	}
	if target != "" && !named {
		p.asked = append(p.asked, asked{resource: target, name: ".default"})
	}
	return p, nil
}

// named finds the resource a scope belongs to: by the resource's identifier
// before the last slash; a bare name belongs to the resource parameter, else to
// the directory's own API.
func (s *Service) named(reg *registrations, w string, target directory.ResourceID) (asked, error) {
	if i := strings.LastIndexByte(w, '/'); i > 0 {
		id, ok := s.resourceNamed(reg, w[:i])
		if !ok && strings.HasSuffix(w[:i], "/") { // api://mail//.default
			id, ok = s.resourceNamed(reg, w[:i-1])
		}
		if !ok {
			return asked{}, refuse(fault.Invalid, "invalid_scope", 500011, "", "There is no resource for the scope "+printable(w)+".")
		}
		return asked{text: w, resource: id, name: w[i+1:]}, nil
	}
	if target == "" {
		target = directory.OwnAPI
	}
	return asked{text: w, resource: target, name: w}, nil
}

// resourceNamed finds a resource by what a request calls it. The directory's own
// API has names that no row has: Microsoft's, and the public URL itself, which
// Microsoft's SDKs make a scope of when they are given none.
func (s *Service) resourceNamed(reg *registrations, name string) (directory.ResourceID, bool) {
	if name == directory.GraphAlias || name == directory.GraphAlias+"/" || name == s.Audience(directory.OwnAPI) || name == s.Base {
		return directory.OwnAPI, true
	}
	id := directory.ResourceID(name)
	if id == directory.OwnAPI || reg.resources[id] == nil {
		return "", false
	}
	return id, true
}

// echo is the scope parameter of the answer: what was asked for, to the letter,
// as far as it belongs to this access token or to OpenID Connect.
func (p *Plan) echo() string {
	var b strings.Builder
	for _, a := range p.asked {
		if a.text == "" || a.resource != "" && a.resource != p.Resource.ID {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.text)
	}
	if b.Len() > 0 {
		return b.String()
	}
	for i, n := range p.Scopes { // nothing was named: as it could have been
		if i > 0 {
			b.WriteByte(' ')
		}
		if p.Resource.ID != directory.OwnAPI {
			b.WriteString(string(p.Resource.ID) + "/")
		}
		b.WriteString(n)
	}
	return b.String()
}

func permitted(ps []directory.Permission, r directory.ResourceID) []string {
	for _, p := range ps {
		if p.Resource == r {
			return p.Scopes
		}
	}
	return nil
}

// covers reports whether have contains everything of want.
func covers(have []directory.Permission, want []directory.Permission) bool {
	for _, w := range want {
		got := permitted(have, w.Resource)
		for _, n := range w.Scopes {
			if !slices.Contains(got, n) {
				return false
			}
		}
	}
	return true
}

// oidcScopes are OpenID Connect's own. Every application may ask for them.
var oidcScopes = []string{"openid", "profile", "email", "phone"}

func isOIDC(n string) bool { return slices.Contains(everybodys, n) }

// within keeps of ps what limit has too.
func within(limit, ps []directory.Permission) (out []directory.Permission) {
	for _, p := range ps {
		var names []string
		for _, n := range p.Scopes {
			if slices.Contains(permitted(limit, p.Resource), n) {
				names = append(names, n)
			}
		}
		out = append(out, directory.Permission{Resource: p.Resource, Scopes: names})
	}
	return out
}

// printable keeps what a caller typed showable: short, ASCII.
func printable(s string) string {
	b := []byte(s[:min(len(s), 120)])
	for i, c := range b {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			b[i] = '?'
		}
	}
	return string(b)
}

// Missing lists what of the plan the person has not consented to and needs to,
// and whether an administrator would have to. First-party applications need no
// consent; what an administrator consented to for everybody needs none either.
// Whom the application does not let in is refused before being asked: access_denied.
func (s *Service) Missing(ctx context.Context, app *directory.App, user directory.UserID, p *Plan) (missing []directory.Permission, adminOnly bool, err error) {
	if app.AssignmentRequired {
		err := s.DB.Read(ctx, func(tx *store.Tx) error {
			unassigned, err := tx.Unassigned(app, user)
			if err == nil && unassigned {
				err = errUnassigned
			}
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	if app.FirstParty {
		return nil, false, nil
	}
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, false, err
	}
	var have []directory.Permission
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) { have, err = consented(tx, user, app.ID); return err })
	if err != nil {
		return nil, false, err
	}
	for _, w := range p.All {
		r := reg.resources[w.Resource]
		if r == nil { // deleted since the request was read
			return nil, false, refuse(fault.Invalid, "invalid_target", 500011, "", "The resource does not exist any more.")
		}
		var lack []string
		got := permitted(have, w.Resource)
		for _, n := range w.Scopes {
			if !slices.Contains(got, n) {
				lack = append(lack, n)
				adminOnly = adminOnly || slices.ContainsFunc(r.Scopes, func(x directory.Scope) bool { return x.Name == n && x.AdminOnly })
			}
		}
		if len(lack) > 0 {
			missing = append(missing, directory.Permission{Resource: w.Resource, Scopes: lack})
		}
	}
	return missing, adminOnly, nil
}

// consented merges a person's consents with the administrators'.
func consented(tx *store.Tx, user directory.UserID, app directory.AppID) ([]directory.Permission, error) {
	p := &Plan{}
	for _, who := range []directory.UserID{user, {}} {
		cs, err := tx.Consents(who, app)
		if err != nil {
			return nil, err
		}
		for _, c := range cs {
			p.add(c.Resource, c.Scopes)
		}
	}
	return p.All, nil
}

// Consent writes down that the person behind the actor lets the application
// have what the plan asks for. Kinds: Denied (an administrator would have to, or
// the actor is not a person in a browser).
func (s *Service) Consent(ctx context.Context, actor directory.Actor, app *directory.App, p *Plan) error {
	// The consent of nobody would be the administrators' for everybody, and a
	// client must not consent for the person it acts for.
	if actor.User.IsZero() || actor.AppOnly || actor.Scopes != nil {
		return refuse(fault.Denied, "access_denied", 65001, "", "Only the person can consent, in a browser.")
	}
	missing, adminOnly, err := s.Missing(ctx, app, actor.User, p)
	if err != nil {
		return err
	}
	if adminOnly {
		return refuse(fault.Denied, "access_denied", 90094, "", "What "+app.Name+" asks for needs an administrator's consent.")
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor})
		have, err := tx.Consents(actor.User, app.ID)
		if err != nil {
			return err
		}
		for _, m := range missing {
			c := directory.Consent{User: actor.User, App: app.ID, Resource: m.Resource, Given: tx.Now, Scopes: m.Scopes}
			for _, h := range have {
				if h.Resource == m.Resource {
					c.Scopes = union(h.Scopes, m.Scopes)
				}
			}
			if err := tx.SaveConsent(c); err != nil {
				return err
			}
		}
		return nil
	})
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
