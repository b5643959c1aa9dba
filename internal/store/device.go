package store

import (
	"errors"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
)

// ErrElsewhere: a session is bound to another device already.
var ErrElsewhere = errors.New("store: the session is on another device")

// BindSession says on which device a session is, and with it the grants that were
// given there before that was known. The caller holds the device. Both keep their
// birth: what the device was cut for before ends them now. ErrNotFound, ErrElsewhere.
func (tx *Tx) BindSession(id directory.SessionID, device directory.DeviceID) error {
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
	n, err := tx.exec(`UPDATE sessions SET device = $1 WHERE id = $2 AND device IS NULL`, device[:], id[:])
	if err == nil {
		err = exactly(n, 1, "sessions")
	}
	if err != nil {
		return err
	}
	// A device code was approved in the session and is used elsewhere.
	_, err = tx.exec(`UPDATE grants SET device = $1, flags = flags + $2 WHERE session = $3 AND device IS NULL AND flags < $2 AND parent IS NULL AND (flags >> $4) & $5 <> $6`,
		device[:], int64(flagLate), id[:], int64(flowShift), int64(flowMask), int64(policy.DeviceCode))
	return err
}

// GivenBefore lists the grants of a device, dead or alive, that were given before it
// was known: their access tokens may name no device.
func (tx *Tx) GivenBefore(device directory.DeviceID) ([]*grant.Grant, error) {
	return tx.grantRows(`SELECT `+grantColumns+` FROM grants g WHERE g.device = $1 AND g.flags >= $2`, device[:], int64(flagLate))
}

// GrantsOn lists the grants of a device, dead or alive, at most limit.
func (tx *Tx) GrantsOn(device directory.DeviceID, limit int) ([]*grant.Grant, error) {
	return tx.grantRows(`SELECT `+grantColumns+` FROM grants g WHERE g.device = $1 ORDER BY g.id DESC LIMIT $2`, device[:], int64(limit))
}

// SessionsOn lists the browser sessions on a device, dead or alive, at most limit.
func (tx *Tx) SessionsOn(device directory.DeviceID, limit int) (all []*grant.Session, err error) {
	err = tx.each(`SELECT `+sessionColumns+` FROM sessions WHERE device = $1 ORDER BY id DESC LIMIT $2`, func(r scanner) error {
		s, err := scanSession(r)
		all = append(all, s)
		return err
	}, device[:], int64(limit))
	return all, err
}

// SignInsOn is SignIns on one device.
func (tx *Tx) SignInsOn(device directory.DeviceID, app directory.AppID) ([]SignIn, error) {
	return tx.signIns(`g.device = $1`, device[:], app)
}
