package federate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/upstream"
)

// Patch says what is to be changed in a registration; nil leaves alone.
type Patch struct {
	Name, ClientID              *string
	Secret                      *string // empty: there is none, PKCE alone
	Scopes, Domains             *[]string
	UserName, Mail, DisplayName *string // names of claims; empty: the usual one
	Create, Enabled             *bool
	Signs                       *bool // by a signature of ours instead of a secret
}

// Seen is a registration as administrators see it.
type Seen struct {
	*directory.Provider
	HasSecret bool
	People    int // linked to it
	// Redirect and Logout are the addresses to register at the provider.
	Redirect, Logout string
}

func (c *step) seen(p *directory.Provider) (Seen, error) {
	n, err := c.CountLinks(p.ID)
	x := Seen{Provider: p, HasSecret: len(p.Secret) > 0, People: n, Redirect: c.s.redirect(p.ID), Logout: c.s.Base + "/federation/" + string(p.ID) + "/logout"}
	p.Secret = nil // sealed or not, it leaves no verb
	return x, err
}

// redirect is the address people come back to: one of its own for each provider
// (RFC 9700 §4.4.2).
func (s *Service) redirect(id directory.ProviderID) string {
	return s.Base + "/federation/" + string(id) + "/callback"
}

// Providers lists other identity providers. Kinds: Denied, Unavailable.
func (s *Service) Providers(ctx context.Context, actor directory.Actor) (all []Seen, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		all = nil
		if err := c.allow("", audit.Party{}, role.ReadProviders, role.Target{}); err != nil {
			return err
		}
		ps, err := c.Tx.Providers()
		for _, p := range ps {
			x, err := c.seen(p)
			if err != nil {
				return err
			}
			all = append(all, x)
		}
		return err
	})
	return all, err
}

// Provider returns one. Kinds: Denied, NotFound, Unavailable.
func (s *Service) Provider(ctx context.Context, actor directory.Actor, id directory.ProviderID) (x Seen, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadProviders, role.Target{}); err != nil {
			return err
		}
		p, err := c.Tx.Provider(id)
		if err != nil {
			return missing(err, errNoProvider)
		}
		x, err = c.seen(p)
		return err
	})
	return x, err
}

const (
	adds    = "Add identity provider"
	changes = "Update identity provider"
	deletes = "Delete identity provider"
)

// Create registers a provider by its issuer or the address of its metadata, which is
// asked first: it must name that issuer and publish keys. Kinds: Denied, Invalid,
// Conflict, Revoked, Unavailable.
func (s *Service) Create(ctx context.Context, actor directory.Actor, id directory.ProviderID, issuer string, p Patch, act manage.Act) (x Seen, err error) {
	issuer = strings.TrimSuffix(issuer, directory.WellKnown)
	// Who may not is refused below, on record, and before anybody is asked anything.
	may := s.read(ctx, actor, func(c *step) error { return role.Allowed(c.Actor, role.UpdateProvider, role.Target{}).Err("") })
	if may == nil {
		if _, err := s.Upstream.Discover(ctx, issuer); err != nil {
			return x, err
		}
	}
	_, err = s.write(ctx, actor, act, func(c *step) error {
		made, err := c.save(id, issuer, p, true)
		if err != nil {
			return err
		}
		x, err = c.seen(made)
		return err
	})
	return x, err
}

// Update changes a registration. Disabling it, or another client id, ends every
// session that came through it, with the grants given in them. Kinds: Denied,
// NotFound, Invalid, Revoked, Unavailable.
func (s *Service) Update(ctx context.Context, actor directory.Actor, id directory.ProviderID, p Patch, act manage.Act) (*store.Receipt, error) {
	return s.write(ctx, actor, act, func(c *step) error { _, err := c.save(id, "", p, false); return err })
}

