package issue

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/clientauth"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

const (
	kindCode   = "code"
	kindDevice = "device"
)

// request is what a code or a device code remembers of the request it answers.
type request struct {
	Redirect  string                 `json:"redirect,omitempty"`
	Challenge string                 `json:"challenge,omitempty"`
	Nonce     string                 `json:"nonce,omitempty"`
	Issuer    grant.Issuer           `json:"issuer"`
	Session   directory.SessionID    `json:"session,omitzero"`
	All       []directory.Permission `json:"all"`
	OIDC      []string               `json:"oidc,omitempty"`
	Offline   bool                   `json:"offline,omitempty"`
	Scope     string                 `json:"scope"` // as asked
	Resource  []string               `json:"resource,omitempty"`
	AuthTime  time.Time              `json:"auth_time,omitzero"`
	AMR       []string               `json:"amr,omitempty"`
	CP1       bool                   `json:"cp1,omitempty"`
	Decision  string                 `json:"decision,omitempty"` // of a device code
	Grant     directory.GrantID      `json:"grant,omitzero"`     // what the first use produced
	Address   string                 `json:"address,omitempty"`  // where a device code was asked from
	Agent     string                 `json:"agent,omitempty"`    // of the device that asked
	Second    time.Time              `json:"second,omitzero"`
	Contexts  []string               `json:"contexts,omitempty"`
	JKT       string                 `json:"jkt,omitempty"` // who redeems it must hold this key (RFC 9449 §10)
}

// AuthorizeRequest asks for an authorization code.
type AuthorizeRequest struct {
	App         *directory.App
	Session     directory.SessionID
	Plan        *Plan  // what was consented to; of OpenID Connect's scopes more than Scope names if they may be named at redemption
	Scope       string // as asked
	Resource    []string
	RedirectURI string // checked by the surface against the registration
	Challenge   string // PKCE, S256
	Nonce       string
	Issuer      grant.Issuer
	CP1         bool
	JKT         string   // dpop_jkt: the thumbprint of the key that the code is bound to; empty: any
	Contexts    []string // authentication contexts that the tokens are to hold: "c1"
	IP, Agent   string   // of the browser
	Request     string   // correlation id
	Pushed      string   // the request_uri under which the request was pushed; empty: it was not
}

// Authorize makes an authorization code for a live session. The session, the
// account, the application and what policies say are judged inside the transaction
// in which the code is born. Kinds: Unauthenticated (no session, or its proof is too
// old), Denied (with *access.Refused, what policies demand), Revoked.
func (s *Service) Authorize(ctx context.Context, r AuthorizeRequest) (string, error) {
	code := newSecret()
	doc := request{Redirect: r.RedirectURI, Challenge: r.Challenge, Nonce: r.Nonce, Issuer: r.Issuer, Session: r.Session, All: r.Plan.All,
		OIDC: r.Plan.OIDC, Offline: r.Plan.Offline, Scope: r.Scope, Resource: r.Resource, CP1: r.CP1, JKT: r.JKT, Contexts: r.Contexts, Agent: r.Agent}
	n := s.noteVisit(&r)
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		x, u, err := s.liveSession(tx, r.Session)
		if err != nil {
			return err
		}
		n.visited(u, x)
		app, err := tx.App(r.App.ID)
		if err != nil || !app.Enabled || app.Object != r.App.Object {
			return gone(err)
		}
		if err := allowed(tx, app, u.ID, r.Plan.All); err != nil {
			return err
		}
		if n.draft.ruling, err = s.admit(tx, app, x, &r); err != nil {
			return err
		}
		if r.Pushed != "" {
			if err := approve(tx, app.ID, r.Issuer, r.Pushed, u.ID); err != nil {
				return err
			}
		}
		doc.proven(x)
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		return tx.CreateTicket(&store.Ticket{Hash: hashOf(code), Kind: kindCode, User: u.ID, App: app.ID, Expires: tx.Now.Add(s.Lifetimes.Code), Doc: string(text)})
	})
	n.end(&Tokens{}, err)
	if err != nil {
		return "", err
	}
	return code, nil
}

