package device

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// Service is the verb. DB, Revoke and Origin are needed.
type Service struct {
	DB     *store.DB
	Revoke *revoke.Service
	// Origin is where browsers reach this server: scheme, host and port. It is part
	// of what is signed, so that a signature made for another site is none here.
	Origin string
	// Permit asks the policies whether somebody may register a device in a session;
	// nil: nothing is asked.
	Permit func(tx *store.Tx, a directory.Actor, x *grant.Session) error
	Log    *slog.Logger // nil: nowhere
}

const (
	maxName = 120
	// maxPage bounds a listing.
	maxPage = 100
)

var (
	errNone = fault.New(fault.NotFound, "There is no such device.")
)

// View is a device with the name of its owner.
type View struct {
	*directory.Device
	Owner string // user name
}

// Query is a page of a listing.
type Query struct {
	User   directory.UserID   // whose; zero: everybody's
	Before directory.DeviceID // where the page before ended; zero: the first
	Top    int                // at most so many; 0: as many as there may be
}

// Devices lists devices, the newest first. next is where the next page begins;
// zero: there is none. Kinds: Denied, Unavailable.
func (s *Service) Devices(ctx context.Context, actor directory.Actor, q Query) (all []View, next directory.DeviceID, err error) {
	top := q.Top
	if top <= 0 || top > maxPage {
		top = maxPage
	}
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		all, next = nil, directory.DeviceID{}
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if err := role.Allowed(a, role.ReadDevices, role.Target{ID: q.User}).Err(""); err != nil {
			return err
		}
		rows, err := devices.List(tx, q.User, q.Before, top+1)
		if err != nil {
			return err
		}
		if len(rows) > top {
			rows, next = rows[:top], rows[top-1].ID
		}
		names := map[directory.UserID]string{}
		for _, d := range rows {
			if _, known := names[d.User]; !known {
				u, err := tx.User(d.User)
				if err != nil {
					return err
				}
				names[d.User] = u.Name
			}
			all = append(all, View{d, names[d.User]})
		}
		return nil
	})
	return all, next, err
}

// Device returns one. Kinds: NotFound, Denied, Unavailable.
func (s *Service) Device(ctx context.Context, actor directory.Actor, id directory.DeviceID) (v View, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		d, err := devices.Get(tx, id)
		if err != nil {
			return missing(err)
		}
		if err := role.Allowed(a, role.ReadDevices, role.Target{ID: d.User}).Err(d.Name); err != nil {
			return err
		}
		u, err := tx.User(d.User)
		if err == nil {
			v = View{d, u.Name}
		}
		return err
	})
	return v, err
}

// Patch is what changes; nil: nothing.
type Patch struct {
	Name      *string
	Enabled   *bool
	Compliant *directory.Compliance
}

// Change renames, disables and enables a device, and says whether it is compliant.
// Its owner may rename and disable it. The receipt is nil when nothing ended.
// Kinds: NotFound, Denied, Invalid, Limited, Revoked, Unavailable.
func (s *Service) Change(ctx context.Context, actor directory.Actor, id directory.DeviceID, p Patch, act manage.Act) (*store.Receipt, error) {
	if p.Name != nil {
		if err := directory.CheckRequired("The name", *p.Name, maxName); err != nil {
			return nil, err
		}
	}
	return s.write(ctx, actor, act, id, func(c *step, d *directory.Device) error {
		if p.Name != nil && *p.Name != d.Name {
			if err := c.allow("Update device", d, role.UpdateDevice); err != nil {
				return err
			}
			c.did("Update device", d, "Renames the device to "+*p.Name+".", audit.Change{Property: "DisplayName", Old: d.Name, New: *p.Name})
		}
		if p.Enabled != nil && *p.Enabled != d.Enabled {
			activity, action, says := "Update device", role.EnableDevice, "Enables the device."
			if !*p.Enabled {
				action, says = role.DisableDevice, "Disables the device and ends what is on it."
			}
			if err := c.allow(activity, d, action); err != nil {
				return err
			}
			c.did(activity, d, says, audit.Change{Property: "AccountEnabled", Old: yesNo(d.Enabled), New: yesNo(*p.Enabled)})
		}
		if p.Compliant != nil && *p.Compliant != d.Compliant {
			if err := c.allow("Device no longer compliant", d, role.JudgeDevice); err != nil {
				return err
			}
			activity := "Update device"
			if d.Compliant == directory.Compliant {
				activity = "Device no longer compliant"
			}
			c.did(activity, d, "Says that the device is "+word(*p.Compliant)+".", audit.Change{Property: "IsCompliant", Old: word(d.Compliant), New: word(*p.Compliant)})
		}
		if len(c.Said) == 0 {
			return c.allow("Update device", d, role.ReadDevices) // who may not even see it learns nothing
		}
		return c.change(id, func(d *directory.Device) {
			if p.Name != nil {
				d.Name = *p.Name
			}
			if p.Enabled != nil {
				if *p.Enabled {
					d.Lost = time.Time{} // it was found
				}
				d.Enabled = *p.Enabled
			}
			if p.Compliant != nil {
				d.Compliant = *p.Compliant
			}
		})
	})
}

