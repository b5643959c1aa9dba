package store

import (
	"cmp"
	"encoding/json"
	"fmt"

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
			micros(r.At), r.Action, string(r.Result), r.Actor.ID, cmp.Or(r.Whose, r.Target.ID), int64(r.Pos), string(doc))
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditQuery asks for a page of audit records, the newest first.
type AuditQuery struct {
	Target string // id of the target, or of the user whose it is; empty: all
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
