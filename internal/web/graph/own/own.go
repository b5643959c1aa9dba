package own

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/odata"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

// ownRoutes are what concerns people, what was cut, and many changes at once.
func (s Server) ownRoutes() api.Routes {
	return api.Routes{
		"GET /curfew/me":                             s.getMe,
		"GET /curfew/users/{user}/exposure":          s.exposed(func(c *call, x *relay.Exposure) { c.Write(http.StatusOK, view(x)) }),
		"GET /curfew/users/{user}/sessions":          s.exposed(func(c *call, x *relay.Exposure) { s.Page(c, "", -1, "", views(x.Sessions)) }),
		"GET /curfew/users/{user}/grants":            s.exposed(func(c *call, x *relay.Exposure) { s.Page(c, "", -1, "", views(x.Grants)) }),
		"POST /curfew/users/{user}/password":         s.postPassword,
		"POST /curfew/users/{user}/revoke":           end(s, s.Revoke.User),
		"POST /curfew/sessions/{id}/revoke":          end(s, s.Revoke.Session),
		"POST /curfew/grants/{id}/revoke":            end(s, s.Revoke.Grant),
		"POST /curfew/devices/{id}/revoke":           end(s, s.Revoke.Device),
		"POST /curfew/apps/{id}/revoke":              s.postRevokeApp,
		"POST /curfew/users/{user}/apps/{id}/revoke": s.postRevokeApp,
		"POST /curfew/everyone/revoke":               s.postRevokeEveryone,
		"GET /curfew/receipts":                       s.getReceipts,
		"GET /curfew/receipts/{id}":                  s.getReceipt,
		"GET /curfew/receipts/{id}/events":           s.getReceiptEvents,
		"GET /curfew/guards":                         s.getGuards,
		"GET /curfew/ledger":                         s.getLedger,
		"POST /curfew/import":                        s.postImport,
		"POST /curfew/apply":                         s.postApply,
	}
}

// getMe says who asks, as curfew sees it.
func (s Server) getMe(c *call) error {
	domain, err := s.Domain(c.Ctx())
	if err != nil {
		return err
	}
	roles := []object{}
	names := role.Names(c.Actor.Held.Roles)
	for i, id := range c.Actor.Held.Roles {
		roles = append(roles, object{{"id", id}, {"name", names[i]}})
	}
	var person, proven any // nobody, never
	if !c.Actor.AppOnly {
		person = object{{"id", c.Actor.User}, {"name", c.Actor.Name}}
	}
	if c.Access.AuthTime > 0 {
		proven = milli(time.Unix(c.Access.AuthTime, 0))
	}
	c.Write(http.StatusOK, object{{"user", person}, {"roles", roles}, {"client", object{{"id", c.Actor.App}}}, {"scopes", append([]string{}, c.Actor.Scopes...)},
		{"appOnly", c.Actor.AppOnly}, {"grant", api.TextOrNull(c.Access.GID)}, {"session", api.TextOrNull(c.Access.SID)},
		{"authTime", proven}, {"expires", milli(time.Unix(c.Access.Expires, 0))}, {"tenant", s.Tenant}, {"domain", domain}})
	return nil
}

// exposed answers with a part of what is open for a user.
func (s Server) exposed(part func(*call, *relay.Exposure)) func(*call) error {
	return func(c *call) error {
		if _, err := c.Parameters(); err != nil {
			return err
		}
		id, err := s.User(c)
		if err != nil {
			return err
		}
		x, err := s.Relay.Exposure(c.Ctx(), c.Actor, id)
		if err == nil {
			part(c, x)
		}
		return err
	}
}

