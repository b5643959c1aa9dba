package deliver

import (
	"cmp"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
)

// notice is one logout token to be sent.
type notice struct {
	user    directory.UserID
	session directory.SessionID // zero: all the user's sessions at the application
	plain   bool                // signed in at the plain issuer
}

// key orders the notices of a line and says how far a recipient is: user, session
// and issuer, each of a fixed form.
func (n notice) key() string {
	session, issuer := "", "t"
	if !n.session.IsZero() {
		session = n.session.String()
	}
	if n.plain {
		issuer = "p"
	}
	return n.user.String() + "/" + session + "/" + issuer
}

// past is a key behind all notices of a user.
func past(user directory.UserID) string { return user.String() + "/~" }

// userOf reads the user of a key; zero: of none.
func userOf(key string) directory.UserID {
	id, _ := directory.ParseID[directory.User](key[:min(len(key), 36)])
	return id
}

func sortNotices(all []notice) []notice {
	slices.SortFunc(all, func(a, b notice) int { return cmp.Compare(a.key(), b.key()) })
	return slices.Compact(all)
}

// a plan is what a line means for one application.
type plan struct {
	everyone bool
	users    []directory.UserID
	sessions []directory.SessionID
	grants   []directory.GrantID
	devices  []directory.DeviceID
}

func (p plan) empty() bool {
	return !p.everyone && len(p.users) == 0 && len(p.sessions) == 0 && len(p.grants) == 0 && len(p.devices) == 0
}

// planOf reads a line. An id that cannot be read names nothing of ours.
func planOf(l *store.LineAt, app directory.AppID) (p plan) {
	for _, c := range l.Cuts {
		if c.Reach != cutoff.Everything {
			continue
		}
		switch c.Scope {
		case cutoff.All:
			p.everyone = true
		case cutoff.App:
			p.everyone = p.everyone || c.ID == string(app)
		case cutoff.User:
			p.users = appendID(p.users, c.ID)
		case cutoff.UserApp:
			if user, of, _ := strings.Cut(c.ID, ":"); of == string(app) {
				p.users = appendID(p.users, user)
			}
		case cutoff.Session:
			p.sessions = appendID(p.sessions, c.ID)
		case cutoff.Device:
			p.devices = appendID(p.devices, c.ID)
		case cutoff.Grant:
			p.grants = appendID(p.grants, c.ID)
		}
	}
	return p
}

func appendID[Of any](all []directory.ID[Of], text string) []directory.ID[Of] {
	if id, err := directory.ParseID[Of](text); err == nil {
		all = append(all, id)
	}
	return all
}

// pageSize is how many notices of a line are looked for at once.
const pageSize = 32

// page returns the next notices of a line for an application, after a key, in
// order. at is how far the line has been looked through, done that this was all.
func page(tx *store.Tx, l *store.LineAt, app *directory.App, after string) (all []notice, at string, done bool, err error) {
	p := planOf(l, app.ID)
	at = after
	switch {
	case p.empty():
		return nil, at, true, nil
	case p.everyone:
		all, at, done, err = everyone(tx, l, app, after)
	default:
		all, err = p.notices(tx, l, app)
		done = true
	}
	if err != nil {
		return nil, after, false, err
	}
	all = sortNotices(all)
	i, found := slices.BinarySearchFunc(all, after, func(n notice, key string) int { return cmp.Compare(n.key(), key) })
	if found {
		i++
	}
	if all = all[i:]; len(all) > pageSize {
		all, done = all[:pageSize], false
		at = all[pageSize-1].key()
	}
	return all, at, done, nil
}

// everyone looks through the users of an application, a bounded number of rows
// at a time.
func everyone(tx *store.Tx, l *store.LineAt, app *directory.App, after string) (all []notice, at string, done bool, err error) {
	if u := userOf(after); !u.IsZero() && after != past(u) {
		all, err = ofUser(tx, l, app, u)
		return all, past(u), false, err
	}
	users, next, err := tx.UsersOf(app.ID, userOf(after))
	if err != nil {
		return nil, after, false, err
	}
	for i, u := range users {
		n, err := ofUser(tx, l, app, u)
		if err != nil {
			return nil, after, false, err
		}
		if all = append(all, n...); len(all) >= pageSize && i+1 < len(users) {
			return all, past(u), false, nil
		}
	}
	if next.IsZero() {
		return all, "~", true, nil
	}
	return all, past(next), false, nil
}