// ReportLost says that a device is in other hands, or may be: it is disabled, and
// everything on it ends. Whether it comes back is an administrator's to say. Kinds
// as Change.
func (s *Service) ReportLost(ctx context.Context, actor directory.Actor, id directory.DeviceID, act manage.Act) (*store.Receipt, error) {
	return s.write(ctx, actor, act, id, func(c *step, d *directory.Device) error {
		if err := c.allow("Report device lost", d, role.DisableDevice); err != nil {
			return err
		}
		if !d.Lost.IsZero() {
			return nil
		}
		c.did("Report device lost", d, "Disables the device and ends what is on it.", audit.Change{Property: "AccountEnabled", Old: yesNo(d.Enabled), New: "False"})
		return c.change(id, func(d *directory.Device) { d.Enabled, d.Lost = false, c.Now })
	})
}

// Delete forgets a device and ends what is on it. Kinds as Change.
func (s *Service) Delete(ctx context.Context, actor directory.Actor, id directory.DeviceID, act manage.Act) (*store.Receipt, error) {
	return s.write(ctx, actor, act, id, func(c *step, d *directory.Device) (err error) {
		if err := c.allow("Delete device", d, role.DeleteDevice); err != nil {
			return err
		}
		c.did("Delete device", d, "Deletes the device and ends what is on it.")
		c.Cut, err = devices.Delete(c.Tx, id)
		return err
	})
}

// step is one run of a transaction's closure.
type step struct{ *deed.Step }

func (c *step) allow(activity string, d *directory.Device, action role.Action) error {
	return c.Allow(activity, devices.Party(d), d.Name, action, role.Target{ID: d.User})
}

func (c *step) did(activity string, d *directory.Device, sentence string, changes ...audit.Change) {
	c.Audit(audit.Record{Action: activity, Target: devices.Party(d), Whose: d.User.String(), Changes: changes})
	c.Said = append(c.Said, sentence)
}

func (c *step) change(id directory.DeviceID, f func(*directory.Device)) (err error) {
	c.Cut, err = devices.Change(c.Tx, id, func(d *directory.Device) error { f(d); return nil })
	return err
}

// write runs f on the actor's behalf about one device.
func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, id directory.DeviceID, f func(*step, *directory.Device) error) (*store.Receipt, error) {
	return deed.Doer{DB: s.DB, Revoke: s.Revoke, Log: s.Log}.Do(ctx, actor, act, func(c *deed.Step) error {
		d, err := devices.Get(c.Tx, id)
		if err != nil {
			return missing(err)
		}
		if err := revoke.Pace(c.Tx, c.Actor, d.User); err != nil { // each may append a line
			return err
		}
		return missing(f(&step{c}, d))
	})
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNone
	}
	return err
}

func yesNo(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func word(c directory.Compliance) string {
	switch c {
	case directory.Compliant:
		return "compliant"
	case directory.NotCompliant:
		return "not compliant"
	}
	return "not known to be compliant"
}