// allowed refuses whom the application does not let in, what it may not ask for,
// and what the person has not consented to, as of this transaction: the page that
// asked has looked earlier.
func allowed(tx *store.Tx, app *directory.App, user directory.UserID, want []directory.Permission) error {
	if unassigned, err := tx.Unassigned(app, user); err != nil || unassigned {
		return cmp.Or(err, errUnassigned)
	}
	if !covers(widen(app.Permissions, []directory.Permission{{Resource: directory.OwnAPI, Scopes: everybodys}}), want) {
		return refuse(fault.Invalid, "invalid_scope", 70011, "", "The application may not ask for that any more.")
	}
	if app.FirstParty {
		return nil
	}
	have, err := consented(tx, user, app.ID)
	if err == nil && !covers(have, want) {
		err = refuse(fault.Denied, "consent_required", 65001, "", "The person has not consented to what the application asks for.")
	}
	return err
}

func gone(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return dead([]standing.Cause{standing.AppDisabled})
	}
	return err
}

// liveSession reads and judges a browser session inside a transaction.
func (s *Service) liveSession(tx *store.Tx, id directory.SessionID) (*grant.Session, *directory.User, error) {
	x, err := tx.Session(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, refuse(fault.Unauthenticated, "login_required", 50058, "", "There is no session. Sign in.")
	}
	if err != nil {
		return nil, nil, err
	}
	u, err := tx.User(x.User)
	if err != nil {
		return nil, nil, err
	}
	cuts, err := tx.CutsAfter(directory.Belongs(x.User, x.ID, directory.GrantID{}, "", x.Device), cutoff.Browser, x.Born)
	if err != nil {
		return nil, nil, err
	}
	if causes := standing.Check(standing.Facts{Now: tx.Now, User: u, Ends: x.Ends(s.Lifetimes), Cuts: cuts}); len(causes) > 0 {
		return nil, nil, dead(causes)
	}
	return x, u, nil
}

// CodeRequest redeems an authorization code.
type CodeRequest struct {
	Code        string
	RedirectURI string
	Verifier    string
	Issuer      grant.Issuer
	Scope       string // may name another resource of those consented to; empty: as asked
	Resource    []string
	Meta
}

// errReplayed leaves the transaction; the grant is cut in one of its own, which
// nothing undoes.
var errReplayed = errors.New("replayed")

// Code redeems an authorization code, once. A second use ends what the first
// one produced (RFC 6749 §4.1.2). Kinds: Invalid, Revoked.
func (s *Service) Code(ctx context.Context, client *Client, r CodeRequest) (t *Tokens, err error) {
	n := s.note("code", journal.Silent, client, &r.Meta)
	defer func() { n.end(t, err) }()
	return s.redeem(ctx, client, kindCode, hashOf(r.Code), r.Meta, r.Scope, r.Resource, func(t *store.Ticket, doc *request) error {
		if doc.Issuer != r.Issuer || subtle.ConstantTimeCompare([]byte(doc.Redirect), []byte(r.RedirectURI)) != 1 {
			return errCode
		}
		return checkVerifier(doc.Challenge, r.Verifier)
	})
}

// checkVerifier is RFC 7636 §4.6 for S256. A verifier where no challenge was
// sent is refused as well: somebody may have taken the challenge out (RFC 9700 §4.8.2).
func checkVerifier(challenge, verifier string) error {
	bad := refuse(fault.Invalid, "invalid_grant", 501481, "", "The code_verifier does not match the code_challenge.")
	if challenge == "" {
		if verifier != "" {
			return bad
		}
		return nil
	}
	if len(verifier) < 43 || len(verifier) > 128 {
		return bad
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(b64(sum[:])), []byte(challenge)) != 1 {
		return bad
	}
	return nil
}

