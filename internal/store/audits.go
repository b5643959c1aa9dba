package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
)

func (tx *Tx) writeAudits(pos cutoff.Pos, receipt string) error {
	for _, r := range tx.audits {
		r.At = tx.Now
		r.Actor = tx.by.actorParty()
		r.IP, r.Request, r.Client = tx.by.Actor.IP, tx.by.Actor.Request, string(tx.by.Actor.App)
		if r.Reason == "" {
			r.Reason = tx.by.Reason
		}
		if r.Result == "" {
			r.Result = audit.Success
		}
		if r.Result == audit.Success {
			r.Pos, r.Receipt = pos, receipt
		}
		doc, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = tx.exec(`INSERT INTO audits (at, action, result, actor_id, target_id, pos, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			micros(r.At), r.Action, string(r.Result), r.Actor.ID, r.Target.ID, int64(r.Pos), string(doc))
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditQuery asks for a page of audit records, the newest first.
type AuditQuery struct {
	Target string // id; empty: all
	Actor  string // id; empty: all
	Before int64  // record id; 0: from the newest
	Limit  int
}

// Audits lists audit records.
func (tx *Tx) Audits(q AuditQuery) (all []audit.Record, err error) {
	where, args := "1 = 1", []any{}
	add := func(c string, v any) {
		args = append(args, v)
		where += fmt.Sprintf(" AND "+c, len(args))
	}
	if q.Target != "" {
		add("target_id = $%d", q.Target)
	}
	if q.Actor != "" {
		add("actor_id = $%d", q.Actor)
	}
	if q.Before > 0 {
		add("id < $%d", q.Before)
	}
	err = tx.each(fmt.Sprintf(`SELECT id, doc FROM audits WHERE %s ORDER BY id DESC LIMIT %d`, where, min(max(q.Limit, 1), 1000)), func(r scanner) error {
		var id int64
		var doc string
		if err := r.Scan(&id, &doc); err != nil {
			return err
		}
		var rec audit.Record
		err := json.Unmarshal([]byte(doc), &rec)
		rec.ID = id
		all = append(all, rec)
		return err
	}, args...)
	return all, err
}

// Key is a signing key as it is stored: the private half wrapped.
type Key struct {
	ID      string
	Alg     string // ES256
	Public  string // JWK
	Wrapped []byte // AES-256-GCM under a key derived from the master key
	Created time.Time
	Active  time.Time // signs from here on; published before
	Retired time.Time // signs no more; zero: still in use
}

// Keys lists all signing keys, the oldest first.
func (tx *Tx) Keys() (all []Key, err error) {
	err = tx.each(`SELECT kid, alg, public, wrapped, created, active, retired FROM keys ORDER BY created, kid`, func(r scanner) error {
		var k Key
		var created, active, retired int64
		err := r.Scan(&k.ID, &k.Alg, &k.Public, &k.Wrapped, &created, &active, &retired)
		k.Created, k.Active, k.Retired = fromMicros(created), fromMicros(active), fromMicros(retired)
		all = append(all, k)
		return err
	})
	return all, err
}

// CreateKey stores a signing key. ErrDuplicate.
func (tx *Tx) CreateKey(k Key) error {
	_, err := tx.exec(`INSERT INTO keys (kid, alg, public, wrapped, created, active, retired) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		k.ID, k.Alg, k.Public, k.Wrapped, micros(k.Created), micros(k.Active), micros(k.Retired))
	return err
}
