package manage

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Consents lists what a user consented to, or for the zero user what
// administrators consented to for everybody. Everyone may read their own. Kinds:
// Denied, Unavailable.
func (s *Service) Consents(ctx context.Context, actor directory.Actor, user directory.UserID) (all []directory.Consent, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		d := role.Allowed(c.actor, role.ReadUsers, role.Target{ID: user})
		if user.IsZero() {
			d = role.Allowed(c.actor, role.ReadApps, role.Target{})
		}
		if err := d.Err(""); err != nil {
			return err
		}
		all, err = c.ConsentsOf(user)
		return err
	})
	return all, err
}

// GrantConsent consents for everybody: what ps names replaces what administrators
// consented to at those resources. Kinds: Denied, Invalid, NotFound, Revoked,
// Unavailable.
func (s *Service) GrantConsent(ctx context.Context, actor directory.Actor, id directory.AppID, ps []directory.Permission, act Act) (*Receipt, error) {
	return s.GrantConsentFor(ctx, actor, directory.UserID{}, id, ps, act)
}

// GrantConsentFor is GrantConsent for one user, or everybody for the zero one.
// Nobody consents for themselves here: that is the page they see for. Kinds as
// GrantConsent.
func (s *Service) GrantConsentFor(ctx context.Context, actor directory.Actor, user directory.UserID, id directory.AppID, ps []directory.Permission, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, false, func(c *step) error {
		about := audit.Party{Kind: "app", ID: string(id), Name: string(id)}
		if err := c.allow("Consent to application", about, "", role.GrantConsent, role.Target{}); err != nil {
			return err
		}
		a, err := c.Tx.App(id)
		if err != nil {
			return missing(err, noSuchApp)
		}
		whose := "everybody"
		if !user.IsZero() {
			u, err := c.liveUser(user)
			if err != nil {
				return missing(err, noSuchUser)
			}
			whose = u.Name
		}
		if ps, err = c.permissions(ps, false); err != nil {
			return err
		}
		for _, p := range ps {
			if len(p.Scopes) == 0 {
				return invalid("A consent names at least one scope. To take it back, withdraw it.")
			}
			if err := c.SaveConsent(directory.Consent{User: user, App: id, Resource: p.Resource, Scopes: p.Scopes, Given: c.Now}); err != nil {
				return err
			}
			scopes := strings.Join(p.Scopes, " ")
			c.did("Consent to application", store.AppParty(a), "Lets "+a.Name+" have "+scopes+" at "+string(p.Resource)+" for "+whose+".",
				audit.Change{Property: "ConsentAction.Permissions", New: string(p.Resource) + ": " + scopes})
		}
		c.search = true // narrowing a consent cuts
		return nil
	})
	return first(all, string(id)), err
}

// WithdrawConsent takes back everything that a user (or, for the zero user, an
// administrator for everybody) consented to for an app, and ends what was handed
// out on it. Everyone may withdraw their own. Kinds: Denied, NotFound, Limited
// with *revoke.TooMany (one's own, too often), Revoked, Unavailable.
func (s *Service) WithdrawConsent(ctx context.Context, actor directory.Actor, user directory.UserID, id directory.AppID, act Act) (*Receipt, error) {
	return s.WithdrawConsentAt(ctx, actor, user, id, "", act)
}

// WithdrawConsentAt is WithdrawConsent at one resource; empty: at all. What was
// handed out ends at all of them: a grant is one. Kinds as WithdrawConsent.
func (s *Service) WithdrawConsentAt(ctx context.Context, actor directory.Actor, user directory.UserID, id directory.AppID, at directory.ResourceID, act Act) (*Receipt, error) {
	all, err := s.write(ctx, actor, act, true, func(c *step) error {
		about, whose := audit.Party{Kind: "app", ID: string(id), Name: string(id)}, "everybody"
		if err := c.allow("Revoke consent", about, "", role.RemoveConsent, role.Target{ID: user}); err != nil {
			return err
		}
		if !user.IsZero() {
			u, err := c.Tx.User(user)
			if err != nil {
				return missing(err, noSuchUser)
			}
			whose = u.Name
		}
		if err := revoke.Pace(c.Tx, c.actor, user); err != nil {
			return err
		}
		var err error
		if at == "" {
			err = c.Tx.WithdrawConsent(user, id)
		} else {
			err = c.Tx.WithdrawConsentAt(user, id, at)
		}
		if err != nil {
			return missing(err, "There is no consent to withdraw.")
		}
		c.search = true
		c.did("Revoke consent", about, "Withdraws the consent of "+whose+" to "+string(id)+"; its grants and access tokens end.", audit.Change{Property: "ConsentContext.User", Old: whose})
		return nil
	})
	return first(all, string(id)), err
}

