package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store/engine"
)

// Query asks for entries, the newest first. Zero fields do not filter.
type Query struct {
	User     directory.UserID
	UserName string // as it was then
	App      directory.AppID
	From, To time.Time // From included, To not; to the millisecond
	Kind     Kind
	Asked    *bool // a person was: Interactive, or not
	Success  *bool
	Error    int // told to the client
	NotError int // successes too
	Status   Status
	Policy   string         // that applied, on or report-only
	Outcome  policy.Outcome // of Policy
	Risk     policy.Risk    // of the sign-in or the account
	IP       string
	Request  string
	Session  directory.SessionID
	Grant    directory.GrantID
	Token    string

	Before ID // the cursor; zero: from the newest
	Limit  int
}

// Step is how many entries one call looks at, at most.
const Step = 50_000

// MaxPage bounds Limit.
const MaxPage = 1000

const selected = `s.id, s.kind, s.flow, s.user_id, s.user_name, s.display_name, s.app_id, s.app_name, s.resource, s.resource_name, s.ip, s.country, s.city, s.program, s.agent, s.request,
	s.error, s.reason, s.status, s.device_id, s.device, s.signin_risk, s.user_risk, s.session_id, s.grant_id, s.token, s.methods, s.missing,
	COALESCE((SELECT a.doc FROM applied a WHERE a.id = s.applied), '[]')`