// postPassword resets a password; without one it makes one and tells it, once.
func (s Server) postPassword(c *call) error {
	var value *string
	var must *bool
	act, err := c.OwnOrder(odata.Form{"password": odata.Text(&value), "mustChange": odata.Truth(&must)})
	if err != nil {
		return err
	}
	if value != nil && *value == "" {
		return odata.Unreadable("The password is empty. Leave it out to have one made.")
	}
	id, err := s.User(c)
	if err != nil {
		return err
	}
	given := ""
	if value != nil {
		given = *value
	}
	made, r, err := s.Manage.SetPassword(c.Ctx(), c.Actor, id, given, must == nil || *must, act)
	if err != nil {
		return err
	}
	if value != nil {
		made = ""
	}
	out := object{{"password", api.TextOrNull(made)}, {"receipt", nil}}
	if r != nil {
		out[1].Value = r.ID
	}
	return c.Done(act, r, http.StatusOK, out)
}

// end runs one revocation, of a user or of what an id of theirs names, and answers
// with its receipt.
func end[Of any](s Server, f func(context.Context, directory.Actor, directory.ID[Of], revoke.Options) (revoke.Result, error)) func(*call) error {
	return func(c *call) error {
		act, err := c.OwnOrder(odata.Form{})
		if err != nil {
			return err
		}
		var which directory.ID[Of]
		if c.R.PathValue("user") != "" {
			user, err := s.User(c)
			if err != nil {
				return err
			}
			which = directory.ID[Of](user)
		} else if which, err = api.ID[Of](c, "id"); err != nil {
			return err
		}
		res, err := f(c.Ctx(), c.Actor, which, revoke.Options{Reason: act.Reason, DryRun: act.DryRun})
		return s.ended(c, act, res, err)
	}
}

// postRevokeApp ends what an application holds, of everybody or of one user.
func (s Server) postRevokeApp(c *call) error {
	act, err := c.OwnOrder(odata.Form{})
	if err != nil {
		return err
	}
	o := revoke.Options{Reason: act.Reason, DryRun: act.DryRun}
	if c.R.PathValue("user") == "" {
		res, err := s.Revoke.App(c.Ctx(), c.Actor, app(c), o)
		return s.ended(c, act, res, err)
	}
	user, err := s.User(c)
	if err != nil {
		return err
	}
	res, err := s.Revoke.UserApp(c.Ctx(), c.Actor, user, app(c), o)
	return s.ended(c, act, res, err)
}

func (s Server) ended(c *call, act manage.Act, res revoke.Result, err error) error {
	switch {
	case err != nil:
		return err
	case act.DryRun:
		c.Write(http.StatusOK, object{{"dryRun", true}, {"already", res.Already}})
		return nil
	case res.Already: // it was dead before; nothing was written
		c.Write(http.StatusOK, object{{"already", true}})
		return nil
	}
	return c.Done(act, res.Receipt, http.StatusOK, view(s.receipt(c, res.Receipt)))
}

// receipt is the receipt of what was just done. It is done, so whoever may not
// read receipts, or cannot for now, is told what is known of this one.
func (s Server) receipt(c *call, r *manage.Receipt) *relay.ReceiptView {
	v, err := s.Relay.Receipt(c.Ctx(), c.Actor, r.ID)
	if err != nil {
		v = &relay.ReceiptView{ID: r.ID, Pos: r.Pos, At: r.At, Now: s.Time(), Cause: string(r.Cause), Actor: r.Actor, Target: r.Target, Reason: r.Reason, Cuts: r.Cuts, Kept: r.Kept, Title: relay.TitleUnconfirmed}
	}
	return v
}

// postRevokeEveryone ends everything in the directory. The name of the directory
// must be typed, so that no script does it by a slip.
func (s Server) postRevokeEveryone(c *call) error {
	var confirm *string
	var exceptMe *bool
	act, err := c.OwnOrder(odata.Form{"confirm": odata.Text(&confirm), "exceptMe": odata.Truth(&exceptMe)})
	if err != nil {
		return err
	}
	domain, err := s.Domain(c.Ctx())
	if err != nil {
		return err
	}
	if confirm == nil || !strings.EqualFold(strings.TrimSpace(*confirm), domain) {
		return odata.Unreadable("To revoke everyone, the property confirm must hold the domain of the directory.")
	}
	o := revoke.Options{Reason: act.Reason, DryRun: act.DryRun}
	if exceptMe != nil && *exceptMe {
		if o.KeepSession, err = s.session(c); err != nil {
			return err
		}
		c.Actor.Session = o.KeepSession
	}
	res, err := s.Revoke.Everyone(c.Ctx(), c.Actor, o)
	// The session's new cookie belongs to a browser that is not here: the grants of
	// the session go on, this one among them, and the browser must sign in again.
	return s.ended(c, act, res, err)
}

