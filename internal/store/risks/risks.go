package risks

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/internal/raw"
)

// Detection is what a rule found, or what an administrator said.
type Detection struct {
	ID      directory.ID[Detection]
	User    directory.UserID
	Session directory.SessionID // of the sign-in it is about; zero: about the account
	Rule    risk.Rule
	At      time.Time
	IP      string
	Why     string // a sentence with the facts
	Actor   string // the administrator's user name; empty: a rule
	Request string
	Closed  time.Time // dismissed or remediated; zero: it counts
	By      risk.Rule // what closed it; empty: nothing
}

// Changed is when something last became of it.
func (d *Detection) Changed() time.Time {
	if d.Closed.IsZero() {
		return d.At
	}
	return d.Closed
}

// The states of an account, as Graph calls them.
const (
	AtRisk      = "atRisk"
	Compromised = "confirmedCompromised"
	Dismissed   = "dismissed"
	Remediated  = "remediated"
)

// State is what all that was found comes to for one account. The zero State: nothing
// was ever found.
type State struct {
	User    directory.UserID
	Level   policy.Risk
	State   string
	Since   time.Time // of the newest finding that counts: a later password counts
	Updated time.Time
}

// Rules are what administrators have chosen.
func Rules(tx *store.Tx) (risk.Rules, error) {
	all := risk.Rules{}
	err := tx.SQL(raw.Key{}).Each(`SELECT rule, enabled FROM risk_rules`, func(scan func(...any) error) error {
		var r risk.Rule
		var on bool
		err := scan(&r, &on)
		all[r] = on
		return err
	})
	return all, err
}

// SetRule switches a rule on or off. What was found stays found.
func SetRule(tx *store.Tx, r risk.Rule, on bool) error {
	n := int64(0)
	if on {
		n = 1
	}
	_, err := tx.SQL(raw.Key{}).Exec(`INSERT INTO risk_rules (rule, enabled) VALUES ($1, $2) ON CONFLICT (rule) DO UPDATE SET enabled = excluded.enabled`, string(r), n)
	return err
}

// micros and instant are a time as columns hold it; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

const columns = `id, user_id, session, rule, at, ip, why, actor, request, closed, ` + closedBy

func scanDetection(scan func(...any) error) (*Detection, error) {
	d := &Detection{}
	var at, closed int64
	if err := scan(&d.ID, &d.User, &d.Session, &d.Rule, &at, &d.IP, &d.Why, &d.Actor, &d.Request, &closed, &d.By); err != nil {
		return nil, err
	}
	d.At, d.Closed = instant(at), instant(closed)
	return d, nil
}

// closedBy is what closed a finding: a row of its own, of the same instant.
const closedBy = `COALESCE((SELECT MAX(m.rule) FROM risk_detections m
	WHERE m.user_id = risk_detections.user_id AND m.closed = risk_detections.closed AND m.at = m.closed AND m.rule IN ('admin_dismissed', 'password_changed', 'password_reset')), '')`

// Detections lists what was found, of a person or (zero) of everybody, the newest
// first, at most limit, from before (zero: the newest of all).
func Detections(tx *store.Tx, user directory.UserID, before directory.ID[Detection], limit int) ([]*Detection, error) {
	return Find(tx, Query{User: user}, before, limit)
}

// Query narrows a listing. The zero Query narrows nothing.
type Query struct {
	ID    directory.ID[Detection] // of findings only
	User  directory.UserID        // of findings only
	Level policy.Risk             // [policy.NoRisk]: also what was never found to have any
	State string                  // as Graph calls them
}

