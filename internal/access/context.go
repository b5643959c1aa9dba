package access

import (
	"errors"
	"slices"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/store"
)

// ErrContext: an authentication context is demanded that is not there, or not open to
// applications.
var ErrContext = errors.New("no such authentication context")

// open keeps of the contexts of a use those that are there. One that is demanded and
// is not there is refused: a token that named it would say that policies were met of
// which there are none. What a grant holds of one that has gone is forgotten. Kind:
// Denied, with ErrContext.
func (u *Use) open(tx *store.Tx) error {
	var left []string
	for _, name := range u.Contexts {
		d, err := tx.Document(store.ContextDocument, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		there := false
		if err == nil {
			c, err := wire.ReadContext([]byte(d.Doc))
			if err != nil {
				return err
			}
			there = c.Available
		}
		switch {
		case there:
			left = append(left, name)
		case slices.Contains(u.demanded, name):
			return fault.Wrap(fault.Denied, "The authentication context "+name+" is not one that applications may ask for here.", ErrContext)
		}
	}
	u.Contexts = left
	return nil
}