// redeem turns a ticket that is somebody's into a grant and its first tokens.
func (s *Service) redeem(ctx context.Context, client *Client, kind string, hash [32]byte, meta Meta, scope string, resource []string, check func(*store.Ticket, *request) error) (*Tokens, error) {
	reg, err := s.reg.get(ctx, s)
	if err != nil {
		return nil, err
	}
	var d *draft
	var replayed directory.GrantID
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		d, replayed = nil, directory.GrantID{}
		t, err := tx.Ticket(kind, hash)
		if errors.Is(err, store.ErrNotFound) || err == nil && t.App != client.ID {
			return errCode
		}
		if err != nil {
			return err
		}
		var doc request
		if err := json.Unmarshal([]byte(t.Doc), &doc); err != nil {
			return err
		}
		if !t.Used.IsZero() {
			replayed = doc.Grant
			return errReplayed
		}
		if !tx.Now.Before(t.Expires) {
			return errCode
		}
		if err := check(t, &doc); err != nil {
			return err
		}
		if doc.JKT != "" && meta.Key != clientauth.JKT+doc.JKT {
			return errHolder
		}
		if d, err = s.bear(tx, client, reg, t, &doc, meta, scope, resource); err != nil {
			return err
		}
		meta.note.draft = d
		t.Used, doc.Grant = tx.Now, d.grant.ID
		text, err := json.Marshal(doc)
		t.Doc = string(text)
		if err != nil {
			return err
		}
		return tx.SaveTicket(t)
	})
	if errors.Is(err, errReplayed) {
		if _, err := s.Revoke.EndGrant(ctx, replayed, standing.GrantReused, meta.IP); err != nil {
			return nil, fault.Wrap(fault.Unavailable, "The code was used before, and what it gave could not be ended. Try again.", err)
		}
		s.Log.Warn("a code was used twice", "grant", replayed, "client", client.ID)
		return nil, refuse(fault.Invalid, "invalid_grant", 54005, "", "The code was redeemed before.")
	}
	if err != nil {
		return nil, err
	}
	if err := s.lastLookAt(ctx, d); err != nil {
		return nil, err
	}
	return s.sign(ctx, d)
}

// bear judges the ticket and everybody it concerns, and creates the grant.
func (s *Service) bear(tx *store.Tx, client *Client, reg *registrations, t *store.Ticket, doc *request, meta Meta, scope string, resource []string) (*draft, error) {
	app, err := tx.App(client.ID)
	if err != nil {
		return nil, gone(err)
	}
	if !client.Still(app, tx.Now) {
		return nil, errClient
	}
	if err := mustHold(app, meta.Key); err != nil {
		return nil, err
	}
	u, err := tx.User(t.User)
	if err != nil {
		return nil, err
	}
	meta.note.saw(u, nil)
	if err := revoke.PaceGrant(tx, u.ID); err != nil { // before anything else of the user's is locked
		return nil, err
	}
	// A code belongs to the session it was made in, whatever its grant will. A
	// sign-out that appended no line has taken the row away.
	var device directory.DeviceID
	if !doc.Session.IsZero() {
		if err := tx.HoldSession(doc.Session); err != nil {
			return nil, err
		}
		x, err := tx.Session(doc.Session)
		if err != nil {
			return nil, cmp.Or(map[bool]error{true: errCode}[errors.Is(err, store.ErrNotFound)], err)
		}
		device = x.Device
	}
	cuts, err := tx.CutsAfter(directory.Belongs(t.User, doc.Session, directory.GrantID{}, app.ID, device), cutoff.Browser, t.Born)
	if err != nil {
		return nil, err
	}
	unassigned, err := tx.Unassigned(app, u.ID)
	if err != nil {
		return nil, err
	}
	if causes := standing.Check(standing.Facts{Now: tx.Now, User: u, App: app, NeedsApp: true, Unassigned: unassigned, Cuts: cuts}); len(causes) > 0 {
		return nil, dead(causes)
	}
	// A cutoff of tokens, as when a permission is taken from the application,
	// spares codes because they are judged anew here.
	var refused *Error
	if err := allowed(tx, app, u.ID, doc.All); errors.As(err, &refused) {
		return nil, errBeyond
	} else if err != nil {
		return nil, err
	}
	if err := askedOf(tx, t, doc.All); err != nil {
		return nil, err
	}
	d := &draft{user: u, app: app, nonce: doc.Nonce, born: tx.Head, now: tx.Now, cp1: meta.CP1 || doc.CP1, key: meta.Key}
	all, offline := doc.taken(d, scope)
	if d.held, err = tx.Held(u.ID); err != nil {
		return nil, err
	}
	d.grant = &grant.Grant{ID: directory.NewID[directory.Grant](tx.Now), User: u.ID, App: app.ID, Session: doc.Session, Device: device, Offline: offline, Issuer: doc.Issuer,
		Scopes: all, Created: tx.Now, LastUsed: tx.Now, End: s.end(tx.Now, app, doc.Redirect), AuthTime: doc.AuthTime, AMR: doc.AMR, CNF: binds(app, meta.Key), State: grant.State{Generation: 1}}
	d.grant.SecondTime, d.grant.Contexts, d.grant.Flow = doc.Second, doc.Contexts, policy.NoFlow
	if t.Kind == kindDevice { // approved on that device, and used somewhere else
		d.grant.Flow, d.grant.Device = policy.DeviceCode, directory.DeviceID{}
	}
	d.grant.Platform = access.PlatformOf(cmp.Or(doc.Agent, meta.Agent))
	if scope == "" && len(resource) == 0 {
		scope, resource = doc.Scope, doc.Resource
	}
	if err := s.choose(reg, d, all, scope, resource); err != nil {
		return nil, err
	}
	if err := s.permit(tx, reg, d, useOf(d.grant, app, doc.Redirect, meta)); err != nil {
		return nil, err
	}
	d.grant.State.Note(d.resource.ID, d.now, d.expires)
	return d, tx.CreateGrant(d.grant)
}

