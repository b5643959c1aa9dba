package govern

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// Effect is what a change would do to what is alive.
type Effect struct {
	Sessions, Grants Tally
	// Rows were gone through, the newest first; Part: there are more, and nothing is
	// said of them.
	Rows int
	Part bool
	// Fates are those that do not stay as they are, gravest first, then those that
	// stay; at most MaxFates, Left out are so many.
	Fates []Fate
	Left  int
	Apps  []AppFate
	// Lockout is what becomes of the Global Administrators.
	Lockout Lockout
}

// Tally counts what is alive by what becomes of it.
type Tally struct{ Ends, Asks, Shortens, Opens, Stays int }

func (t *Tally) add(k policy.ChangeKind, n int) {
	switch k {
	case policy.Ends:
		t.Ends += n
	case policy.Asks:
		t.Asks += n
	case policy.Shortens:
		t.Shortens += n
	case policy.Opens:
		t.Opens += n
	default:
		t.Stays += n
	}
}

// Fate is what becomes of one session or grant.
type Fate struct {
	Session  directory.SessionID // one of the two
	Grant    directory.GrantID
	User     directory.UserID
	UserName string
	App      directory.AppID // of a grant
	AppName  string
	Kind     policy.ChangeKind // zero: it stays
	Needs    []string          // of Asks, by Graph's names
	By       []string          // names of the policies, or the event, that do it
	Cut      bool              // it ends by a cutoff: at once, and not at the next use
	// Until: of what ends or is asked, when the last access token ends that nobody
	// guards, zero when there is none: then it is over at once, or at the next use. Of
	// what stays or is shortened, when it ends unless it is used again.
	Until time.Time
}

// AppFate counts the grants of one application.
type AppFate struct {
	App  directory.AppID
	Name string
	Tally
}

// Bounds of an effect.
const (
	MaxFates = 200
	maxRows  = 20000 // gone through, of sessions and of grants
	pageRows = 500   // in one transaction
	maxWork  = 8 * time.Second
)

// alive is one session or grant that is still good, with whose it is.
type alive struct {
	session *grant.Session
	grant   *grant.Grant
	app     *directory.App // of a grant
	from    *grant.Session // where it was given; nil: not known any more
	person  *person
	ends    time.Time // unless it is used again
}

func (a *alive) belongs() (cutoff.Belongs, cutoff.Kind, cutoff.Pos) {
	if a.grant != nil {
		return a.grant.Belongs(), cutoff.Token, a.grant.Born
	}
	return directory.Belongs(a.session.User, a.session.ID, directory.GrantID{}, "", a.session.Device), cutoff.Browser, a.session.Born
}

// session returns the session if it is good.
func (c *step) session(s *grant.Session, ps *people) (*alive, error) {
	p, err := ps.of(s.User)
	if err != nil {
		return nil, err
	}
	a := &alive{session: s, person: p, ends: s.Ends(c.s.Lifetimes)}
	b, k, born := a.belongs()
	cuts, err := c.CutsAfter(b, k, born)
	if err != nil || len(standing.Check(standing.Facts{Now: c.Now, User: p.user, Ends: a.ends, Cuts: cuts})) > 0 {
		return nil, err
	}
	return a, nil
}

// grant returns the grant if it is good.
func (c *step) grant(g *grant.Grant, ps *people) (*alive, error) {
	p, err := ps.of(g.User)
	if err != nil {
		return nil, err
	}
	a := &alive{grant: g, person: p, ends: g.Ends(c.s.Lifetimes)}
	b, k, born := a.belongs()
	cuts, err := c.CutsAfter(b, k, born)
	if err != nil || len(cuts) > 0 {
		return nil, err
	}
	above, err := c.Above(g, p.user)
	if err != nil {
		return nil, err
	}
	app, err := c.Tx.App(g.App)
	if err != nil && err != store.ErrNotFound {
		return nil, err
	}
	if len(standing.Check(standing.Facts{Now: c.Now, User: p.user, App: app, NeedsApp: true, Ends: a.ends, End: g.End, Above: above.Facts, Orphan: above.Orphan})) > 0 {
		return nil, nil
	}
	a.app = app
	if !above.End.IsZero() && above.End.Before(a.ends) {
		a.ends = above.End
	}
	if g.Session.IsZero() {
		return a, nil
	}
	if a.from, err = c.Tx.Session(g.Session); err == store.ErrNotFound {
		a.from, err = nil, nil
	}
	return a, err
}