// List returns entries and the cursor of what comes after them; zero: nothing
// does. There may be fewer than Limit, even none, before a cursor: see [Step].
// Kinds: Unavailable.
func (j *Journal) List(ctx context.Context, q Query) (page []Entry, next ID, err error) {
	limit := min(max(q.Limit, 1), MaxPage)
	span, filter, args := q.conditions()
	text := fmt.Sprintf(`SELECT %s FROM signins s WHERE %s ORDER BY s.id DESC LIMIT %d`, selected, all(span), limit+1)
	if len(filter) > 0 {
		text = fmt.Sprintf(`SELECT %s FROM (SELECT * FROM signins s WHERE %s ORDER BY s.id DESC LIMIT %d) s WHERE %s ORDER BY s.id DESC LIMIT %d`,
			selected, all(span), j.cfg.Step, all(filter), limit+1)
	}
	if err := j.Flush(ctx); err != nil {
		return nil, next, err
	}
	err = j.read(ctx, func(ctx context.Context, c *engine.Conn) error {
		page, next = nil, ID{}
		err := c.Each(ctx, text, func(r engine.Scanner) error {
			e, err := scan(r)
			page = append(page, e)
			return err
		}, args...)
		switch {
		case err != nil:
			return err
		case len(page) > limit:
			page = page[:limit]
			next = page[limit-1].ID
			return nil
		case len(filter) == 0:
			return nil
		}
		// The last one that this step looked at, if there may be more behind it.
		err = engine.Found(c.Row(ctx, fmt.Sprintf(`SELECT s.id FROM signins s WHERE %s ORDER BY s.id DESC LIMIT 1 OFFSET %d`, all(span), j.cfg.Step-1), args[:len(span)]...).Scan(&next))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	return page, next, err
}

func all(conditions []string) string {
	if len(conditions) == 0 {
		return "1 = 1"
	}
	return strings.Join(conditions, " AND ")
}

// conditions translates q: span is what the primary key or the index of users
// answers, with one argument each, and filter the rest. Values only ever become
// arguments.
func (q *Query) conditions() (span, filter []string, args []any) {
	add := func(to *[]string, format string, v any) {
		args = append(args, v)
		*to = append(*to, fmt.Sprintf(format, len(args)))
	}
	if !q.Before.IsZero() {
		add(&span, "s.id < $%d", q.Before[:])
	}
	if !q.From.IsZero() {
		add(&span, "s.id >= $%d", bound(q.From))
	}
	if !q.To.IsZero() {
		add(&span, "s.id < $%d", bound(q.To))
	}
	if !q.User.IsZero() {
		add(&span, "s.user_id = $%d", q.User[:])
	}
	if q.UserName != "" {
		add(&filter, "s.user_name = $%d", q.UserName)
	}
	if q.App != "" {
		add(&filter, "s.app_id = $%d", string(q.App))
	}
	if q.Kind != 0 {
		add(&filter, "s.kind = $%d", int64(q.Kind))
	}
	if q.Asked != nil {
		filter = append(filter, fmt.Sprintf(map[bool]string{true: "s.kind = %d", false: "s.kind <> %d"}[*q.Asked], Interactive))
	}
	if q.Success != nil {
		filter = append(filter, map[bool]string{true: "s.error = 0", false: "s.error <> 0"}[*q.Success])
	}
	if q.Error != 0 {
		add(&filter, "s.error = $%d", int64(q.Error))
	}
	if q.NotError != 0 {
		add(&filter, "s.error <> $%d", int64(q.NotError))
	}
	if q.Status != 0 {
		add(&filter, "s.status = $%d", int64(q.Status))
	}
	switch {
	case q.Policy != "" && q.Outcome != "":
		args = append(args, q.Policy, string(q.Outcome))
		filter = append(filter, fmt.Sprintf("s.applied IN (SELECT p.applied FROM applied_policies p WHERE p.policy = $%d AND p.outcome = $%d)", len(args)-1, len(args)))
	case q.Policy != "":
		add(&filter, "s.applied IN (SELECT p.applied FROM applied_policies p WHERE p.policy = $%d AND p.outcome NOT IN ('notApplied', 'reportOnlyNotApplied'))", q.Policy)
	}
	if q.Risk != 0 {
		args = append(args, int64(q.Risk))
		filter = append(filter, fmt.Sprintf("(s.signin_risk = $%d OR s.user_risk = $%d)", len(args), len(args)))
	}
	if q.IP != "" {
		add(&filter, "s.ip = $%d", q.IP)
	}
	if q.Request != "" {
		add(&filter, "s.request = $%d", q.Request)
	}
	if !q.Session.IsZero() {
		add(&filter, "s.session_id = $%d", q.Session[:])
	}
	if !q.Grant.IsZero() {
		add(&filter, "s.grant_id = $%d", q.Grant[:])
	}
	if q.Token != "" {
		add(&filter, "s.token = $%d", q.Token)
	}
	return span, filter, args
}

// bound is the smallest id of an instant.
func bound(t time.Time) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return id[:]
}

func timeOf(id ID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// Entry returns one. ErrNotFound, or kinds: Unavailable.
func (j *Journal) Entry(ctx context.Context, id ID) (*Entry, error) {
	if err := j.Flush(ctx); err != nil {
		return nil, err
	}
	var e Entry
	err := j.read(ctx, func(ctx context.Context, c *engine.Conn) (err error) {
		e, err = scan(c.Row(ctx, `SELECT `+selected+` FROM signins s WHERE s.id = $1`, id[:]))
		return err
	})
	return &e, err
}

// ErrNotFound: there is no such entry, or none any more.
var ErrNotFound = engine.ErrNotFound

func scan(r engine.Scanner) (e Entry, err error) {
	var told int64
	var status Status
	var methods, doc string
	err = r.Scan(&e.ID, &e.Kind, &e.Flow, &e.User, &e.UserName, &e.Display, &e.App, &e.AppName, &e.Resource, &e.ResourceName, &e.IP, &e.Country, &e.City, &e.Program, &e.Agent, &e.Request,
		&e.Error, &e.Reason, &status, &e.Device, &told, &e.SignInRisk, &e.UserRisk, &e.Session, &e.Grant, &e.Token, &methods, &e.Missing, &doc)
	if err != nil {
		return e, engine.Found(err)
	}
	e.setTold(told)
	e.At, e.Methods = timeOf(e.ID), strings.Fields(methods)
	e.Applied, err = readApplied(status, doc)
	return e, err
}

// Count is how often a policy had one outcome on one day.
type Count struct {
	Day     time.Time // its first instant, UTC
	Kind    Kind
	Outcome policy.Outcome
	N       int64
}

// Results counts what a policy did, by day, kind of sign-in and outcome, from the
// day of since on, oldest first. Days and outcomes without a sign-in are left out.
// Kinds: Unavailable.
func (j *Journal) Results(ctx context.Context, id string, since time.Time) (all []Count, err error) {
	if err := j.Flush(ctx); err != nil {
		return nil, err
	}
	err = j.read(ctx, func(ctx context.Context, c *engine.Conn) error {
		all = nil
		return c.Each(ctx, `SELECT t.day, t.kind, p.outcome, CAST(SUM(t.n) AS BIGINT) FROM applied_policies p JOIN tallies t ON t.applied = p.applied
			WHERE p.policy = $1 AND t.day >= $2 GROUP BY t.day, t.kind, p.outcome ORDER BY t.day, t.kind, p.outcome`, func(r engine.Scanner) error {
			var x Count
			var day int64
			err := r.Scan(&day, &x.Kind, &x.Outcome, &x.N)
			x.Day = time.Unix(day*86400, 0).UTC()
			all = append(all, x)
			return err
		}, id, dayOf(since))
	})
	return all, err
}