// Find lists those of what was found that a query names, as Detections does.
func Find(tx *store.Tx, f Query, before directory.ID[Detection], limit int) (all []*Detection, err error) {
	q, args := `SELECT `+columns+` FROM risk_detections WHERE id < $1`, []any{before[:], int64(limit)}
	if before.IsZero() {
		q = `SELECT ` + columns + ` FROM risk_detections WHERE id > $1`
	}
	and := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		q += " AND " + condition
	}
	if !f.ID.IsZero() {
		and(`id = ?`, f.ID[:])
	}
	if !f.User.IsZero() {
		and(`user_id = ?`, f.User[:])
	}
	switch f.State {
	case AtRisk:
		and(`closed = 0 AND rule <> ?`, string(risk.Confirmed))
	case Compromised:
		and(`closed = 0 AND rule = ?`, string(risk.Confirmed))
	case Dismissed:
		and(closedBy+` = ?`, string(risk.Dismissed))
	case Remediated:
		and(closedBy+` IN (?, ?)`, string(risk.Changed), string(risk.Reset))
	}
	if f.Level != 0 {
		// A rule that is not known here is high: it is none of the others.
		var known []any
		for _, r := range risk.Known() {
			if (risk.Level([]risk.Rule{r}) == f.Level) != (f.Level == policy.HighRisk) {
				known = append(known, string(r))
			}
		}
		in := `rule IN (''` + strings.Repeat(`, ?`, len(known)) + `)`
		if f.Level == policy.HighRisk {
			in = `NOT ` + in
		}
		and(in, known...)
	}
	err = tx.SQL(raw.Key{}).Each(q+` ORDER BY id DESC LIMIT $2`, func(scan func(...any) error) error {
		d, err := scanDetection(scan)
		all = append(all, d)
		return err
	}, args...)
	return all, err
}

// Of returns what the findings come to for somebody.
func Of(tx *store.Tx, user directory.UserID) (State, error) {
	s, err := scanState(func(dest ...any) error {
		return tx.SQL(raw.Key{}).Row(`SELECT user_id, level, state, since, updated FROM risky_users WHERE user_id = $1`, []any{user[:]}, dest...)
	})
	if errors.Is(err, store.ErrNotFound) {
		return State{User: user}, nil
	}
	return s, err
}

func scanState(scan func(...any) error) (s State, err error) {
	var since, updated int64
	err = scan(&s.User, &s.Level, &s.State, &since, &updated)
	s.Since, s.Updated = instant(since), instant(updated)
	return s, err
}

// Risky lists the accounts at which something was ever found, in the order of their
// ids, at most limit, after one.
func Risky(tx *store.Tx, f Query, after directory.UserID, limit int) (all []State, err error) {
	q, args := `SELECT user_id, level, state, since, updated FROM risky_users WHERE user_id > $1`, []any{after[:], int64(limit)}
	if f.Level != 0 {
		args = append(args, int64(f.Level))
		q += ` AND level = $3`
	}
	if f.State != "" {
		args = append(args, f.State)
		q += ` AND state = $` + strconv.Itoa(len(args))
	}
	err = tx.SQL(raw.Key{}).Each(q+` ORDER BY user_id LIMIT $2`, func(scan func(...any) error) error {
		s, err := scanState(scan)
		all = append(all, s)
		return err
	}, args...)
	return all, err
}

// OfSession is what was found about the sign-in of a session. What was dismissed since
// does not count.
func OfSession(tx *store.Tx, session directory.SessionID) (policy.Risk, error) {
	rules, _, err := open(tx, `session = $1`, session[:])
	return risk.Level(rules), err
}

// open lists the rules of the findings that count, and when the newest was.
func open(tx *store.Tx, where string, id []byte) (rules []risk.Rule, newest time.Time, err error) {
	err = tx.SQL(raw.Key{}).Each(`SELECT rule, MAX(at) FROM risk_detections WHERE closed = 0 AND `+where+` GROUP BY rule`, func(scan func(...any) error) error {
		var r risk.Rule
		var at int64
		if err := scan(&r, &at); err != nil {
			return err
		}
		rules = append(rules, r)
		if t := instant(at); t.After(newest) {
			newest = t
		}
		return nil
	}, id)
	return rules, newest, err
}