// proven notes how the session's person was proven.
func (r *request) proven(x *grant.Session) {
	r.AuthTime, r.AMR, r.Second = x.AuthTime, x.AMR, x.SecondTime
}

// askedOf refuses what was approved for a resource that was deleted meanwhile,
// though there is another of its identifier.
func askedOf(tx *store.Tx, t *store.Ticket, all []directory.Permission) error {
	for _, p := range all {
		r, err := tx.Resource(p.Resource)
		if errors.Is(err, store.ErrNotFound) || err == nil && p.Resource != directory.OwnAPI && t.Born <= r.Since {
			return errBeyond
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// taken is what the grant gets of what the plan allowed: everything but those of
// OpenID Connect's scopes that neither the first request named nor the one that
// redeems it. Surfaces may plan for more of them than was asked for, see
// [AuthorizeRequest].
func (r *request) taken(d *draft, scope string) (all []directory.Permission, offline bool) {
	named := strings.Fields(r.Scope + " " + scope)
	for _, n := range r.OIDC {
		if slices.Contains(named, n) || !slices.Contains(oidcScopes, n) {
			d.oidc = append(d.oidc, n)
		}
	}
	p := &Plan{}
	for _, x := range r.All {
		p.add(x.Resource, slices.DeleteFunc(slices.Clone(x.Scopes), func(n string) bool {
			return x.Resource == directory.OwnAPI && isOIDC(n) && !slices.Contains(d.oidc, n)
		}))
	}
	return p.All, r.Offline && slices.Contains(named, "offline_access")
}

// errBeyond: more was asked for than was consented to.
var errBeyond = refuse(fault.Invalid, "invalid_grant", 65001, "consent_required", "The person has not consented to what was asked for.")

// choose decides resource and scopes of an access token out of what the
// grant allows. Asking for less is fine, for more is not (RFC 6749 §6).
func (s *Service) choose(reg *registrations, d *draft, allowed []directory.Permission, scope string, resource []string) error {
	p := &Plan{}
	if scope != "" || len(resource) > 0 {
		var err error
		if p, err = s.parse(reg, scope, resource); err != nil {
			return err
		}
	}
	for _, a := range p.asked {
		if a.resource == "" {
			continue
		}
		names := []string{a.name}
		if a.name == ".default" {
			names = permitted(allowed, a.resource)
		}
		if len(names) == 0 {
			return errBeyond
		}
		p.add(a.resource, names)
	}
	if len(p.All) == 0 && len(allowed) > 0 { // only OpenID Connect's scopes, or none: what was asked for first
		p.add(allowed[0].Resource, allowed[0].Scopes)
	}
	if len(p.All) > 0 && p.All[0].Resource == directory.OwnAPI {
		for _, n := range permitted(allowed, directory.OwnAPI) {
			if isOIDC(n) {
				p.add(directory.OwnAPI, []string{n})
			}
		}
	}
	if len(p.All) == 0 || !covers(allowed, p.All) {
		return errBeyond
	}
	r := reg.resources[p.All[0].Resource]
	if r == nil {
		return refuse(fault.Invalid, "invalid_target", 500011, "", "The resource does not exist any more.")
	}
	p.Resource, p.Scopes = r, p.All[0].Scopes
	d.resource, d.scopes, d.echo = r, slices.Clone(p.All[0].Scopes), p.echo()
	return nil
}

func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return b64(b[:])
}
