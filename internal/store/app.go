package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/standing"
)

// Directory is what the directory calls itself.
type Directory struct {
	Tenant  directory.ID[Directory] // the GUID in issuer and endpoints
	Domain  string                  // "contoso.example"
	Name    string
	Created time.Time
}

// Directory returns the directory's own row.
func (tx *Tx) Directory() (d Directory, err error) {
	var created int64
	err = tx.row(`SELECT tenant, domain, name, created FROM directory WHERE id = 1`).Scan(&d.Tenant, &d.Domain, &d.Name, &created)
	d.Created = fromMicros(created)
	return d, err
}

// NameDirectory sets domain and name.
func (tx *Tx) NameDirectory(domain, name string) error {
	tx.Cut(&Cut{Cause: standing.AppChanged})
	_, err := tx.exec(`UPDATE directory SET domain = $1, name = $2 WHERE id = 1`, domain, name)
	return err
}

type appRow struct {
	id        directory.AppID
	object    directory.ObjectID
	principal directory.UserID
	enabled   bool
	version   int64
	doc       string
}

func (r *appRow) dest() []any {
	return []any{&r.id, &r.object, &r.principal, &r.enabled, &r.version, &r.doc}
}

// appCache keeps registrations parsed. A row's object id and version name its
// content, so an entry is never stale: the row is read each time, its document
// is parsed once. What a transaction has written itself may be undone, and its
// version given to something else, so that is not kept.
type appCache struct {
	mu sync.RWMutex
	m  map[directory.AppID]*directory.App // guarded by mu
}

const maxCachedApps = 10000

func (c *appCache) get(r *appRow) (*directory.App, error) {
	c.mu.RLock()
	a := c.m[r.id]
	c.mu.RUnlock()
	if a != nil && a.Object == r.object && a.Version == r.version {
		return a, nil
	}
	a, err := r.app()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxCachedApps {
		c.m = make(map[directory.AppID]*directory.App)
	}
	c.m[r.id] = a
	return a, nil
}

func (r *appRow) app() (*directory.App, error) {
	a := &directory.App{}
	if err := json.Unmarshal([]byte(r.doc), a); err != nil {
		return nil, fmt.Errorf("app %s: %w", r.id, err) // an unreadable row is no application: doubt closes
	}
	a.ID, a.Object, a.Principal, a.Enabled, a.Version = r.id, r.object, r.principal, r.enabled, r.version
	return a, nil
}

func (tx *Tx) scanApp(r scanner) (*directory.App, error) {
	row := &appRow{}
	if err := r.Scan(row.dest()...); err != nil {
		return nil, found(err)
	}
	if tx.apps {
		return row.app()
	}
	return tx.db.apps.get(row)
}

const appColumns = `id, object_id, principal, enabled, version, doc`

// App returns an application by client_id. ErrNotFound. The value is shared
// with other readers: do not change it.
func (tx *Tx) App(id directory.AppID) (*directory.App, error) {
	return tx.scanApp(tx.row(`SELECT `+appColumns+` FROM apps WHERE id = $1`, string(id)))
}

// AppByPrincipal returns the application whose identity user is. ErrNotFound.
func (tx *Tx) AppByPrincipal(user directory.UserID) (*directory.App, error) {
	return tx.scanApp(tx.row(`SELECT `+appColumns+` FROM apps WHERE principal = $1`, user[:]))
}

// Apps lists all applications by client_id.
func (tx *Tx) Apps() (all []*directory.App, err error) {
	err = tx.each(`SELECT `+appColumns+` FROM apps ORDER BY id`, func(r scanner) error {
		a, err := tx.scanApp(r)
		all = append(all, a)
		return err
	})
	return all, err
}

