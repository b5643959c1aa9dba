package issue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// DeviceCode is the answer to a device authorization request (RFC 8628 §3.2).
type DeviceCode struct {
	Device  string
	User    string // "BDWP-HQPK"
	Expires time.Duration
}

// userAlphabet has no vowels, so that no words arise, and nothing that looks
// like something else (RFC 8628 §6.1). 20^8 codes live 15 minutes each.
const userAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

func newUserCode() string {
	var b strings.Builder
	var one [1]byte
	for b.Len() < 9 {
		if b.Len() == 4 {
			b.WriteByte('-')
		}
		rand.Read(one[:])
		if one[0] < 240 { // 12 × 20: no letter is likelier than another
			b.WriteByte(userAlphabet[one[0]%20])
		}
	}
	return b.String()
}

// NormalizeUserCode is the form a typed user code is looked up by.
func NormalizeUserCode(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(s))
	if len(s) != 8 {
		return ""
	}
	return s[:4] + "-" + s[4:]
}

// Device begins a device flow. The code is nobody's yet: it is born when
// somebody approves it. Kinds: Invalid, Limited.
func (s *Service) Device(ctx context.Context, client *Client, scope string, resource []string, issuer grant.Issuer, m Meta) (*DeviceCode, error) {
	if !client.DeviceCode {
		return nil, refuse(fault.Invalid, "unauthorized_client", 7000218, "", "This client may not use device codes.")
	}
	p, err := s.Plan(ctx, client.App, scope, resource)
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(request{Issuer: issuer, All: p.All, OIDC: p.OIDC, Offline: p.Offline, Scope: scope, Resource: resource, CP1: m.CP1, Address: m.IP, Agent: m.Agent[:min(len(m.Agent), maxAgent)]})
	if err != nil {
		return nil, err
	}
	if client.Public {
		if err := s.Strangers.Admit(m.IP, s.Now()); err != nil {
			return nil, err
		}
	}
	c := &DeviceCode{Device: newSecret(), Expires: s.Lifetimes.DeviceCode}
	for range 3 {
		c.User = newUserCode()
		err = s.DB.Update(ctx, func(tx *store.Tx) error {
			return tx.CreateTicket(&store.Ticket{Hash: hashOf(c.Device), Kind: kindDevice, Alias: c.User, App: client.ID, Expires: tx.Now.Add(s.Lifetimes.DeviceCode), Doc: string(doc)})
		})
		if !errors.Is(err, store.ErrDuplicate) {
			break
		}
	}
	return c, err
}

// DeviceView is what the person sees before deciding.
type DeviceView struct {
	App     *directory.App
	Plan    *Plan
	Address string // where the code was asked from: a code somebody else sent is phishing
	Asked   time.Time
}

var errUserCode = fault.New(fault.NotFound, "That code is not valid. It may have expired: ask for a new one on the device.")

// DeviceLookup finds an undecided device code by what the person typed. Kinds:
// NotFound.
func (s *Service) DeviceLookup(ctx context.Context, userCode string) (*DeviceView, error) {
	var t *store.Ticket
	err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
		t, err = deviceTicket(tx, userCode)
		return err
	})
	if err != nil {
		return nil, err
	}
	var doc request
	if err := json.Unmarshal([]byte(t.Doc), &doc); err != nil {
		return nil, err
	}
	if !t.Used.IsZero() || doc.Decision != "" || !s.Now().Before(t.Expires) {
		return nil, errUserCode
	}
	app, err := s.App(ctx, t.App)
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(ctx, app, doc.Scope, doc.Resource)
	if err != nil {
		return nil, err
	}
	return &DeviceView{App: app, Plan: p, Address: doc.Address, Asked: t.Expires.Add(-s.Lifetimes.DeviceCode)}, nil
}

// deviceTicket finds a device code by what the person typed.
func deviceTicket(tx *store.Tx, userCode string) (*store.Ticket, error) {
	t, err := tx.TicketByAlias(kindDevice, NormalizeUserCode(userCode))
	if err == nil {
		err = begun(tx, t)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = errUserCode
	}
	return t, err
}

// begun refuses what an application began before it, or everything, was cut:
// nobody's yet, it is the application's all the same, and one registered anew
// under its client_id has not begun it. ErrNotFound.
func begun(tx *store.Tx, t *store.Ticket) error {
	cuts, err := tx.CutsAfter(cutoff.Belongs{App: string(t.App)}, cutoff.Browser, t.Born)
	if err == nil && len(cuts) > 0 {
		err = store.ErrNotFound
	}
	return err
}

