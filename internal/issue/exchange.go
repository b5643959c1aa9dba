package issue

import (
	"context"
	"errors"
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// AccessTokenType is the one kind of token that is exchanged here, and given for
// it (RFC 8693 §3).
const AccessTokenType = "urn:ietf:params:oauth:token-type:access_token"

// ExchangeRequest is a token exchange as RFC 8693 §2.1 has it.
type ExchangeRequest struct {
	Subject       string // the access token that the caller was shown
	SubjectType   string
	Actor         string // refused: the authenticated client is who acts
	ActorType     string
	RequestedType string // empty: AccessTokenType
	Resource      []string
	Audience      []string
	Scope         string // offline_access asks for a refresh token too
	Issuer        grant.Issuer
	Meta
}

// OnBehalfOfRequest is the same in Microsoft's form (RFC 7523's grant type with
// a member of their own).
type OnBehalfOfRequest struct {
	Assertion string // the access token that the caller was shown
	Use       string // requested_token_use
	Scope     string
	Resource  []string
	Issuer    grant.Issuer
	Meta
}

// swap is what both forms come to.
type swap struct {
	subject  string
	scope    string
	resource []string
	issuer   grant.Issuer
	meta     Meta
	// refused is the code for a subject token that is not accepted.
	refused string
}

// Exchange gives a service that was called with a person's access token one of
// its own for the next service, within what it may have for that person. The new
// grant hangs from the one whose token was shown: whatever ends that ends it.
// Kinds: Invalid, Unauthenticated, Revoked, Unavailable.
func (s *Service) Exchange(ctx context.Context, client *Client, r ExchangeRequest) (*Tokens, error) {
	switch {
	case r.SubjectType != AccessTokenType:
		return nil, refuse(fault.Invalid, "invalid_request", 9002313, "", "Only access tokens are exchanged here: subject_token_type must be "+AccessTokenType+".")
	case r.Actor != "" || r.ActorType != "":
		return nil, refuse(fault.Invalid, "invalid_request", 9002313, "", "Neither actor_token nor actor_token_type is accepted: the client that asks is the one that acts.")
	case r.RequestedType != "" && r.RequestedType != AccessTokenType:
		return nil, refuse(fault.Invalid, "invalid_request", 9002313, "", "Only access tokens are given here: requested_token_type must be "+AccessTokenType+" or be left out.")
	}
	t, err := s.swap(ctx, client, swap{subject: r.Subject, scope: r.Scope, resource: slices.Concat(r.Resource, r.Audience), issuer: r.Issuer, meta: r.Meta,
		refused: "invalid_request"}) // RFC 8693 §2.2.2, whatever is wrong with it
	if err == nil {
		t.Type = AccessTokenType
	}
	return t, err
}

// OnBehalfOf is Exchange in Microsoft's form. Kinds as Exchange.
func (s *Service) OnBehalfOf(ctx context.Context, client *Client, r OnBehalfOfRequest) (*Tokens, error) {
	if r.Use != "on_behalf_of" {
		return nil, refuse(fault.Invalid, "invalid_request", 9002313, "", "An assertion is taken on behalf of a person only: requested_token_use must be on_behalf_of.")
	}
	return s.swap(ctx, client, swap{subject: r.Assertion, scope: r.Scope, resource: r.Resource, issuer: r.Issuer, meta: r.Meta, refused: "invalid_grant"})
}

// no is the refusal of a subject token, by the numbers Entra has for it.
func (w *swap) no(number int, sub, text string) error {
	return refuse(fault.Invalid, w.refused, number, sub, text)
}

func (s *Service) swap(ctx context.Context, client *Client, w swap) (t *Tokens, err error) {
	n := s.note("exchange", journal.Silent, client, &w.meta)
	defer func() { n.end(t, err) }()
	if client.Public {
		return nil, refuse(fault.Invalid, "unauthorized_client", 7000218, "", "Only a client that proves who it is may exchange tokens.")
	}
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	v, err := s.subject(&w)
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(ctx, client.App, w.scope, w.resource)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(p.asked, func(a asked) bool { return a.resource != "" }) {
		return nil, refuse(fault.Invalid, "invalid_target", 70011, "", "Say what the token is for: scope is one resource followed by /.default, or its scopes.")
	}
	var d *draft
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		d = &draft{born: tx.Head, now: tx.Now, cp1: w.meta.CP1, key: w.meta.Key}
		n.draft = d
		return s.descend(tx, client, reg, d, v.claims, &w, p)
	})
	if err == nil {
		err = s.lastLookAt(ctx, d)
	}
	if err != nil {
		return nil, w.tell(err)
	}
	return s.sign(ctx, d)
}