// Declare makes a registration what a manifest says, in the manifest's transaction,
// and returns one sentence if anything changed. The provider is not asked: a
// directory must start without it. Kinds as Create.
func (s *Service) Declare(tx *store.Tx, actor directory.Actor, id directory.ProviderID, issuer string, p Patch) (string, error) {
	c := &step{&deed.Step{Tx: tx, Actor: actor}, s}
	issuer = strings.TrimSuffix(issuer, directory.WellKnown)
	old, err := tx.Provider(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if old != nil && old.Issuer != issuer {
		return "", fault.New(fault.Conflict, "The issuer of an identity provider never changes. Delete it, with its links, and register the new one.")
	}
	_, err = c.save(id, issuer, p, old == nil)
	return strings.Join(c.Said, " "), err
}

// save creates or changes a registration.
func (c *step) save(id directory.ProviderID, issuer string, patch Patch, create bool) (*directory.Provider, error) {
	activity, about := changes, audit.Party{Kind: "provider", ID: string(id), Name: string(id)}
	if create {
		activity = adds
	}
	if err := c.allow(activity, about, role.UpdateProvider, role.Target{}); err != nil {
		return nil, err
	}
	old, err := c.LockProvider(id)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	case create && old != nil:
		return nil, fault.New(fault.Conflict, "There is an identity provider of that id already.")
	case !create && old == nil:
		return nil, errNoProvider
	}
	p := &directory.Provider{ID: id, Issuer: issuer, Enabled: true, Name: string(id), Created: c.Now}
	if old != nil {
		copied := *old
		p = &copied
	}
	set(&p.Name, patch.Name)
	set(&p.ClientID, patch.ClientID)
	set(&p.Scopes, patch.Scopes)
	set(&p.Domains, patch.Domains)
	set(&p.Claims.UserName, patch.UserName)
	set(&p.Claims.Mail, patch.Mail)
	set(&p.Claims.DisplayName, patch.DisplayName)
	set(&p.Create, patch.Create)
	switch { // one takes the place of the other
	case patch.Signs != nil && *patch.Signs && patch.Secret == nil:
		p.Signs, p.Secret = true, nil
	case patch.Signs == nil && patch.Secret != nil && *patch.Secret != "":
		p.Signs = false
	default:
		set(&p.Signs, patch.Signs)
	}
	set(&p.Enabled, patch.Enabled)
	if err := c.secret(p, patch.Secret); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if slices.Contains(c.s.Issuers, p.Issuer) {
		return nil, fault.New(fault.Invalid, "That issuer is this directory itself.")
	}
	if old != nil && reflect.DeepEqual(old, p) {
		return p, nil
	}
	if c.Cut, err = c.SaveProvider(p); errors.Is(err, store.ErrDuplicate) {
		return nil, fault.Wrap(fault.Conflict, "There is another identity provider of that issuer.", err)
	} else if err != nil {
		return nil, err
	}
	c.Audit(audit.Record{Action: activity, Target: store.ProviderParty(p), Changes: differences(old, p)})
	switch {
	case create:
		c.Said = append(c.Said, "Registers the identity provider "+p.Name+" ("+p.Issuer+").")
	case old.Enabled && !p.Enabled:
		c.Said = append(c.Said, "Disables the identity provider "+p.Name+" and ends the sessions that came through it.")
	default:
		c.Said = append(c.Said, "Changes the identity provider "+p.Name+".")
	}
	return p, nil
}

// sealing is what the secret of a provider is sealed for.
const sealing = "provider secret"

// maxSecret bounds a client secret, in bytes.
const maxSecret = 4096

func sealedFor(p *directory.Provider) string { return string(p.ID) + "\x00" + p.Issuer }

// secret seals a new secret; one that is there already keeps its row.
func (c *step) secret(p *directory.Provider, value *string) error {
	switch {
	case value == nil:
		return nil
	case *value == "":
		p.Secret = nil
		return nil
	case len(*value) > maxSecret || strings.ContainsAny(*value, "\r\n\x00"):
		return fault.New(fault.Invalid, "The secret is too long or has more than one line.")
	}
	if len(p.Secret) > 0 {
		if old, err := c.s.Keys.Unseal(sealing, sealedFor(p), p.Secret); err == nil && string(old) == *value {
			return nil
		}
	}
	sealed, err := c.s.Keys.Seal(sealing, sealedFor(p), []byte(*value))
	p.Secret = sealed
	return err
}