// DeviceDecide approves or refuses a device code in a browser session, which is
// judged in the same transaction. An approved code becomes the person's, and is
// born, here. Kinds: NotFound, Revoked, Unauthenticated.
func (s *Service) DeviceDecide(ctx context.Context, actor directory.Actor, userCode string, allow bool) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor})
		x, u, err := s.liveSession(tx, actor.Session)
		if err != nil {
			return err
		}
		t, err := deviceTicket(tx, userCode)
		if err != nil {
			return err
		}
		var doc request
		if err := json.Unmarshal([]byte(t.Doc), &doc); err != nil {
			return err
		}
		if !t.Used.IsZero() || doc.Decision != "" || !tx.Now.Before(t.Expires) {
			return errUserCode
		}
		doc.Decision = "deny"
		if allow {
			app, err := tx.App(t.App)
			if err != nil || !app.Enabled {
				return gone(err)
			}
			if err := allowed(tx, app, u.ID, doc.All); err != nil {
				return err
			}
			if err := s.approvable(tx, app, x, &doc, actor.IP); err != nil {
				return err
			}
			doc.Decision = "allow"
			// Until it is redeemed the code also belongs to the session that
			// approved it: signing out there takes the approval back.
			doc.proven(x)
			doc.Session = x.ID
			t.User, t.Born = u.ID, tx.Head
		}
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		t.Doc = string(text)
		return tx.SaveTicket(t)
	})
}

// maxAgent bounds what is kept of a User-Agent.
const maxAgent = 256

// approvable asks the policies before a device code is approved: the person is here
// to be asked, the device will not be. Its platform and program count, and the address
// of whoever approves; that of the device when it redeems.
func (s *Service) approvable(tx *store.Tx, app *directory.App, x *grant.Session, doc *request, ip string) error {
	held, err := tx.Held(x.User)
	if err != nil {
		return err
	}
	u := &access.Use{Held: held, Client: app.ID, Flow: policy.DeviceCode, Program: access.ProgramOf(app, ""), IP: ip, Interactive: true}
	if len(doc.All) > 0 {
		u.Resource = reached(doc.All[0].Resource, doc.All[0].Scopes)
	}
	u.OfSession(x)
	u.Platform, u.Device = access.PlatformOf(doc.Agent), directory.DeviceID{}
	_, err = s.Access.Judge(tx, u)
	return byPolicy(err)
}

var errPending = refuse(fault.Invalid, "authorization_pending", 70016, "", "Nobody has approved the code yet.")

// DevicePoll is what the device asks until somebody has decided (RFC 8628
// §3.4). It never says slow_down: one of Microsoft's libraries gives up on it.
// Kinds: Invalid, Revoked.
func (s *Service) DevicePoll(ctx context.Context, client *Client, device string, issuer grant.Issuer, m Meta) (tokens *Tokens, err error) {
	n := s.note("device", journal.Silent, client, &m)
	defer func() { n.end(tokens, err) }()
	// Polling comes often and writes nothing, so it reads first.
	var t *store.Ticket
	err = s.DB.Read(ctx, func(tx *store.Tx) (err error) { t, err = tx.Ticket(kindDevice, hashOf(device)); return err })
	if errors.Is(err, store.ErrNotFound) || err == nil && t.App != client.ID {
		return nil, refuse(fault.Invalid, "invalid_grant", 70018, "", "The device code is not valid.")
	}
	if err != nil {
		return nil, err
	}
	var doc request
	if err := json.Unmarshal([]byte(t.Doc), &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.Issuer != issuer:
		return nil, refuse(fault.Invalid, "invalid_grant", 70018, "", "The device code was made at the other issuer.")
	case t.Used.IsZero() && !s.Now().Before(t.Expires):
		return nil, refuse(fault.Invalid, "expired_token", 70019, "", "The device code has expired.")
	case doc.Decision == "":
		return nil, errPending
	case doc.Decision == "deny":
		return nil, refuse(fault.Denied, "access_denied", 65004, "", "The person refused.")
	}
	return s.redeem(ctx, client, kindDevice, hashOf(device), m, "", nil, func(t *store.Ticket, doc *request) error {
		if doc.Decision != "allow" || doc.Issuer != issuer {
			return errPending
		}
		return nil
	})
}