// permissions checks that every resource and scope (or application role) exists,
// writes the alias of our own API as its name, and merges repeats.
func (c *step) permissions(ps []directory.Permission, appRoles bool) ([]directory.Permission, error) {
	var out []directory.Permission
	for _, p := range ps {
		if c.s.API != "" && (strings.EqualFold(strings.TrimRight(string(p.Resource), "/"), graphURL) || string(p.Resource) == graphID) {
			p.Resource = c.s.API
		}
		r, err := c.Tx.Resource(p.Resource)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "There is no resource "+fault.Quote(string(p.Resource))+".")
		}
		if err != nil {
			return nil, err
		}
		for _, x := range p.Scopes {
			if appRoles && !slices.Contains(r.AppRoles, x) {
				return nil, fault.New(fault.NotFound, "The resource "+fault.Quote(string(r.ID))+" has no application role "+fault.Quote(x)+".")
			}
			if !appRoles && !slices.ContainsFunc(r.Scopes, func(s directory.Scope) bool { return s.Name == x && !s.Disabled }) {
				return nil, fault.New(fault.NotFound, "The resource "+fault.Quote(string(r.ID))+" has no scope "+fault.Quote(x)+".")
			}
		}
		i := slices.IndexFunc(out, func(q directory.Permission) bool { return q.Resource == p.Resource })
		if i < 0 {
			out = append(out, directory.Permission{Resource: p.Resource})
			i = len(out) - 1
		}
		for _, x := range p.Scopes {
			if !slices.Contains(out[i].Scopes, x) {
				out[i].Scopes = append(out[i].Scopes, x)
			}
		}
	}
	return out, nil
}

// Audits lists audit records, the newest first. Kinds: Denied, Unavailable.
func (s *Service) Audits(ctx context.Context, actor directory.Actor, q AuditQuery) (all []audit.Record, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := role.Allowed(c.actor, role.ReadAudit, role.Target{}).Err(""); err != nil {
			return err
		}
		all, err = c.Tx.Audits(q)
		return err
	})
	return all, err
}

// NameDirectory sets what the directory calls itself. Only a Global
// Administrator may. Kinds: Denied, Invalid, Unavailable.
func (s *Service) NameDirectory(ctx context.Context, actor directory.Actor, domain, name string, act Act) error {
	_, err := s.write(ctx, actor, act, false, func(c *step) error {
		_, err := c.nameDirectory(domain, name)
		return err
	})
	return err
}

// nameDirectory reports whether there was something to change.
func (c *step) nameDirectory(domain, name string) (bool, error) {
	// No action of the catalogue is about this; the one that only a Global
	// Administrator in person may do stands for it.
	if !role.Allowed(c.actor, role.CutDirectory, role.Target{}).OK {
		err := fault.New(fault.Denied, "Only a Global Administrator can name the directory.")
		c.refused = &audit.Record{Action: "Update company information", Result: audit.Refused, Target: audit.Party{Kind: "directory"}, Elaborate: err.Public}
		return false, err
	}
	if err := directory.CheckDomain(domain); err != nil {
		return false, err
	}
	if err := directory.CheckRequired("The name of the directory", name, 256); err != nil {
		return false, err
	}
	d, err := c.Tx.Directory()
	if err != nil || d.Domain == domain && d.Name == name {
		return false, err
	}
	if err := c.Tx.NameDirectory(domain, name); err != nil {
		return false, err
	}
	c.did("Update company information", audit.Party{Kind: "directory", ID: d.Tenant.String(), Name: name}, "Names the directory "+name+" ("+domain+").",
		audit.Change{Property: "displayName", Old: d.Name, New: name}, audit.Change{Property: "domain", Old: d.Domain, New: domain})
	return true, nil
}