// Add writes down what was found, and what it comes to. The line is nil when the
// account's risk stays what it was.
func Add(tx *store.Tx, d *Detection) (*store.Cut, error) {
	d.ID, d.At = directory.NewID[Detection](tx.Now), tx.Now
	if err := hold(tx, d.User); err != nil {
		return nil, err
	}
	if err := insert(tx, d); err != nil {
		return nil, err
	}
	state := AtRisk
	if d.Rule == risk.Confirmed {
		state = Compromised
	}
	return settle(tx, d.User, state)
}

func insert(tx *store.Tx, d *Detection) error {
	var session any
	if !d.Session.IsZero() {
		session = d.Session[:]
	}
	_, err := tx.SQL(raw.Key{}).Exec(`INSERT INTO risk_detections (id, user_id, session, rule, at, ip, why, actor, request, closed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		d.ID[:], d.User[:], session, string(d.Rule), micros(d.At), d.IP, d.Why, d.Actor, d.Request, micros(d.Closed))
	return err
}

// Dismiss says that all that was found about an account is nothing. d says who said it.
func Dismiss(tx *store.Tx, d *Detection) (*store.Cut, error) { return end(tx, d, Dismissed) }

// Remediate says that the account is its owner's again: of what was found until now
// nothing counts any more. d says how, and by whom. Where nothing was found it does
// nothing; where the findings are newer than proven, neither: whoever was proven
// before may be the one who was found.
func Remediate(tx *store.Tx, d *Detection, proven time.Time) error {
	old, err := Of(tx, d.User)
	if err != nil || old.Level <= policy.NoRisk {
		return err
	}
	if err := hold(tx, d.User); err != nil {
		return err
	}
	if old, err = Of(tx, d.User); err != nil || proven.Before(old.Since) {
		return err
	}
	_, err = end(tx, d, Remediated)
	return err
}

func end(tx *store.Tx, d *Detection, state string) (*store.Cut, error) {
	d.ID, d.At, d.Closed = directory.NewID[Detection](tx.Now), tx.Now, tx.Now
	if err := hold(tx, d.User); err != nil {
		return nil, err
	}
	if _, err := tx.SQL(raw.Key{}).Exec(`UPDATE risk_detections SET closed = $1 WHERE user_id = $2 AND closed = 0`, micros(tx.Now), d.User[:]); err != nil {
		return nil, err
	}
	if err := insert(tx, d); err != nil {
		return nil, err
	}
	return settle(tx, d.User, state)
}

// hold makes two changes of one account's risk go one after the other.
func hold(tx *store.Tx, user directory.UserID) error {
	_, err := tx.SQL(raw.Key{}).Exec(`INSERT INTO risky_users (user_id, level, state, since, updated) VALUES ($1, $2, $3, 0, 0) ON CONFLICT (user_id) DO UPDATE SET updated = risky_users.updated`,
		user[:], int64(policy.NoRisk), Dismissed)
	return err
}

// settle writes what the findings come to. An event is what changes what policies are
// told: another level, or a finding that the newest password is older than now.
func settle(tx *store.Tx, user directory.UserID, state string) (*store.Cut, error) {
	old, err := Of(tx, user)
	if err != nil {
		return nil, err
	}
	rules, newest, err := open(tx, `user_id = $1`, user[:])
	if err != nil {
		return nil, err
	}
	level := risk.Level(rules)
	if state == AtRisk && old.State == Compromised {
		state = Compromised
	}
	if _, err := tx.SQL(raw.Key{}).Exec(`UPDATE risky_users SET level = $1, state = $2, since = $3, updated = $4 WHERE user_id = $5`,
		int64(level), state, micros(newest), micros(tx.Now), user[:]); err != nil {
		return nil, err
	}
	u, err := tx.User(user)
	if err != nil {
		return nil, err
	}
	if level == old.Level && (level <= policy.NoRisk || u.Password.Changed.After(old.Since) == u.Password.Changed.After(newest)) {
		return nil, nil
	}
	c, err := tx.Event(standing.RiskChanged, standing.Victim{User: user.String()}, store.UserParty(u))
	if err == nil {
		tx.Cut(c)
	}
	return c, err
}
