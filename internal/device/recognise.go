package device

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// The kinds of tickets, and how long one is good.
const (
	kindRegister  = "device_register"
	kindRecognise = "device_proof"
	challengeLife = 2 * time.Minute
)

// Registrations that one person may make at once, and how often one more. Each is a
// row, and an act that a stolen session could repeat.
const (
	registerAtOnce = 10
	registerEvery  = 5 * time.Minute
)

var (
	errNotSignedIn = fault.New(fault.Denied, "A device is registered by the person who is signed in in that browser.")
	errStale       = fault.New(fault.Denied, "This took too long, or was done already. Try again.")
	errUnknown     = fault.New(fault.NotFound, "This browser is not registered.")
	// ErrDisabled: the device was disabled (Entra: AADSTS135011).
	ErrDisabled = fault.New(fault.Denied, "This device was disabled. An administrator can enable it again.")
	// ErrSignIn: the session began before something on the device was ended.
	ErrSignIn = fault.New(fault.Denied, "Something was ended on this device since you signed in. Sign in again.")
)

func newSecret() (value string, hash [32]byte) {
	var b [32]byte
	rand.Read(b[:])
	value = base64.RawURLEncoding.EncodeToString(b[:])
	return value, sha256.Sum256([]byte(value))
}

// challenge makes a ticket of which there is one for each alias: a browser that
// asks again and again fills no table.
func challenge(tx *store.Tx, kind, alias string, user directory.UserID, doc string) (string, error) {
	value, hash := newSecret()
	alias = kind + ":" + alias
	switch old, err := tx.TicketByAlias(kind, alias); {
	case err == nil:
		if err := tx.DeleteTicket(old.Hash); err != nil {
			return "", err
		}
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	err := tx.CreateTicket(&store.Ticket{Hash: hash, Kind: kind, Alias: alias, User: user, Expires: tx.Now.Add(challengeLife), Doc: doc})
	if errors.Is(err, store.ErrDuplicate) {
		err = fault.Wrap(fault.Conflict, "This browser asked twice at once. Try again.", err)
	}
	return value, err
}

// take uses a challenge up. doc is whose it must be.
func take(tx *store.Tx, kind, value string, user directory.UserID, doc string) (*store.Ticket, error) {
	t, err := tx.Ticket(kind, sha256.Sum256([]byte(value)))
	if errors.Is(err, store.ErrNotFound) {
		return nil, errStale
	}
	if err != nil {
		return nil, err
	}
	if !t.Used.IsZero() || !tx.Now.Before(t.Expires) || t.User != user || subtle.ConstantTimeCompare([]byte(t.Doc), []byte(doc)) != 1 {
		return nil, errStale
	}
	t.Used = tx.Now
	return t, tx.SaveTicket(t)
}

// BeginRegister gives somebody who is signed in in a browser what that browser is
// to sign. Kinds: Denied, Revoked, Unavailable.
func (s *Service) BeginRegister(ctx context.Context, actor directory.Actor) (value string, err error) {
	if actor.Session.IsZero() || actor.User.IsZero() {
		return "", errNotSignedIn
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) (err error) {
		tx.By(store.By{Actor: actor})
		value, err = challenge(tx, kindRegister, actor.Session.String(), actor.User, actor.Session.String())
		return err
	})
	return value, err
}

// Registration is what a browser sends to be registered.
type Registration struct {
	Name      string // empty: as the browser is called
	Challenge string
	Key       []byte // public, a point of P-256, uncompressed
	Signature []byte // r and s
	Cookie    string // of devices, as the browser has it
	// Platform is the operating system that the browser says it runs on.
	Platform string
}