// session is the browser session in which the caller's grant was given.
func (s Server) session(c *call) (directory.SessionID, error) {
	x, err := s.Relay.Exposure(c.Ctx(), c.Actor, c.Actor.User)
	if err != nil {
		return directory.SessionID{}, err
	}
	for _, g := range x.Grants {
		if g.ID.String() == c.Access.GID && !g.Session.IsZero() {
			return g.Session, nil
		}
	}
	return directory.SessionID{}, fault.New(fault.Invalid, "This token comes from no browser session, so there is none to keep. Sign in again afterwards.")
}

// paging reads where a page of ours begins and how long it is.
func paging(q map[string]string) (before cutoff.Pos, limit int, err error) {
	n, err := strconv.ParseInt(cmp.Or(q["before"], "0"), 10, 64)
	if err == nil {
		limit, err = strconv.Atoi(cmp.Or(q["top"], "100"))
	}
	if err != nil {
		return 0, 0, odata.Unreadable("The query parameters before and top are numbers.")
	}
	return cutoff.Pos(n), limit, nil
}

// after is the address of the page that begins before pos, if there may be one.
func (s Server) after(c *call, n, limit int, pos cutoff.Pos) string {
	if n < limit || pos <= 1 {
		return ""
	}
	return s.Next(c, "before", strconv.FormatInt(int64(pos), 10))
}

func (s Server) getReceipts(c *call) error {
	q, err := c.Parameters("target", "before", "top")
	if err != nil {
		return err
	}
	before, limit, err := paging(q)
	if err != nil {
		return err
	}
	all, err := s.Relay.Receipts(c.Ctx(), c.Actor, q["target"], before, limit)
	if err != nil {
		return err
	}
	next, out := "", make([]object, len(all))
	for i, r := range all {
		out[i], next = view(r), s.after(c, len(all), limit, r.Pos)
	}
	s.Page(c, "", -1, next, out)
	return nil
}

func (s Server) getReceipt(c *call) error {
	v, err := s.Relay.Receipt(c.Ctx(), c.Actor, c.R.PathValue("id"))
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, view(v))
	return nil
}

const (
	// MaxStreams are open at once on this node: each reads the receipt every second.
	MaxStreams = 256
	streamLife = time.Hour // whoever wants more opens another
)

// getReceiptEvents sends the receipt now and whenever it changed, until nothing
// is left of what was cut.
func (s Server) getReceiptEvents(c *call) error {
	id := c.R.PathValue("id")
	defer s.Streams.Add(-1)
	if s.Streams.Add(1) > MaxStreams {
		return fault.New(fault.Limited, "Too many receipts are being watched. Try again in a second.")
	}
	ctx, cancel := context.WithTimeout(c.Ctx(), streamLife)
	defer cancel()
	rings := s.Relay.Watch(ctx, id)
	v, err := s.Relay.Receipt(ctx, c.Actor, id)
	if err != nil {
		return err
	}
	stream, err := webkit.NewStream(c.W)
	if err != nil {
		return api.ErrSent
	}
	keep := time.NewTicker(relay.KeepAlive)
	defer keep.Stop()
	for last := []byte(nil); ; {
		now := v.Now
		v.Now = time.Time{}
		text, err := api.Encode(view(v))
		if err != nil {
			return api.ErrSent
		}
		if !bytes.Equal(text, last) {
			last, v.Now = text, now
			if text, err = api.Encode(view(v)); err != nil || stream.Send(text) != nil {
				return api.ErrSent
			}
		}
		if v.Title == relay.TitleOver {
			_ = stream.End() // told already
			return nil
		}
		select {
		case <-keep.C:
			if stream.Keep() != nil {
				return api.ErrSent
			}
		case _, open := <-rings:
			if !open {
				return api.ErrSent
			}
		}
		// Whoever may no longer look is sent nothing more, not even why.
		if c.Actor, _, err = s.Issue.Actor(ctx, c.Token, issue.Meta{IP: c.Actor.IP, Key: c.Key}); err != nil {
			return api.ErrSent
		}
		if v, err = s.Relay.Receipt(ctx, c.Actor, id); err != nil {
			return api.ErrSent
		}
	}
}