// uses are the facts under which something alive is used next: from where its session
// was opened, one for each resource that a grant is for.
func (c *step) uses(a *alive, set *policy.Set) ([]policy.Facts, error) {
	if a.grant == nil {
		u := (&access.Use{Client: access.Account, Resource: directory.OwnAPI, IP: a.session.IP, Program: policy.Browser}).OfSession(a.session)
		f, err := c.facts(a.person, u, set)
		return []policy.Facts{f}, err
	}
	u := (&access.Use{Program: access.ProgramOf(a.app, "")}).OfGrant(a.grant)
	if a.from != nil {
		u.IP = a.from.IP
	}
	f, err := c.facts(a.person, u, set)
	var all []policy.Facts
	for _, p := range a.grant.Scopes {
		if p.Resource != "" {
			f.Resource = p.Resource
			all = append(all, f)
		}
	}
	if all == nil {
		all = append(all, f)
	}
	return all, err
}

// outlives is when the last access token of a grant ends at a resource that nobody
// guards; zero: there is none.
func (c *step) outlives(g *grant.Grant, guarded map[directory.ResourceID]time.Time) (last time.Time) {
	for _, t := range g.State.Tokens {
		end := time.Unix(t.Expires, 0).UTC()
		if t.Resource != directory.OwnAPI && !c.Now.Before(guarded[t.Resource]) && end.After(c.Now) && end.After(last) {
			last = end
		}
	}
	return last
}

// counting gathers an effect over several transactions.
type counting struct {
	*Effect
	apps   map[directory.AppID]*AppFate
	fates  [policy.Opens + 1][]Fate // by kind; those that stay at 0
	judge  func(c *step, all []*alive) ([]Fate, error)
	s      *Service
	finish time.Time
	rows   int // maxRows, pageRows
	page   int
}

func (s *Service) counting() *counting {
	return &counting{Effect: &Effect{}, apps: map[directory.AppID]*AppFate{}, s: s, finish: time.Now().Add(maxWork), rows: maxRows, page: pageRows}
}

// take counts the fates of one page.
func (n *counting) take(c *step, all []*alive) error {
	fates, err := n.judge(c, all)
	if err != nil {
		return err
	}
	guarded, err := c.GuardedUntil()
	if err != nil {
		return err
	}
	for i, f := range fates {
		a := all[i]
		f.User, f.UserName, f.Until = a.person.user.ID, a.person.user.Name, a.ends
		if over := f.Kind == policy.Ends || f.Kind == policy.Asks; over {
			f.Until = time.Time{}
		}
		if a.session != nil {
			f.Session = a.session.ID
			n.Sessions.add(f.Kind, 1)
		} else {
			f.Grant, f.App = a.grant.ID, a.grant.App
			if f.Until.IsZero() {
				f.Until = c.outlives(a.grant, guarded)
			}
			x := n.apps[f.App]
			if x == nil {
				x = &AppFate{App: f.App, Name: string(f.App)}
				if app, err := c.Tx.App(f.App); err == nil && app.Name != "" {
					x.Name = app.Name
				}
				n.apps[f.App] = x
			}
			f.AppName = x.Name
			x.add(f.Kind, 1)
			n.Grants.add(f.Kind, 1)
		}
		if len(n.fates[f.Kind]) < MaxFates {
			n.fates[f.Kind] = append(n.fates[f.Kind], f)
		} else {
			n.Left++
		}
	}
	return nil
}

// everybody goes through all sessions and grants, in steps.
func (n *counting) everybody(ctx context.Context) error {
	var session directory.SessionID
	if err := n.pages(ctx, func(c *step, ps *people) (all []*alive, rows int, more bool, err error) {
		found, next, err := c.Tx.SessionsBefore(session, n.page)
		for _, x := range found {
			a, err := c.session(x, ps)
			if err != nil {
				return nil, 0, false, err
			}
			if a != nil {
				all = append(all, a)
			}
		}
		session = next
		return all, len(found), !next.IsZero(), err
	}); err != nil {
		return err
	}
	var last directory.GrantID
	return n.pages(ctx, func(c *step, ps *people) (all []*alive, rows int, more bool, err error) {
		found, next, err := c.Tx.GrantsBefore(last, n.page)
		for _, x := range found {
			a, err := c.grant(x, ps)
			if err != nil {
				return nil, 0, false, err
			}
			if a != nil {
				all = append(all, a)
			}
		}
		last = next
		return all, len(found), !next.IsZero(), err
	})
}