// assertionLife is how long an assertion of ours is good.
const assertionLife = time.Minute

// credential is what this directory proves itself with at a provider.
func (s *Service) credential(ctx context.Context, p *directory.Provider, m *upstream.Metadata) (own upstream.Credential, err error) {
	switch {
	case p.Signs:
		alg := directory.ES256
		if i := slices.IndexFunc(directory.SigningAlgs(), func(a string) bool { return slices.Contains(m.TokenAuthAlgs, a) }); i >= 0 {
			alg = directory.SigningAlgs()[i]
		}
		now := s.Upstream.Now()
		claims, err := json.Marshal(map[string]any{"iss": p.ClientID, "sub": p.ClientID, "aud": p.Issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix()})
		if err != nil {
			return own, err
		}
		own.Assertion, err = s.Keys.Sign(ctx, keys.ClientAssertion, alg, claims)
		return own, err
	case len(p.Secret) > 0:
		b, err := s.Keys.Unseal(sealing, sealedFor(p), p.Secret)
		own.Secret = string(b)
		return own, err
	}
	return own, nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// differences are the properties that changed, for the audit log. Of a secret only
// that it did.
func differences(old, p *directory.Provider) (out []audit.Change) {
	if old == nil {
		old = &directory.Provider{}
	}
	flag := func(b bool) string {
		if b {
			return "true"
		}
		return "false"
	}
	for _, x := range [][3]string{{"issuer", old.Issuer, p.Issuer}, {"name", old.Name, p.Name}, {"clientId", old.ClientID, p.ClientID}, {"enabled", flag(old.Enabled), flag(p.Enabled)},
		{"scopes", strings.Join(old.Scopes, " "), strings.Join(p.Scopes, " ")}, {"createUsers", flag(old.Create), flag(p.Create)}, {"privateKeyJwt", flag(old.Signs), flag(p.Signs)}, {"domains", strings.Join(old.Domains, " "), strings.Join(p.Domains, " ")},
		{"userNameClaim", old.Claims.UserName, p.Claims.UserName}, {"mailClaim", old.Claims.Mail, p.Claims.Mail}, {"displayNameClaim", old.Claims.DisplayName, p.Claims.DisplayName}} {
		if x[1] != x[2] {
			out = append(out, audit.Change{Property: x[0], Old: x[1], New: x[2]})
		}
	}
	if string(old.Secret) != string(p.Secret) {
		out = append(out, audit.Change{Property: "secret", New: "changed"})
	}
	return out
}

// Delete removes a registration with its links and ends every session that came
// through it. Kinds as Update.
func (s *Service) Delete(ctx context.Context, actor directory.Actor, id directory.ProviderID, act manage.Act) (*store.Receipt, error) {
	return s.write(ctx, actor, act, func(c *step) error {
		if err := c.allow(deletes, audit.Party{Kind: "provider", ID: string(id), Name: string(id)}, role.UpdateProvider, role.Target{}); err != nil {
			return err
		}
		p, err := c.Tx.LockProvider(id)
		if err != nil {
			return missing(err, errNoProvider)
		}
		if c.Cut, err = c.DeleteProvider(id); err != nil {
			return err
		}
		c.Audit(audit.Record{Action: deletes, Target: store.ProviderParty(p)})
		c.Said = append(c.Said, "Deletes the identity provider "+p.Name+" with all links to it and ends the sessions that came through it.")
		return nil
	})
}

// Button is a way to sign in that the sign-in page offers.
type Button struct {
	ID   directory.ProviderID
	Name string
}

// Buttons lists the ways to sign in through others, for everybody. Kinds:
// Unavailable.
func (s *Service) Buttons(ctx context.Context) (all []Button, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		all = nil
		ps, err := tx.Providers()
		for _, p := range ps {
			if p.Enabled {
				all = append(all, Button{p.ID, p.Name})
			}
		}
		return err
	})
	return all, err
}