// tell puts a subject token that is not good any more into the words of its form.
func (w *swap) tell(err error) error {
	var d *standing.Dead
	var e *Error
	if r := (*access.Refused)(nil); errors.As(err, &r) || !errors.As(err, &d) || !errors.As(err, &e) || e.Code != "invalid_grant" { // whom policies refuse hands their words on
		return err
	}
	return fault.Wrap(fault.Revoked, fault.Public(err), errors.Join(d, &Error{Code: w.refused, Number: e.Number, Sub: e.Sub}))
}

// subject checks what never changes of a subject token: that it is an access
// token of ours that acts for a person. Everything else is judged inside the
// transaction.
func (s *Service) subject(w *swap) (*verified, error) {
	v, err := s.verify(w.subject)
	known := false
	if err == nil { // what was verified once may be signed with a key that was dropped since
		known, err = s.Keys.Has(v.key)
	}
	switch {
	case fault.Is(err, fault.Unavailable):
		return nil, err
	case err != nil || !known:
		return nil, w.no(50013, "", "The token is not an access token of this directory, or its signature is not right.")
	case v.claims.IDType == "app" || v.claims.GID == "":
		return nil, refuse(fault.Invalid, "unauthorized_client", 7000114, "", "The token is an application's own: there is nobody on whose behalf to act.")
	}
	return v, nil
}

// descend judges the subject token and everybody it concerns, and writes the
// grant that hangs from its own. One row for each pair of grant and application:
// what is exchanged every hour does not grow.
func (s *Service) descend(tx *store.Tx, client *Client, reg *registrations, d *draft, a *Access, w *swap, p *Plan) error {
	app, err := tx.App(client.ID)
	if err != nil {
		return gone(err)
	}
	if !client.Still(app, d.now) {
		return errClient
	}
	if err := mustHold(app, d.key); err != nil {
		return err
	}
	if !slices.ContainsFunc(app.Guards, func(r directory.ResourceID) bool { return r != directory.OwnAPI && s.Audience(r) == a.Audience }) {
		return w.no(500131, "", "The token was made for "+printable(a.Audience)+", which is not a resource of this client. A client exchanges what was shown to its own resource.")
	}
	if now := d.now.Unix(); now >= a.Expires || now < a.NotBefor-60 {
		return w.no(500133, "", "The token has expired.")
	}
	g, u, err := s.begin(tx, d, app, a, w)
	if err != nil {
		return err
	}
	have := widen(app.Permissions, []directory.Permission{{Resource: directory.OwnAPI, Scopes: oidcScopes}})
	if !app.FirstParty {
		consents, err := consented(tx, u.ID, app.ID)
		if err != nil {
			return err
		}
		have = within(consents, have)
	}
	d.app, d.user, d.grant = app, u, g
	if err := s.choose(reg, d, have, w.scope, w.resource); err != nil {
		return err
	}
	for _, n := range permitted(have, directory.OwnAPI) {
		if slices.Contains(p.OIDC, n) {
			d.oidc = append(d.oidc, n)
		}
	}
	if d.held, err = tx.Held(u.ID); err != nil {
		return err
	}
	if err := s.permit(tx, reg, d, useOf(g, app, "", w.meta)); err != nil {
		return err
	}
	fresh := g.ID.IsZero()
	g.Offline, d.bare = g.Offline || p.Offline, !p.Offline
	g.Scopes = widen(g.Scopes, []directory.Permission{{Resource: d.resource.ID, Scopes: d.scopes}})
	if len(d.oidc) > 0 {
		g.Scopes = widen(g.Scopes, []directory.Permission{{Resource: directory.OwnAPI, Scopes: d.oidc}})
	}
	g.LastUsed = d.now
	g.State.Note(d.resource.ID, d.now, d.expires)
	if fresh {
		g.ID = directory.NewID[directory.Grant](d.now)
		return tx.CreateGrant(g)
	}
	return tx.SaveExchange(g)
}

