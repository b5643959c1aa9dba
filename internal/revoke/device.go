package revoke

import (
	"context"
	"errors"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// Device ends what is on one device: browser sessions, grants, access tokens. The
// device stays registered and enabled; disabling it is another act. Kinds as User.
func (s *Service) Device(ctx context.Context, actor directory.Actor, id directory.DeviceID, o Options) (Result, error) {
	return s.cut(ctx, actor, o, func(tx *store.Tx, a directory.Actor, _ [32]byte) (*store.Cut, error) {
		d, err := devices.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fault.New(fault.NotFound, "There is no such device.")
		}
		if err != nil {
			return nil, err
		}
		if err := role.Allowed(a, role.CutDevice, role.Target{ID: d.User}).Err(d.Name); err != nil {
			return nil, err
		}
		if err := Pace(tx, a, d.User); err != nil {
			return nil, err
		}
		c, err := devices.Revoke(tx, id, standing.DeviceRevoked)
		if err == nil {
			tx.Audit(audit.Record{Action: "Revoke device", Target: c.Target, Whose: d.User.String()})
		}
		return c, err
	})
}