// maxOnDevice is how many grants of one device are looked at.
const maxOnDevice = 5000

func (p plan) notices(tx *store.Tx, l *store.LineAt, app *directory.App) (all []notice, err error) {
	for _, id := range p.users {
		n, err := ofUser(tx, l, app, id)
		if err != nil {
			return nil, err
		}
		all = append(all, n...)
	}
	for _, id := range p.sessions {
		rows, err := tx.SignInsOf(id, app.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Born < l.Pos {
				all = append(all, notice{user: r.User, session: id, plain: r.Plain})
			}
		}
	}
	for _, id := range p.devices {
		grants, err := devices.Grants(tx, id, maxOnDevice)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			if g.App == app.ID && g.Born < l.Pos && !g.Session.IsZero() && len(g.Chain) == 0 {
				all = append(all, notice{user: g.User, session: g.Session, plain: g.Issuer == grant.Plain})
			}
		}
	}
	for _, id := range p.grants {
		n, err := ofGrant(tx, l, app, id)
		if err != nil {
			return nil, err
		}
		all = append(all, n...)
	}
	// Who is told of all their sessions need not be told of one.
	return slices.DeleteFunc(all, func(n notice) bool {
		return !n.session.IsZero() && slices.Contains(all, notice{user: n.user, plain: n.plain})
	}), nil
}

// ofUser decides how an application is told that a user's sessions have ended.
func ofUser(tx *store.Tx, l *store.LineAt, app *directory.App, user directory.UserID) (all []notice, err error) {
	rows, err := tx.SignIns(user, app.ID)
	if err != nil {
		return nil, err
	}
	alive := map[directory.SessionID]bool{} // or opened since
	for _, r := range rows {
		if r.Born >= l.Pos {
			alive[r.Session] = true
		}
	}
	named := app.BackChannelSession || len(alive) > 0
	seen := map[notice]bool{}
	for _, r := range rows {
		n := notice{user: user, plain: r.Plain}
		if named {
			n.session = r.Session
		}
		// Without a session there is nothing by which it could be named.
		if r.Born >= l.Pos || seen[n] || named && (alive[r.Session] || r.Session.IsZero()) {
			continue
		}
		if named {
			if told, err := endedBefore(tx, r, l.Pos); err != nil {
				return nil, err
			} else if told {
				continue
			}
		}
		seen[n] = true
		all = append(all, n)
	}
	return all, nil
}

// endedBefore reports whether a sign-in was ended, and told, by a line before pos
// that cut its session.
func endedBefore(tx *store.Tx, r store.SignIn, pos cutoff.Pos) (bool, error) {
	if r.Offline {
		return false, nil // it outlived that
	}
	o := cutoff.NewOwner(cutoff.Belongs{Session: r.Session.String()})
	p, err := tx.Latest(&o, cutoff.Browser)
	return r.Born < p && p < pos, err
}

// ofGrant decides whether the end of one grant is the end of a session at its
// application.
func ofGrant(tx *store.Tx, l *store.LineAt, app *directory.App, id directory.GrantID) ([]notice, error) {
	g, err := tx.Grant(id)
	if err == store.ErrNotFound {
		return nil, nil
	}
	if err != nil || g.App != app.ID || g.Session.IsZero() || len(g.Chain) > 0 || g.Born >= l.Pos {
		return nil, err // one made from another is no sign-in
	}
	if by, err := tx.Receipt(l.Receipt); err == store.ErrNotFound || err == nil && by.Actor.Kind == "system" {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	rows, err := tx.SignInsOf(g.Session, app.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.Grant == id {
			continue
		}
		other, err := tx.Grant(r.Grant)
		if err != nil {
			return nil, err
		}
		o := other.Owner()
		if cut, err := tx.Latest(&o, cutoff.Token); err != nil || other.Born >= cut {
			return nil, err
		}
	}
	return []notice{{user: g.User, session: g.Session, plain: g.Issuer == grant.Plain}}, nil
}
