package signin

import (
	"context"
	"errors"
	"fmt"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/store"
)

// Terms are terms of use as they are worded now.
type Terms struct {
	ID, Name, Text string
	Version        int64
}

// Terms returns the terms of use that a policy demands of somebody who is signed in.
// Kinds: NotFound, Unavailable.
func (s *Service) Terms(ctx context.Context, id string) (*Terms, error) {
	var d *store.Document
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { d, err = tx.Document(store.TermsDocument, id); return err })
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "There are no such terms of use.")
	}
	if err != nil {
		return nil, fmt.Errorf("read terms of use: %w", err)
	}
	doc, err := wire.ReadTerms([]byte(d.Doc))
	if err != nil {
		return nil, fmt.Errorf("terms of use %s: %w", id, err)
	}
	return &Terms{ID: id, Name: doc.Name, Text: doc.Text, Version: d.Version}, nil
}

// AcceptTerms notes that the person in this session accepts the terms as they were
// worded when they were shown. Kinds: Conflict (worded otherwise meanwhile),
// NotFound, Revoked, Unavailable.
func (s *Service) AcceptTerms(ctx context.Context, signed *Signed, t *Terms) error {
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: signed.Actor}) // before the commit the store judges that the session is not cut
		if err := tx.AcceptTerms(signed.User.ID, t.ID, t.Version); err != nil {
			return err
		}
		tx.Audit(audit.Record{Action: "Accept terms of use", Target: audit.Party{Kind: "terms", ID: t.ID, Name: t.Name}})
		return nil
	})
	switch {
	case errors.Is(err, store.ErrStale):
		return fault.Wrap(fault.Conflict, "The terms of use were changed meanwhile. Read them again.", err)
	case errors.Is(err, store.ErrNotFound):
		return fault.Wrap(fault.NotFound, "There are no such terms of use.", err)
	}
	return err
}