func (s Server) getGuards(c *call) error {
	if _, err := c.Parameters(); err != nil {
		return err
	}
	all, err := s.Relay.Guards(c.Ctx(), c.Actor)
	if err != nil {
		return err
	}
	s.Page(c, "", -1, "", views(all))
	return nil
}

func (s Server) getLedger(c *call) error {
	q, err := c.Parameters("before", "top")
	if err != nil {
		return err
	}
	before, limit, err := paging(q)
	if err != nil {
		return err
	}
	all, err := s.Relay.Ledger(c.Ctx(), c.Actor, before, limit)
	if err != nil {
		return err
	}
	next := ""
	if n := len(all); n > 0 {
		next = s.after(c, n, limit, all[n-1].Pos)
	}
	s.Page(c, "", -1, next, views(all))
	return nil
}

// options reads dryRun, reason and the flags of a request whose body is a file.
func options(c *call, flags ...string) (act manage.Act, set map[string]bool, err error) {
	q, err := c.Parameters(append(flags, "dryRun", "reason")...)
	if err != nil {
		return act, nil, err
	}
	if act, err = c.Act(); err != nil {
		return act, nil, err
	}
	set = map[string]bool{}
	for _, name := range append(flags, "dryRun") {
		switch q[name] {
		case "", "false":
		case "true":
			set[name] = true
		default:
			return act, nil, odata.Unreadable("The query parameter " + name + " must be true or false.")
		}
	}
	act.DryRun = act.DryRun || set["dryRun"]
	act.Reason = cmp.Or(q["reason"], act.Reason)
	return act, set, nil
}

// postImport reads a CSV file of users as it arrives.
func (s Server) postImport(c *call) error {
	act, set, err := options(c, "passwords")
	if err == nil {
		err = odata.IsOf(c.R, "text/csv", "application/csv", "application/vnd.ms-excel", "text/plain", "application/octet-stream")
	}
	if err != nil {
		return err
	}
	file, err := odata.Open(c.W, c.R, maxImport, fileTime)
	if err != nil {
		return err
	}
	rep, err := s.Manage.Import(c.Ctx(), c.Actor, file, manage.ImportOptions{DryRun: act.DryRun, Reason: act.Reason, Passwords: set["passwords"]})
	if err != nil {
		if rep.Created+rep.Updated == 0 {
			return err
		}
		// What was done stays done, so it is told; the file was not read to its end.
		rep.Stopped = fault.Public(err)
	}
	c.Write(http.StatusOK, view(&rep))
	return nil
}

// postApply makes the directory what a manifest says. Secrets stand in it by
// value: files and variables of this machine are not the caller's to name.
func (s Server) postApply(c *call) error {
	act, _, err := options(c)
	if err != nil {
		return err
	}
	b, err := c.Text("application/toml", "text/x-toml", "text/plain", "application/octet-stream")
	if err != nil {
		return err
	}
	m, err := manifest.Parse(bytes.NewReader(b), manifest.Options{})
	if err != nil {
		return err
	}
	rep, err := s.Manage.Apply(c.Ctx(), c.Actor, m, act)
	if err != nil {
		return err
	}
	c.Write(http.StatusOK, view(&rep))
	return nil
}

// instantOf reads an RFC 3339 instant.
func instantOf(to *time.Time) odata.Reader {
	return func(raw json.RawMessage) (string, error) {
		if json.Unmarshal(raw, to) != nil || to.IsZero() {
			return "an instant such as 2026-03-02T12:00:00Z", nil
		}
		return "", nil
	}
}
