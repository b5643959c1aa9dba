package watch

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/deed"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/geo"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
)

// Service is the verb. DB is needed.
type Service struct {
	DB  *store.DB
	Geo *geo.Database // nil: no place is known
	Now func() time.Time
	Log *slog.Logger // nil: nowhere

	failed failures
}

// compared is how many sessions before a sign-in are looked at.
const compared = 20

// SignedIn looks at a session that is being born, in its transaction.
func (s *Service) SignedIn(tx *store.Tx, x *grant.Session) error {
	rules, err := risks.Rules(tx)
	if err != nil || !rules.Any(true) {
		return err
	}
	before, err := tx.Sessions(x.User, compared+1)
	if err != nil {
		return err
	}
	var old []risk.Seen
	for _, b := range before {
		if b.ID != x.ID {
			old = append(old, s.seen(b))
		}
	}
	now := s.seen(x)
	now.Sprayed = s.failed.accounts(x.IP, tx.Now)
	for _, f := range rules.SignIn(now, old) {
		if _, err := risks.Add(tx, &risks.Detection{User: x.User, Session: x.ID, Rule: f.Rule, IP: x.IP, Why: f.Why}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) seen(x *grant.Session) risk.Seen {
	v := risk.Seen{At: x.Created, Program: x.Agent}
	var err error
	if v.Address, err = netip.ParseAddr(x.IP); err != nil {
		return v
	}
	p := s.Geo.Lookup(v.Address)
	v.Latitude, v.Longitude, v.Located = p.Latitude, p.Longitude, p.Located
	if v.Place = p.City; v.Place == "" {
		v.Place = "an unnamed place"
	}
	if p.Country != (policy.Country{}) {
		v.Place += ", " + p.Country.String()
	}
	return v
}

// Failed notes that somebody tried a wrong password, for an account that need not be
// anybody's. It does not wait.
func (s *Service) Failed(ip, account string) { s.failed.note(ip, directory.FoldName(account), s.now()) }

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Note writes down what a grant was found to be, if that rule is on: in the
// transaction in which the grant ends, or its alarm is written.
func (s *Service) Note(tx *store.Tx, r risk.Rule, g *grant.Grant, ip, why string) error {
	rules, err := risks.Rules(tx)
	if err != nil || !rules.On(r) {
		return err
	}
	_, err = risks.Add(tx, &risks.Detection{User: g.User, Rule: r, IP: ip, Why: why})
	return err
}

// Risk is what was computed about a person and a sign-in of theirs, zero where nobody
// computes it, and whether the password was changed since.
func (s *Service) Risk(tx *store.Tx, user directory.UserID, session directory.SessionID) (signIn, account policy.Risk, changed bool, err error) {
	rules, err := risks.Rules(tx)
	if err != nil {
		return 0, 0, false, err
	}
	if rules.Any(true) {
		signIn = policy.NoRisk
		if !session.IsZero() {
			if signIn, err = risks.OfSession(tx, session); err != nil {
				return 0, 0, false, err
			}
		}
	}
	state, err := risks.Of(tx, user)
	if err != nil {
		return 0, 0, false, err
	}
	if state.Level > policy.NoRisk {
		u, err := tx.User(user)
		if err != nil {
			return 0, 0, false, err
		}
		return signIn, state.Level, u.Password.Changed.After(state.Since), nil
	}
	if rules.Any(false) {
		account = policy.NoRisk
	}
	return signIn, account, false, nil
}

// Setting is one rule and whether it is on.
type Setting struct {
	risk.Row
	On bool
}

// Rules lists all rules. Kinds: Denied, Unavailable.
func (s *Service) Rules(ctx context.Context, actor directory.Actor) (all []Setting, err error) {
	err = s.read(ctx, actor, role.ReadRisk, func(tx *store.Tx) error {
		all = nil
		rules, err := risks.Rules(tx)
		for _, r := range risk.Table {
			all = append(all, Setting{r, rules.On(r.Rule)})
		}
		return err
	})
	return all, err
}

// Places says whether there is a database of places, for the rule that needs one.
func (s *Service) Places() (geo.Status, bool) { return s.Geo.Status() }

// SetRules switches rules on or off. What was found stays found. Kinds: Denied,
// Invalid, Revoked, Unavailable.
func (s *Service) SetRules(ctx context.Context, actor directory.Actor, set map[risk.Rule]bool, act manage.Act) error {
	for r := range set {
		if _, ok := risk.Of(r); !ok {
			return fault.New(fault.Invalid, "There is no rule "+fault.Quote(string(r))+".")
		}
	}
	return s.write(ctx, actor, act, role.SetRiskRules, "Update risk rules", directory.UserID{}, func(tx *deed.Step, _ *directory.User) error {
		changed := false
		rules, err := risks.Rules(tx.Tx)
		if err != nil {
			return err
		}
		for _, row := range risk.Table {
			on, asked := set[row.Rule]
			if !asked || on == rules.On(row.Rule) {
				continue
			}
			changed = true
			tx.Audit(audit.Record{Action: "Update risk rules", Target: party, Changes: []audit.Change{{Property: string(row.Rule), Old: word(!on), New: word(on)}}})
			tx.Said = append(tx.Said, "Switches the rule "+string(row.Rule)+" "+word(on)+".")
			if err := risks.SetRule(tx.Tx, row.Rule, on); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		// Whether a risk is known at all hangs on this, and so do policies.
		c, err := tx.Event(standing.PolicyChanged, standing.Victim{}, party)
		if err == nil {
			tx.Tx.Cut(c)
		}
		return err
	})
}

var party = audit.Party{Kind: "directory", Name: "risk rules"}

func word(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// What surfaces call what the store keeps.
type (
	Detection   = risks.Detection
	Query       = risks.Query
	DetectionID = directory.ID[risks.Detection]
)

// The states of an account.
const (
	AtRisk      = risks.AtRisk
	Compromised = risks.Compromised
	Dismissed   = risks.Dismissed
	Remediated  = risks.Remediated
)

// User is an account with its risk.
type User struct {
	risks.State
	Name, DisplayName string
	Deleted           bool
	// Why are the findings that count, the newest first; not more than a few.
	Why []*Detection
	// By is what closed the newest finding; empty: nothing did.
	By risk.Rule
}

// reasons bounds how many findings go with an account.
const reasons = 20

// about adds to a row whose it is, and why.
func about(tx *store.Tx, row risks.State, u *directory.User) (User, error) {
	v := User{State: row, Name: u.Name, DisplayName: u.DisplayName, Deleted: !u.Deleted.IsZero()}
	v.User = u.ID
	all, err := risks.Detections(tx, u.ID, DetectionID{}, reasons)
	for i, d := range all {
		if i == 0 {
			v.By = d.By
		}
		if d.Closed.IsZero() {
			v.Why = append(v.Why, d)
		}
	}
	return v, err
}

const maxPage = 100

// Users lists the accounts about which something was ever found and that q names,
// after one. Kinds: Denied, Unavailable.
func (s *Service) Users(ctx context.Context, actor directory.Actor, q Query, after directory.UserID) (all []User, next directory.UserID, err error) {
	err = s.read(ctx, actor, role.ReadRisk, func(tx *store.Tx) error {
		all, next = nil, directory.UserID{}
		rows, err := risks.Risky(tx, q, after, maxPage+1)
		if err != nil {
			return err
		}
		if len(rows) > maxPage {
			rows, next = rows[:maxPage], rows[maxPage-1].User
		}
		for _, r := range rows {
			u, err := tx.User(r.User)
			if err != nil {
				return err
			}
			v, err := about(tx, r, u)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return nil
	})
	return all, next, err
}

// User returns one account. Kinds: NotFound, Denied, Unavailable.
func (s *Service) User(ctx context.Context, actor directory.Actor, id directory.UserID) (v User, err error) {
	err = s.read(ctx, actor, role.ReadRisk, func(tx *store.Tx) error {
		u, err := tx.User(id)
		if err != nil {
			return missing(err)
		}
		row, err := risks.Of(tx, id)
		if err == nil {
			v, err = about(tx, row, u)
		}
		return err
	})
	return v, err
}

// History lists what was found about one person and what administrators said, the
// newest first, before one. next is where the next page begins; empty: there is none.
// Kinds: Denied, Unavailable.
func (s *Service) History(ctx context.Context, actor directory.Actor, user directory.UserID, before DetectionID) (all []*Detection, next string, err error) {
	err = s.read(ctx, actor, role.ReadRisk, func(tx *store.Tx) (err error) {
		all, next, err = page(tx, Query{User: user}, before)
		return err
	})
	return all, next, err
}

// Found is a finding with the name of whom it is about.
type Found struct {
	*Detection
	Name, DisplayName string
}

// Detections is History of everybody whom q names.
func (s *Service) Detections(ctx context.Context, actor directory.Actor, q Query, before DetectionID) (all []Found, next string, err error) {
	err = s.read(ctx, actor, role.ReadFindings, func(tx *store.Tx) error {
		all = nil
		rows, more, err := page(tx, q, before)
		if err != nil {
			return err
		}
		next = more
		for _, d := range rows {
			u, err := tx.User(d.User)
			if err != nil {
				return err
			}
			all = append(all, Found{d, u.Name, u.DisplayName})
		}
		return nil
	})
	return all, next, err
}

func page(tx *store.Tx, q Query, before DetectionID) (all []*Detection, next string, err error) {
	if all, err = risks.Find(tx, q, before, maxPage+1); len(all) > maxPage {
		all = all[:maxPage]
		next = all[maxPage-1].ID.String()
	}
	return all, next, err
}

// Confirm says that somebody else has the account: its risk is high until that is
// dismissed. Kinds: NotFound, Denied, Invalid, Revoked, Unavailable.
func (s *Service) Confirm(ctx context.Context, actor directory.Actor, id directory.UserID, act manage.Act) error {
	return s.write(ctx, actor, act, role.UpdateRisk, "ConfirmAccountCompromised", id, func(tx *deed.Step, u *directory.User) error {
		tx.Said = append(tx.Said, "Confirms that "+u.Name+" is compromised; the risk is high.")
		tx.Audit(audit.Record{Action: "ConfirmAccountCompromised", Target: store.UserParty(u)})
		_, err := risks.Add(tx.Tx, &risks.Detection{User: id, Rule: risk.Confirmed, IP: actor.IP, Actor: actorName(actor), Request: actor.Request, Why: because("An administrator confirmed that the account is compromised.", act)})
		return err
	})
}

// Dismiss says that what was found about an account is nothing. Kinds as Confirm.
func (s *Service) Dismiss(ctx context.Context, actor directory.Actor, id directory.UserID, act manage.Act) error {
	return s.write(ctx, actor, act, role.UpdateRisk, "DismissUser", id, func(tx *deed.Step, u *directory.User) error {
		tx.Said = append(tx.Said, "Dismisses what was found about "+u.Name+".")
		tx.Audit(audit.Record{Action: "DismissUser", Target: store.UserParty(u)})
		_, err := risks.Dismiss(tx.Tx, &risks.Detection{User: id, Rule: risk.Dismissed, IP: actor.IP, Actor: actorName(actor), Request: actor.Request, Why: because("An administrator dismissed what was found.", act)})
		return err
	})
}

func because(sentence string, act manage.Act) string {
	if act.Reason == "" {
		return sentence
	}
	return sentence + " Reason: " + act.Reason
}

func actorName(a directory.Actor) string {
	if a.Name != "" {
		return a.Name
	}
	return string(a.App)
}

func (s *Service) read(ctx context.Context, actor directory.Actor, action role.Action, f func(*store.Tx) error) error {
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		if err := role.Allowed(a, action, role.Target{}).Err(""); err != nil {
			return err
		}
		return f(tx)
	})
}

// write runs f on the actor's behalf.
func (s *Service) write(ctx context.Context, actor directory.Actor, act manage.Act, action role.Action, activity string, id directory.UserID, f func(*deed.Step, *directory.User) error) error {
	_, err := deed.Doer{DB: s.DB, Log: s.Log}.Do(ctx, actor, act, func(c *deed.Step) error {
		whom := party
		var u *directory.User
		if !id.IsZero() {
			var err error
			if u, err = c.User(id); err != nil || !u.Deleted.IsZero() {
				return missing(errors.Join(err, store.ErrNotFound))
			}
			whom = store.UserParty(u)
		}
		if err := c.Allow(activity, whom, whom.Name, action, role.Target{}); err != nil {
			return err
		}
		return f(c, u)
	})
	return err
}

func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.New(fault.NotFound, "There is no such user.")
	}
	return err
}