// begin returns the grant that hangs from the subject token's own, or, where
// there is none that is good, a new one without an id. Kinds: Revoked when the
// token, its grant or anything above is not good any more.
func (s *Service) begin(tx *store.Tx, d *draft, app *directory.App, a *Access, w *swap) (*grant.Grant, *directory.User, error) {
	foreign := w.no(50013, "", "The token is not one of the grant it names.")
	b, err := a.Belongs()
	if err != nil {
		return nil, nil, foreign
	}
	id, err := directory.ParseID[directory.Grant](a.GID)
	if err != nil {
		return nil, nil, foreign
	}
	parent, err := tx.HoldGrant(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, dead([]standing.Cause{standing.Orphaned})
	}
	if err != nil {
		return nil, nil, err
	}
	if parent.User.String() != a.OID || string(parent.App) != a.ClientID || len(parent.Chain) != len(b.Chain) {
		return nil, nil, foreign
	}
	if parent.Issuer != w.issuer {
		return nil, nil, w.no(50013, "", "The token was made at the other issuer.")
	}
	if len(parent.Chain) == cutoff.MaxChain {
		return nil, nil, w.no(50013, "", "The token was exchanged too often already: nothing more is made from it.")
	}
	u, err := tx.User(parent.User)
	if err != nil {
		return nil, nil, err
	}
	w.meta.note.saw(u, parent)
	cuts, err := tx.CutsAfter(b, cutoff.Token, a.Born)
	if err != nil {
		return nil, nil, err
	}
	g := &grant.Grant{User: u.ID, App: app.ID, Session: parent.EndsWith(), Device: parent.Device, Issuer: w.issuer, Created: d.now,
		End: earlier(parent.End, s.end(d.now, app, "")), AuthTime: parent.AuthTime, AMR: parent.AMR, SecondTime: parent.SecondTime, Platform: parent.Platform, Flow: parent.Flow, Contexts: parent.Contexts, Chain: parent.Below(), State: grant.State{Generation: 1}}
	above, err := tx.Above(g, u)
	if err != nil {
		return nil, nil, err
	}
	if a.Born > tx.Head { // nobody is born after the newest line there is
		return nil, nil, dead([]standing.Cause{standing.HistoryLost})
	}
	unassigned, err := tx.Unassigned(app, u.ID)
	if err != nil {
		return nil, nil, err
	}
	f := standing.Facts{Now: d.now, User: u, App: app, NeedsApp: true, Unassigned: unassigned, Cuts: cuts, Above: above.Facts, Orphan: above.Orphan}
	if causes := standing.Check(f); len(causes) > 0 {
		return nil, nil, dead(causes)
	}
	if err := s.shownStill(tx, parent, a, w.meta); err != nil {
		return nil, nil, err
	}
	d.limit = above.End
	made, err := tx.GrantMade(parent.ID, app.ID)
	if errors.Is(err, store.ErrNotFound) {
		return g, u, nil
	}
	if err != nil {
		return nil, nil, err
	}
	f.Ends, f.End = made.Ends(s.Lifetimes), made.End
	if f.Cuts, err = tx.CutsAfter(made.Belongs(), cutoff.Token, made.Born); err != nil {
		return nil, nil, err
	}
	if len(standing.Check(f)) == 0 {
		return made, u, nil
	}
	return g, u, nil // it was ended by itself; what is made from now on is new
}

// shownStill asks the policies about the token that was shown: what they would not
// give any more is not taken for something else either.
func (s *Service) shownStill(tx *store.Tx, parent *grant.Grant, a *Access, m Meta) error {
	app, err := tx.App(parent.App)
	if err != nil {
		return gone(err)
	}
	u := useOf(parent, app, "", m)
	if u.Held, err = tx.Held(parent.User); err != nil {
		return err
	}
	resources, err := tx.Resources()
	if err != nil {
		return err
	}
	for _, r := range resources {
		if s.Audience(r.ID) == a.Audience {
			u.Resource = r.ID
		}
	}
	_, err = s.Access.Judge(tx, u)
	return byPolicy(err)
}
