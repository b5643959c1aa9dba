package server

import (
	"context"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
	"github.com/curfew-id/curfew/internal/web/federation"
	"github.com/curfew-id/curfew/internal/web/pages"
)

// constructFederation wires what has to do with other identity providers.
func (s *Server) constructFederation() {
	s.upstream = &upstream.Client{Egress: s.egress, Now: s.now, Log: s.log}
	s.federate = &federate.Service{DB: s.db, Keys: s.keys, Upstream: s.upstream, Revoke: s.revoke, SignIn: s.signin, Base: s.cfg.PublicURL, Issuers: s.revoke.Issuers, Log: s.log}
	s.manage.Provider = func(tx *store.Tx, actor directory.Actor, p *manifest.Provider) (string, error) {
		patch := federate.Patch{Name: p.Name, ClientID: p.ClientID, UserName: p.UserNameClaim, Mail: p.MailClaim, DisplayName: p.DisplayNameClaim, Create: p.CreateUsers, Enabled: p.Enabled, Signs: p.PrivateKeyJWT}
		if p.Scopes != nil {
			patch.Scopes = &p.Scopes
		}
		if p.Domains != nil {
			patch.Domains = &p.Domains
		}
		if p.Secret != "" {
			secret := string(p.Secret)
			patch.Secret = &secret
		}
		return s.federate.Declare(tx, actor, p.ID, p.Issuer, patch)
	}
}

// ways are the buttons of the sign-in page.
func (s *Server) ways(ctx context.Context) (all []pages.Way, err error) {
	buttons, err := s.federate.Buttons(ctx)
	for _, b := range buttons {
		all = append(all, pages.Way{Name: b.Name, Action: federation.Way(b.ID)})
	}
	return all, err
}

func (s *Server) federationPages(visitors *pages.Server) *federation.Server {
	onwards := func(ctx context.Context, next string, signed *signin.Signed, fresh bool) string {
		to := visitors.Onwards(next, signed, fresh)
		if signed.Session.Device.IsZero() { // whatever the provider asked for again
			to = s.after(ctx, signed, to)
		}
		return to
	}
	return &federation.Server{Federate: s.federate, SignIn: s.signin, Secure: s.cfg.Secure(), Domain: s.domain, Next: visitors.Next, Onwards: onwards,
		Admit: func(ip string) error { return s.issue.Strangers.Admit(ip, s.now()) }, Now: s.now, Log: s.log}
}