func (n *counting) pages(ctx context.Context, page func(*step, *people) ([]*alive, int, bool, error)) error {
	for rows := 0; ; {
		var count int
		var more bool
		err := n.s.DB.Read(ctx, func(tx *store.Tx) error {
			c := &step{Tx: tx, s: n.s}
			all, r, m, err := page(c, c.people())
			if err != nil {
				return err
			}
			count, more = r, m
			return n.take(c, all)
		})
		if err != nil {
			return err
		}
		n.Rows += count
		if rows += count; !more {
			return nil
		}
		if rows >= n.rows || time.Now().After(n.finish) {
			n.Part = true
			return nil
		}
	}
}

// one goes through what is one person's.
func (n *counting) one(c *step, id directory.UserID) error {
	ps := c.people()
	sessions, err := c.Tx.Sessions(id, maxRows)
	if err != nil {
		return err
	}
	var all []*alive
	keep := func(a *alive, err error) error {
		if a != nil {
			all = append(all, a)
		}
		return err
	}
	for _, x := range sessions {
		if err := keep(c.session(x, ps)); err != nil {
			return err
		}
	}
	grants, err := c.Tx.Grants(id, maxRows)
	if err != nil {
		return err
	}
	for _, x := range grants {
		if err := keep(c.grant(x, ps)); err != nil {
			return err
		}
	}
	n.Rows, n.Part = len(sessions)+len(grants), len(sessions) == maxRows || len(grants) == maxRows
	return n.take(c, all)
}

// done puts what was counted in order.
func (n *counting) done() *Effect {
	for _, k := range []policy.ChangeKind{policy.Ends, policy.Asks, policy.Shortens, policy.Opens, 0} {
		room := min(MaxFates-len(n.Fates), len(n.fates[k]))
		n.Fates = append(n.Fates, n.fates[k][:room]...)
		n.Left += len(n.fates[k]) - room
	}
	for _, x := range n.apps {
		n.Apps = append(n.Apps, *x)
	}
	slices.SortFunc(n.Apps, func(a, b AppFate) int { return cmp.Or(b.Ends-a.Ends, b.Asks-a.Asks, cmp.Compare(a.App, b.App)) })
	return n.Effect
}

// effect tells what the change of a document would do.
func (s *Service) effect(ctx context.Context, e *edit) (*Effect, error) {
	done, err := s.look()
	if err != nil {
		return nil, err
	}
	defer done()
	n := s.counting()
	n.judge = func(c *step, all []*alive) ([]Fate, error) { return e.fates(c, all) }
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		c := &step{Tx: tx, s: s}
		admins, err := c.administrators(e.are)
		if err == nil {
			n.Lockout, err = c.told(e.then, e.are.LocksOut(admins))
		}
		return err
	})
	if err == nil {
		err = n.everybody(ctx)
	}
	if err != nil {
		return nil, err
	}
	return n.done(), nil
}

// fates says what becomes of each when the policies change.
func (e *edit) fates(c *step, all []*alive) ([]Fate, error) {
	set := e.are // which terms of use somebody has accepted is asked for only where it matters
	if len(set.Terms()) == 0 {
		set = e.before
	}
	var facts []policy.Facts
	var whose []int
	for i, a := range all {
		uses, err := c.uses(a, set)
		if err != nil {
			return nil, err
		}
		for _, f := range uses {
			facts, whose = append(facts, f), append(whose, i)
		}
	}
	fates := make([]Fate, len(all))
	for _, x := range e.before.Differs(e.are, facts) {
		f := &fates[whose[x.Index]]
		if f.Kind != 0 && f.Kind <= x.Kind {
			continue
		}
		*f = Fate{Kind: x.Kind}
		if e.explained[x.Kind] == 2*MaxFates { // more than are told one by one
			continue
		}
		e.explained[x.Kind]++
		f.explain(e.before, e.are, &facts[x.Index], &facts[x.Index], &x)
	}
	return fates, nil
}

// explain says what more is asked for and which policies do it.
func (f *Fate) explain(before, are *policy.Set, was, is *policy.Facts, x *policy.Change) {
	if x.Kind == policy.Asks {
		f.Needs = are.Names(x.After.Needs)
	}
	set, facts, v := are, is, x.After
	if x.Kind == policy.Opens { // those that did not let it
		set, facts, v = before, was, x.Before
	}
	for _, r := range set.Explain(facts, &v) {
		if r.Applies && r.Policy.State == policy.On && (len(r.Missing) > 0 || x.Kind > policy.Asks) {
			f.By = append(f.By, r.Policy.Name)
		}
	}
}
