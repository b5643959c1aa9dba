package devices

import (
	"errors"
	"fmt"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/internal/raw"
)

// flagLate is a bit of a grant's flags, beside those of internal/store: given before
// its browser was recognised, so that access tokens may be about that name no device.
// How the grant came about stands in the two bits from flowShift on.
const (
	flagLate  = 1 << 20
	flowShift = 12
	flowMask  = 0x3
)

// ErrElsewhere: a session is bound to another device already.
var ErrElsewhere = errors.New("devices: the session is on another device")

// Bind says on which device a session is, and with it the grants that were given
// there before that was known. The caller holds the device. Both keep their birth:
// what the device was cut for before ends them now. store.ErrNotFound, ErrElsewhere.
func Bind(tx *store.Tx, id directory.SessionID, device directory.DeviceID) error {
	if err := tx.HoldSession(id); err != nil {
		return err
	}
	x, err := tx.Session(id)
	if err != nil {
		return err
	}
	if x.Device == device {
		return nil
	}
	if !x.Device.IsZero() {
		return ErrElsewhere
	}
	n, err := tx.SQL(raw.Key{}).Exec(`UPDATE sessions SET device = $1 WHERE id = $2 AND device IS NULL`, device[:], id[:])
	if err == nil && n != 1 {
		err = fmt.Errorf("%d sessions with the id %s", n, id)
	}
	if err != nil {
		return err
	}
	// A device code was approved in the session and is used elsewhere.
	_, err = tx.SQL(raw.Key{}).Exec(`UPDATE grants SET device = $1, flags = flags + $2 WHERE session = $3 AND device IS NULL AND flags < $2 AND parent IS NULL AND (flags >> $4) & $5 <> $6`,
		device[:], int64(flagLate), id[:], int64(flowShift), int64(flowMask), int64(policy.DeviceCode))
	return err
}

// givenBefore lists the grants of a device, dead or alive, that were given before it
// was known.
func givenBefore(tx *store.Tx, device directory.DeviceID) ([]*grant.Grant, error) {
	return all(tx, tx.Grant, `SELECT id FROM grants WHERE device = $1 AND flags >= $2`, device[:], int64(flagLate))
}

// Grants lists the grants of a device, dead or alive, the newest first, at most limit.
func Grants(tx *store.Tx, device directory.DeviceID, limit int) ([]*grant.Grant, error) {
	return all(tx, tx.Grant, `SELECT id FROM grants WHERE device = $1 ORDER BY id DESC LIMIT $2`, device[:], int64(limit))
}

// Sessions lists the browser sessions on a device, as Grants does.
func Sessions(tx *store.Tx, device directory.DeviceID, limit int) ([]*grant.Session, error) {
	return all(tx, tx.Session, `SELECT id FROM sessions WHERE device = $1 ORDER BY id DESC LIMIT $2`, device[:], int64(limit))
}

// all reads what the ids of a query name.
func all[Of, T any](tx *store.Tx, get func(directory.ID[Of]) (*T, error), q string, args ...any) (list []*T, err error) {
	var ids []directory.ID[Of]
	err = tx.SQL(raw.Key{}).Each(q, func(scan func(...any) error) error {
		var id directory.ID[Of]
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, args...)
	for i := 0; i < len(ids) && err == nil; i++ {
		var x *T
		x, err = get(ids[i])
		list = append(list, x)
	}
	return list, err
}
