package issue

import (
	"context"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// ClientCredentials gives an application a token for itself (RFC 6749 §4.4). Its
// identity is a user like any other: it can be disabled, deleted and revoked.
// scope names one resource's .default. Kinds: Invalid, Unauthenticated, Revoked.
func (s *Service) ClientCredentials(ctx context.Context, client *Client, scope string, resource []string, issuer grant.Issuer, m Meta) (t *Tokens, err error) {
	n := s.note("client_credentials", journal.Service, client, &m)
	defer func() { n.end(t, err) }()
	if client.Public || client.Principal.IsZero() {
		return nil, refuse(fault.Invalid, "unauthorized_client", 700025, "", "This client has no identity of its own: it cannot use client_credentials.")
	}
	if err := mustHold(client.App, m.Key); err != nil {
		return nil, err
	}
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	p, err := s.parse(reg, scope, resource)
	if err != nil {
		return nil, err
	}
	p.asked = slices.DeleteFunc(p.asked, func(a asked) bool { return a.resource == "" })
	if len(p.asked) != 1 || p.asked[0].name != ".default" {
		return nil, refuse(fault.Invalid, "invalid_scope", 70011, "", "For client_credentials, scope is one resource followed by /.default.")
	}
	r := reg.resources[p.asked[0].resource]
	p.Resource, n.draft = r, &draft{resource: r}
	var a *Access
	var o cutoff.Owner
	now := s.Now().UTC()
	expires := now.Add(s.life(reg, r, client.App, m.CP1))
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		app, err := tx.App(client.ID)
		if err != nil {
			return gone(err)
		}
		if !client.Still(app, now) {
			return errClient
		}
		u, err := tx.User(app.Principal)
		if err != nil {
			return err
		}
		n.saw(u, nil)
		if causes := standing.Check(standing.Facts{Now: now, User: u, App: app, NeedsApp: true}); len(causes) > 0 {
			return dead(causes)
		}
		jti := newJTI()
		a = &Access{
			Issuer: s.Issuer(issuer), Subject: u.ID.String(), Audience: s.Audience(r.ID), ClientID: string(app.ID), AZP: string(app.ID), OID: u.ID.String(), TID: s.Tenant,
			Roles: permitted(app.AppPermissions, r.ID), IssuedAt: now.Unix(), NotBefor: now.Unix(), Expires: expires.Unix(),
			Born: tx.Head, JTI: jti, UTI: jti, IDType: "app", Version: "2.0",
		}
		if m.CP1 {
			a.CC = []string{"CP1"}
		}
		a.CNF = confirm(m.Key)
		o = a.Owner()
		return tx.NoteAppToken(app.ID, r.ID, now, expires)
	})
	if err != nil {
		return nil, err
	}
	if err := s.lastLook(ctx, &o, a.Born); err != nil {
		return nil, err
	}
	t = &Tokens{Scope: p.echo(), jti: a.JTI, ExpiresIn: expires.Sub(now), User: client.Principal, DPoP: a.CNF != nil && a.CNF.JKT != ""}
	t.Access, err = s.accessToken(ctx, r, a)
	return t, err
}

// RevokeToken is RFC 7009 for a client's own token. What is unknown or dead is
// success. A refresh token or a delegated access token ends its grant: whoever
// gives one back wants the other gone as well. Kinds: Invalid.
func (s *Service) RevokeToken(ctx context.Context, client *Client, token string) error {
	if t, err := grant.Parse(token); err == nil {
		key, known := s.Keys.RefreshKeyByID(t.Key)
		if !known || !t.Verify(token, key) {
			return nil
		}
		return s.endOwn(ctx, client, t.Grant)
	}
	if strings.Count(token, ".") == 4 {
		// Encrypted for its resource (RFC 7516 §7.1): what cannot be read cannot
		// be ended, and must not be told to be.
		return refuse(fault.Invalid, "unsupported_token_type", 0, "", "An encrypted access token cannot be read here. Revoke the refresh token that came with it.")
	}
	a, err := s.verify(token)
	if fault.Is(err, fault.Unavailable) {
		return err
	}
	if err != nil {
		return nil
	}
	if a.claims.ClientID != string(client.ID) {
		return refuse(fault.Invalid, "invalid_request", 0, "", "The token was not issued to this client.")
	}
	if a.claims.GID == "" {
		return refuse(fault.Invalid, "unsupported_token_type", 0, "", "An application's own access token cannot be revoked one by one. Remove its secret, or revoke the application.")
	}
	id, err := directory.ParseID[directory.Grant](a.claims.GID)
	if err != nil {
		return nil
	}
	return s.endOwn(ctx, client, id)
}

func (s *Service) endOwn(ctx context.Context, client *Client, id directory.GrantID) error {
	var g *grant.Grant
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { g, err = tx.Grant(id); return err })
	if err == store.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if g.App != client.ID {
		return refuse(fault.Invalid, "invalid_request", 0, "", "The token was not issued to this client.")
	}
	_, err = s.Revoke.EndGrant(ctx, id, standing.GrantReturned, "")
	return err
}