// Register registers the browser in which the actor is signed in, binds that
// session to it, and returns the device and the browser's new cookie. Kinds:
// Invalid, Denied, Conflict (the browser is registered already, or too many are),
// Limited, Revoked, Unavailable; and what the policies about registering say.
func (s *Service) Register(ctx context.Context, actor directory.Actor, r Registration) (*directory.Device, string, error) {
	if actor.Session.IsZero() || actor.User.IsZero() {
		return nil, "", errNotSignedIn
	}
	if _, err := parseKey(r.Key); err != nil {
		return nil, "", err
	}
	if !proves(r.Key, message(s.Origin, forRegister, r.Challenge), r.Signature) {
		return nil, "", errProof
	}
	if err := directory.CheckText("The name", r.Name, maxName); err != nil {
		return nil, "", err
	}
	value, hash := newSecret()
	var d *directory.Device
	cookie := ""
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor})
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		// First of all: nobody who has a row of the user's waits here.
		if err := s.pace(tx, a.User); err != nil {
			return err
		}
		if _, err := take(tx, kindRegister, r.Challenge, a.User, a.Session.String()); err != nil {
			return err
		}
		x, err := tx.Session(a.Session)
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		if s.Permit != nil {
			if err := s.Permit(tx, a, x); err != nil {
				return err
			}
		}
		if err := registrable(tx, a.User, r.Cookie); err != nil {
			return err
		}
		if !x.Device.IsZero() {
			if _, err := devices.Get(tx, x.Device); err == nil {
				return fault.New(fault.Conflict, "This browser is registered already.")
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		d = &directory.Device{ID: directory.NewID[directory.Device](tx.Now), User: a.User, Name: r.Name, Platform: r.Platform, Key: r.Key, Cookie: hash,
			Created: tx.Now, LastSeen: tx.Now, Enabled: true, Trust: directory.DeviceRegistered}
		if d.Name == "" {
			d.Name = x.Agent
		}
		n, err := devices.Count(tx, a.User)
		if err != nil {
			return err
		}
		if n >= directory.MaxDevices {
			return fault.New(fault.Conflict, fmt.Sprintf("There are %d devices already. Delete one that is not used any more.", n))
		}
		if err := devices.Create(tx, d); errors.Is(err, store.ErrDuplicate) {
			return fault.Wrap(fault.Conflict, "This key is registered already.", err)
		} else if err != nil {
			return err
		}
		if err := devices.Bind(tx, x.ID, d.ID); err != nil && !errors.Is(err, devices.ErrElsewhere) {
			return err
		}
		// What this browser was for the same person is over: it has one key now.
		cookie = with(r.Cookie, value, func(v string) bool {
			old, err := devices.ByCookie(tx, sha256.Sum256([]byte(v)))
			return errors.Is(err, store.ErrNotFound) || err == nil && old.User == a.User
		})
		tx.Audit(audit.Record{Action: "Add device", Target: devices.Party(d), Whose: a.User.String(), Changes: []audit.Change{{Property: "DeviceOSType", New: d.Platform}, {Property: "DisplayName", New: d.Name}}})
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return d, cookie, nil
}

// Registrable says whether a browser that has a cookie may be registered: not while it
// is a device of the same person's that was disabled, which would only be the way
// around that. Kinds: Denied ([ErrDisabled]), Unavailable.
func (s *Service) Registrable(ctx context.Context, actor directory.Actor, cookie string) error {
	if actor.Session.IsZero() || actor.User.IsZero() {
		return errNotSignedIn
	}
	return s.DB.Read(ctx, func(tx *store.Tx) error { return registrable(tx, actor.User, cookie) })
}

func registrable(tx *store.Tx, user directory.UserID, cookie string) error {
	all, err := here(tx, cookie)
	for _, d := range all {
		if d.User == user && !d.Enabled {
			return ErrDisabled
		}
	}
	return err
}

func (s *Service) pace(tx *store.Tx, user directory.UserID) error {
	next, err := tx.Pace(user, "devices", registerAtOnce, registerEvery)
	if err == nil && !next.IsZero() {
		err = fault.New(fault.Limited, fmt.Sprintf("You have registered devices too often. Try again in %d seconds.", int(next.Sub(tx.Now).Seconds())+1))
	}
	return err
}

// browser says which browser a challenge is for.
func browser(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}

// here lists the devices that a browser says it is.
func here(tx *store.Tx, cookie string) (all []*directory.Device, err error) {
	for _, v := range secrets(cookie) {
		d, err := devices.ByCookie(tx, sha256.Sum256([]byte(v)))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// Challenge is what a browser is to sign, and with the keys of which devices.
type Challenge struct {
	Value   string
	Devices []directory.DeviceID
}

// BeginRecognise gives a browser that has the cookie of a device what it is to
// sign. Anybody may ask; who has no such cookie is told that there is no device,
// and nothing is written. Kinds: NotFound, Conflict, Unavailable.
func (s *Service) BeginRecognise(ctx context.Context, cookie string) (c Challenge, err error) {
	if len(secrets(cookie)) == 0 {
		return c, errUnknown
	}
	var all []*directory.Device
	if err := s.DB.Read(ctx, func(tx *store.Tx) (err error) { all, err = here(tx, cookie); return err }); err != nil {
		return c, err
	}
	if len(all) == 0 {
		return c, errUnknown
	}
	for _, d := range all {
		c.Devices = append(c.Devices, d.ID)
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) (err error) {
		c.Value, err = challenge(tx, kindRecognise, browser(cookie), directory.UserID{}, browser(cookie))
		return err
	})
	return c, err
}

// Proof is a signature by the key of one device.
type Proof struct {
	Device    directory.DeviceID
	Signature []byte
}

// Recognise binds the actor's session to the device whose key the browser has
// proven to hold: the one that this person registered there. Kinds: NotFound (no
// device of this person's), Denied (errProof, [ErrDisabled], [ErrSignIn]),
// Revoked, Unavailable.
func (s *Service) Recognise(ctx context.Context, actor directory.Actor, cookie, value string, proofs []Proof) (*directory.Device, error) {
	if actor.Session.IsZero() || actor.User.IsZero() {
		return nil, errNotSignedIn
	}
	var mine *directory.Device
	err := s.DB.Read(ctx, func(tx *store.Tx) error {
		mine = nil
		all, err := here(tx, cookie)
		for _, d := range all {
			if d.User == actor.User && mine == nil {
				mine = d
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if mine == nil {
		return nil, errUnknown
	}
	// Outside the transaction, which compares the key again.
	proven := false
	for _, p := range proofs[:min(len(proofs), maxHere)] {
		proven = proven || p.Device == mine.ID && proves(mine.Key, message(s.Origin, forRecognise, value), p.Signature)
	}
	if !proven {
		return nil, errProof
	}
	var d *directory.Device
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor})
		t, err := take(tx, kindRecognise, value, directory.UserID{}, browser(cookie))
		if err != nil {
			return err
		}
		if d, err = devices.Hold(tx, mine.ID); errors.Is(err, store.ErrNotFound) {
			return errUnknown
		} else if err != nil {
			return err
		}
		if d.User != actor.User || !bytes.Equal(d.Key, mine.Key) || d.Cookie != mine.Cookie {
			return errProof
		}
		if !d.Enabled {
			return ErrDisabled
		}
		x, err := tx.Session(actor.Session)
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		if err := devices.Bind(tx, x.ID, d.ID); errors.Is(err, devices.ErrElsewhere) {
			return ErrSignIn
		} else if err != nil {
			return err
		}
		// With the device and the session held: whatever was cut until now is seen.
		if late, err := cutSince(tx, d.ID, x, t.Born); err != nil {
			return err
		} else if late {
			return ErrSignIn
		}
		return devices.See(tx, d.ID, tx.Now)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// cutSince reports whether the device was cut after the session or the challenge
// was born.
func cutSince(tx *store.Tx, d directory.DeviceID, x *grant.Session, challenge cutoff.Pos) (bool, error) {
	o := cutoff.NewOwner(cutoff.Belongs{Device: d.String()})
	p, err := tx.Latest(&o, cutoff.Browser)
	return min(x.Born, challenge) < p, err
}
