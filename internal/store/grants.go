package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
)

const grantColumns = `g.id, g.user_id, g.app_id, g.session, g.flags, g.device, g.born, g.scopes, g.created, g.ends, g.auth_time, g.amr, g.last_used, g.generation, g.state, g.chain, g.cnf, g.second, g.contexts`

const (
	flagOffline = 1 << 0
	flagPlain   = 1 << 1 // begun at the plain issuer

	// What the program said it runs on, and how the sign-in came to it, for policies.
	platformShift, platformMask = 8, 0xf
	flowShift, flowMask         = 12, 0x3
)

type grantRow struct {
	g                         *grant.Grant
	flags                     int64
	scopes, amr, state, chain string
	contexts                  string
	created, ends, auth, used int64
	second                    int64
}

func (r *grantRow) dest() []any {
	g := r.g
	return []any{&g.ID, &g.User, &g.App, &g.Session, &r.flags, &g.Device, &g.Born, &r.scopes, &r.created, &r.ends, &r.auth, &r.amr, &r.used, &g.State.Generation, &r.state, &r.chain, &g.CNF, &r.second, &r.contexts}
}

func (r *grantRow) done() error {
	g := r.g
	gen := g.State.Generation
	var err error
	if g.State, err = grant.ParseState(r.state); err != nil {
		return fmt.Errorf("grant %s: %w", g.ID, err)
	}
	g.State.Generation = gen
	if g.Chain, err = grant.ParseChain(r.chain); err != nil {
		return fmt.Errorf("grant %s: %w", g.ID, err)
	}
	g.Scopes = grant.ParseScopes(r.scopes)
	g.Offline = r.flags&flagOffline != 0
	if r.flags&flagPlain != 0 {
		g.Issuer = grant.Plain
	}
	g.Platform, g.Flow = policy.Platform(r.flags>>platformShift&platformMask), policy.Flow(r.flags>>flowShift&flowMask)
	g.SecondTime, g.Contexts = fromMicros(r.second), strings.Fields(r.contexts)
	g.Created, g.End, g.AuthTime, g.LastUsed, g.AMR = fromMicros(r.created), fromMicros(r.ends), fromMicros(r.auth), fromMicros(r.used), strings.Fields(r.amr)
	return nil
}

func scanGrant(r scanner) (*grant.Grant, error) {
	row := &grantRow{g: &grant.Grant{}}
	if err := r.Scan(row.dest()...); err != nil {
		return nil, found(err)
	}
	return row.g, row.done()
}

// CreateGrant inserts a grant, born at the transaction's head.
func (tx *Tx) CreateGrant(g *grant.Grant) error {
	g.Born = tx.Head
	return tx.insertGrant(g)
}

func (tx *Tx) insertGrant(g *grant.Grant) error {
	_, err := tx.exec(`INSERT INTO grants (id, user_id, app_id, session, flags, device, born, scopes, created, ends, auth_time, amr, last_used, generation, state, parent, chain, cnf, second, contexts)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		g.ID[:], g.User[:], string(g.App), blob(g.Session), grantFlags(g), blob(g.Device), int64(g.Born), grant.FormatScopes(g.Scopes), micros(g.Created), micros(g.End), micros(g.AuthTime),
		strings.Join(g.AMR, " "), micros(g.LastUsed), g.State.Generation, g.State.Format(), blob(g.Parent()), grant.FormatChain(g.Chain), g.CNF, micros(g.SecondTime), strings.Join(g.Contexts, " "))
	return err
}

func grantFlags(g *grant.Grant) (flags int) {
	if g.Offline {
		flags |= flagOffline
	}
	if g.Issuer == grant.Plain {
		flags |= flagPlain
	}
	return flags | int(g.Platform&platformMask)<<platformShift | int(g.Flow&flowMask)<<flowShift
}

// Grant returns a grant by id, dead or alive. ErrNotFound.
func (tx *Tx) Grant(id directory.GrantID) (*grant.Grant, error) {
	return scanGrant(tx.row(`SELECT `+grantColumns+` FROM grants g WHERE g.id = $1`, id[:]))
}

// Grants lists a user's grants, dead or alive, the newest first, at most limit.
func (tx *Tx) Grants(user directory.UserID, limit int) ([]*grant.Grant, error) {
	return tx.grantRows(`SELECT `+grantColumns+` FROM grants g WHERE g.user_id = $1 ORDER BY g.id DESC LIMIT $2`, user[:], int64(limit))
}

func (tx *Tx) grantsOfSession(id directory.SessionID) ([]*grant.Grant, error) {
	return tx.grantRows(`SELECT `+grantColumns+` FROM grants g WHERE g.session = $1 ORDER BY g.id`, id[:])
}

// GrantsOfSession lists the grants given in a session, dead or alive.
func (tx *Tx) GrantsOfSession(id directory.SessionID) ([]*grant.Grant, error) {
	return tx.grantsOfSession(id)
}

func (tx *Tx) grantRows(q string, args ...any) (all []*grant.Grant, err error) {
	err = tx.each(q, func(r scanner) error {
		g, err := scanGrant(r)
		all = append(all, g)
		return err
	}, args...)
	return all, err
}

// NoteAppToken remembers the app-only token that is about to be handed out.
func (tx *Tx) NoteAppToken(app directory.AppID, resource directory.ResourceID, issued, expires time.Time) error {
	_, err := tx.exec(`INSERT INTO app_tokens (app_id, resource, issued, expires) VALUES ($1, $2, $3, $4)
		ON CONFLICT (app_id, resource) DO UPDATE SET issued = excluded.issued, expires = excluded.expires WHERE app_tokens.expires < excluded.expires`,
		string(app), string(resource), issued.Unix(), expires.Unix())
	return err
}

// AppTokens lists the latest expiries of an app's app-only tokens.
func (tx *Tx) AppTokens(app directory.AppID) (all []grant.Token, err error) {
	err = tx.each(`SELECT resource, issued, expires FROM app_tokens WHERE app_id = $1 ORDER BY resource`, func(r scanner) error {
		var t grant.Token
		err := r.Scan(&t.Resource, &t.Issued, &t.Expires)
		all = append(all, t)
		return err
	}, string(app))
	return all, err
}