// SaveApp creates or changes an application and appends what follows from the
// difference. The version is set by the store.
func (tx *Tx) SaveApp(a *directory.App) error {
	old, err := tx.scanApp(tx.row(`SELECT `+appColumns+` FROM apps WHERE id = $1`+tx.lock(), string(a.ID)))
	if err != nil && err != ErrNotFound {
		return err
	}
	tx.apps = true
	a.Version = 1
	if old != nil {
		a.Version = old.Version + 1
	}
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO apps (id, object_id, principal, name, enabled, version, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET object_id = excluded.object_id, principal = excluded.principal, name = excluded.name, enabled = excluded.enabled, version = excluded.version, doc = excluded.doc`,
		string(a.ID), a.Object[:], blob(a.Principal), a.Name, flag(a.Enabled), a.Version, string(doc))
	if err != nil {
		return err
	}
	if err := tx.diffApp(old, a); err != nil {
		return err
	}
	return tx.followApp(old, a)
}

// diffApp appends the line of what a change of an application is: one line, with
// the cause that comes first, whatever came together.
func (tx *Tx) diffApp(old, a *directory.App) error {
	is := standing.Victim{App: string(a.ID), Identity: identity(a)}
	var all []*Cut
	var err error
	add := func(e standing.Event, v standing.Victim) {
		c, eerr := tx.Event(e, v, AppParty(a))
		if err = errors.Join(err, eerr); eerr == nil && len(c.Cuts) > 0 {
			all = append(all, c)
		}
	}
	switch {
	case old == nil:
	case old.Enabled && !a.Enabled:
		add(standing.ClientDisabled, is)
	default:
		if !old.Principal.IsZero() && old.Principal != a.Principal {
			add(standing.IdentityReplaced, standing.Victim{App: is.App, Identity: identity(old)})
		}
		// A first-party application needed nobody's consent; now it does. One that
		// let everybody in lets only those in who are assigned.
		if narrowed(old.Permissions, a.Permissions) || narrowed(old.AppPermissions, a.AppPermissions) || old.FirstParty && !a.FirstParty || !old.AssignmentRequired && a.AssignmentRequired {
			add(standing.ClientNarrowed, is)
		}
		if credentialRemoved(old, a) {
			add(standing.CredentialGone, is)
		}
	}
	if len(all) == 0 {
		c, eerr := tx.Event(standing.ClientChanged, is, audit.Party{})
		all, err = []*Cut{c}, errors.Join(err, eerr)
	}
	if err != nil {
		return err
	}
	for _, more := range all[1:] {
		all[0].Cuts = append(all[0].Cuts, more.Cuts...)
	}
	tx.Cut(all[0])
	return nil
}

// identity is the object id of an application's own identity; empty: it has none.
func identity(a *directory.App) string {
	if a.Principal.IsZero() {
		return ""
	}
	return a.Principal.String()
}

// AppParty names an application in ledger, receipts and audit.
func AppParty(a *directory.App) audit.Party {
	return audit.Party{Kind: "app", ID: string(a.ID), Name: a.Name}
}

func narrowed(old, now []directory.Permission) bool {
	for _, p := range old {
		i := slices.IndexFunc(now, func(q directory.Permission) bool { return q.Resource == p.Resource })
		for _, s := range p.Scopes {
			if i < 0 || !slices.Contains(now[i].Scopes, s) {
				return true
			}
		}
	}
	return false
}

// credentialRemoved reports whether something proved who old was and does not
// prove it for a: a secret, a key, or the address that keys are published at.
func credentialRemoved(old, a *directory.App) bool {
	for _, s := range old.Secrets {
		if !slices.ContainsFunc(a.Secrets, func(x directory.AppSecret) bool { return x.ID == s.ID }) {
			return true
		}
	}
	for _, k := range old.Keys {
		if !slices.ContainsFunc(a.Keys, func(x directory.AppKey) bool { return string(x.JWK) == string(k.JWK) }) {
			return true
		}
	}
	return old.KeysURI != "" && old.KeysURI != a.KeysURI
}

// DeleteApp removes an application. The cutoff stays, so that a re-created
// client_id inherits nothing. ErrNotFound.
func (tx *Tx) DeleteApp(id directory.AppID) error {
	a, err := tx.scanApp(tx.row(`SELECT `+appColumns+` FROM apps WHERE id = $1`+tx.lock(), string(id)))
	if err != nil {
		return err
	}
	c, err := tx.Event(standing.ClientDeleted, standing.Victim{App: string(id), Identity: identity(a)}, AppParty(a))
	if err != nil {
		return err
	}
	tx.Cut(c)
	if err := tx.followApp(a, nil); err != nil {
		return err
	}
	if err := tx.ForgetApp(id); err != nil {
		return err
	}
	_, err = tx.exec(`DELETE FROM apps WHERE id = $1`, string(id))
	return err
}

// ForgetApp removes what people consented to for an application, and who is
// assigned. The cutoff of whoever ends it covers them all.
func (tx *Tx) ForgetApp(id directory.AppID) error {
	for _, q := range []string{`DELETE FROM consents WHERE app_id = $1`, `DELETE FROM assignments WHERE app_id = $1`} {
		if _, err := tx.exec(q, string(id)); err != nil {
			return err
		}
	}
	return nil
}

func scanResource(r scanner) (*directory.Resource, error) {
	var doc string
	var x resourceDoc
	var id directory.ResourceID
	var version int64
	if err := r.Scan(&id, &version, &doc); err != nil {
		return nil, found(err)
	}
	if err := json.Unmarshal([]byte(doc), &x); err != nil {
		return nil, fmt.Errorf("resource %s: %w", id, err)
	}
	x.ID, x.Version, x.Resource.Since = id, version, x.Since
	return &x.Resource, nil
}

// resourceDoc is a resource with what nobody but the store sets.
type resourceDoc struct {
	directory.Resource
	Since cutoff.Pos
}

// Resource returns a resource by its identifier; the directory's own API is in
// every directory. ErrNotFound.
func (tx *Tx) Resource(id directory.ResourceID) (*directory.Resource, error) {
	if id == directory.OwnAPI {
		return directory.OwnResource(), nil
	}
	return scanResource(tx.row(`SELECT id, version, doc FROM resources WHERE id = $1`, string(id)))
}

// Resources lists all registered resources by identifier.
func (tx *Tx) Resources() (all []*directory.Resource, err error) {
	err = tx.each(`SELECT id, version, doc FROM resources ORDER BY id`, func(r scanner) error {
		x, err := scanResource(r)
		all = append(all, x)
		return err
	})
	return all, err
}

// SaveResource creates or changes a resource, and remembers the longest life
// its access tokens ever had.
func (tx *Tx) SaveResource(r *directory.Resource) error {
	if r.ID == directory.OwnAPI {
		return ErrDuplicate
	}
	old, err := scanResource(tx.row(`SELECT id, version, doc FROM resources WHERE id = $1`+tx.lock(), string(r.ID)))
	if err != nil && err != ErrNotFound {
		return err
	}
	r.Version, r.Since = 1, tx.Head
	if old != nil {
		r.Version, r.Since = old.Version+1, old.Since
	}
	doc, err := json.Marshal(resourceDoc{*r, r.Since})
	if err != nil {
		return err
	}
	_, err = tx.exec(`INSERT INTO resources (id, name, version, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version, doc = excluded.doc`, string(r.ID), r.Name, r.Version, string(doc))
	if err != nil {
		return err
	}
	tx.Cut(&Cut{Cause: standing.AppChanged})
	_, err = tx.exec(`UPDATE directory SET longest_life = $1 WHERE longest_life < $1`, r.TokenLife.Microseconds())
	return err
}

// DeleteResource removes a resource and the consents to it, which would count
// for another of the same identifier. Its tokens ended when the applications let
// go of it, or live to their end: a guard of it goes on refusing what is cut.
// ErrNotFound.
func (tx *Tx) DeleteResource(id directory.ResourceID) error {
	n, err := tx.exec(`DELETE FROM resources WHERE id = $1`, string(id))
	if err == nil && n == 0 {
		return ErrNotFound
	}
	if err == nil {
		_, err = tx.exec(`DELETE FROM consents WHERE resource = $1`, string(id))
	}
	tx.Cut(&Cut{Cause: standing.AppChanged})
	return err
}

// Consents lists what a user, or the administrators (zero user), consented to
// for an app.
func (tx *Tx) Consents(user directory.UserID, app directory.AppID) (all []directory.Consent, err error) {
	return tx.consents(`SELECT user_id, app_id, resource, scopes, given FROM consents WHERE user_id = $1 AND app_id = $2 ORDER BY resource`, user[:], string(app))
}

// ConsentsOf lists everything a user consented to.
func (tx *Tx) ConsentsOf(user directory.UserID) ([]directory.Consent, error) {
	return tx.consents(`SELECT user_id, app_id, resource, scopes, given FROM consents WHERE user_id = $1 ORDER BY app_id, resource`, user[:])
}

// ConsentsTo lists what people, not administrators, consented to for an app, by
// user, after one of them. limit counts people, not rows.
func (tx *Tx) ConsentsTo(app directory.AppID, after directory.UserID, limit int) ([]directory.Consent, error) {
	return tx.consents(`SELECT user_id, app_id, resource, scopes, given FROM consents WHERE app_id = $1 AND user_id > $2 AND user_id IN
		(SELECT DISTINCT user_id FROM consents WHERE app_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3) ORDER BY user_id, resource`, string(app), after[:], limit)
}

func (tx *Tx) consents(q string, args ...any) (all []directory.Consent, err error) {
	err = tx.each(q, func(r scanner) error {
		var c directory.Consent
		var scopes string
		var given int64
		if err := r.Scan(&c.User, &c.App, &c.Resource, &scopes, &given); err != nil {
			return err
		}
		c.Given = fromMicros(given)
		all = append(all, c)
		return json.Unmarshal([]byte(scopes), &all[len(all)-1].Scopes)
	}, args...)
	return all, err
}

// SaveConsent adds to, or replaces, what was consented to at one resource.
// Taking scopes away cuts what was handed out on them.
func (tx *Tx) SaveConsent(c directory.Consent) error {
	old, err := tx.consents(`SELECT user_id, app_id, resource, scopes, given FROM consents WHERE user_id = $1 AND app_id = $2 AND resource = $3`+tx.lock(), c.User[:], string(c.App), string(c.Resource))
	if err != nil {
		return err
	}
	scopes, err := json.Marshal(c.Scopes)
	if err != nil {
		return err
	}
	if len(old) > 0 && narrowed([]directory.Permission{{Scopes: old[0].Scopes}}, []directory.Permission{{Scopes: c.Scopes}}) {
		if err := tx.cutConsent(c.User, c.App); err != nil {
			return err
		}
	}
	_, err = tx.exec(`INSERT INTO consents (user_id, app_id, resource, scopes, given) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, app_id, resource) DO UPDATE SET scopes = excluded.scopes, given = excluded.given`,
		c.User[:], string(c.App), string(c.Resource), string(scopes), micros(c.Given))
	return err
}

// WithdrawConsent removes all consents of one user (or the administrators', for
// the zero user) to an app, and cuts what was handed out on them. ErrNotFound.
func (tx *Tx) WithdrawConsent(user directory.UserID, app directory.AppID) error {
	n, err := tx.exec(`DELETE FROM consents WHERE user_id = $1 AND app_id = $2`, user[:], string(app))
	if err == nil && n == 0 {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return tx.cutConsent(user, app)
}

// WithdrawConsentAt is WithdrawConsent at one resource. ErrNotFound.
func (tx *Tx) WithdrawConsentAt(user directory.UserID, app directory.AppID, resource directory.ResourceID) error {
	n, err := tx.exec(`DELETE FROM consents WHERE user_id = $1 AND app_id = $2 AND resource = $3`, user[:], string(app), string(resource))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return err
	}
	return tx.cutConsent(user, app)
}

func (tx *Tx) cutConsent(user directory.UserID, app directory.AppID) error {
	e := standing.UserWithdrew
	if user.IsZero() {
		e = standing.AdminWithdrew
	}
	c, err := tx.Event(e, standing.Victim{User: user.String(), App: string(app)}, audit.Party{Kind: "app", ID: string(app), Name: string(app)})
	if err == nil {
		tx.Cut(c)
	}
	return err
}
