package access

import (
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
)

// proving says which method of policies a kind of registered method is. A temporary
// pass is none of them: it ends by itself, and who has one is asked to register more.
var proving = map[directory.MethodKind]policy.Method{directory.MethodTOTP: policy.SoftwareOTP, directory.MethodPasskey: policy.Passkey, directory.MethodCodes: policy.RecoveryCode}

// Registered are the methods that a person could give, as the rows have them.
func Registered(tx *store.Tx, id directory.UserID) (m policy.Methods, err error) {
	u, err := tx.User(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if u.Password.Hash != "" {
		m |= policy.Password.Set()
	}
	all, err := tx.Methods(id)
	for kind, is := range proving {
		if directory.HasMethod(all, tx.Now, kind) {
			m |= is.Set()
		}
	}
	return m, err
}
