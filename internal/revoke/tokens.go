package revoke

import (
	"context"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Tokens ends every grant and access token of the directory and does also in the
// same transaction: it is for what is wrong with all tokens at once, such as a
// key that somebody else can sign them with. Browser sessions stay: no such key
// makes one. It needs what Everyone needs. Kinds as User, and those of also.
func (s *Service) Tokens(ctx context.Context, actor directory.Actor, e standing.Event, o Options, also func(*store.Tx) error) (Result, error) {
	o.KeepSession = directory.SessionID{} // it stays anyhow
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		if err := mayCutDirectory(tx, a, "end every token"); err != nil {
			return nil, err
		}
		c, err := cutEvent(tx, e, standing.Victim{}, audit.Party{Kind: "directory", Name: "every token"})
		if err != nil {
			return nil, err
		}
		tx.Audit(audit.Record{Action: activity, Target: c.Target, Elaborate: string(c.Cause)})
		return c, also(tx)
	})
}

// mayCutDirectory wants a Global Administrator who has just signed in.
func mayCutDirectory(tx *store.Tx, a directory.Actor, to string) error {
	if err := role.Allowed(a, role.CutDirectory, role.Target{}).Err("the directory"); err != nil {
		return err
	}
	if !a.Operator && tx.Now.Sub(a.AuthTime) > freshProof {
		return fault.New(fault.Denied, "To "+to+", sign in again first: your last proof of who you are is older than 10 minutes.")
	}
	return nil
}
