package journal

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store/engine"
)

// Add puts an entry into the log. It never waits for the database: what does not
// fit is counted.
func (j *Journal) Add(e *Entry) {
	if j == nil {
		return
	}
	if e.At.IsZero() {
		e.At = j.cfg.Now()
	}
	id, ms := directory.NewID[Entry](e.At), e.At.UnixMilli()
	j.mu.Lock()
	if ms != j.ms {
		j.ms, j.seq = ms, 0
	}
	// Of one millisecond, in the order in which they came (RFC 9562 §6.2).
	id[6], id[7] = id[6]&0xf0|byte(j.seq>>8), byte(j.seq)
	j.seq = min(j.seq+1, 1<<12-1)
	e.ID = id
	if j.closed {
		j.mu.Unlock()
		j.lost.Add(1)
		return
	}
	if len(j.waiting)+j.held >= j.cfg.Room {
		j.missing++
		first := j.missing == 1
		j.mu.Unlock()
		j.lost.Add(1)
		if first {
			j.cfg.Log.Error("the sign-in log cannot keep up: entries are missing from it", "waiting", j.cfg.Room)
		}
		return
	}
	j.waiting = append(j.waiting, *e)
	n := len(j.waiting)
	j.mu.Unlock()
	if n == 1 {
		ring(j.wake)
	}
	if n == maxBatch {
		ring(j.now)
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// Flush returns when what was added before it is written, or could not be.
func (j *Journal) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return engine.ErrClosed
	}
	j.ask = append(j.ask, done)
	j.mu.Unlock()
	ring(j.wake)
	ring(j.now)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return engine.Unavailable(ctx.Err())
	}
}

// take moves what waits to the writer. spare is the writer's last slice, empty.
func (j *Journal) take(spare []Entry) (all []Entry, ask []chan<- error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	all, j.waiting = j.waiting, spare[:0]
	ask, j.ask = j.ask, nil
	if j.missing > 0 {
		now := j.cfg.Now()
		all = append(all, Entry{ID: directory.NewID[Entry](now), At: now, Kind: Gap, Missing: j.missing})
		j.missing = 0
	}
	j.held = len(all)
	return all, ask
}

func (j *Journal) wrote(n int) {
	j.mu.Lock()
	j.held -= n
	j.mu.Unlock()
}

// How long is waited after a write that failed; doubled each time.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 5 * time.Second
)

// lastTries bounds how often the end is tried to be written.
const lastTries = 3

// write is the writer. It ends when stop is closed and everything is written, or
// the last tries failed.
func (j *Journal) write() {
	if j.queue != nil {
		defer j.queue.Close()
	}
	var spare []Entry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for stopping := false; ; {
		if !stopping {
			select {
			case <-j.wake:
				timer.Reset(j.cfg.Every)
				select {
				case <-timer.C:
				case <-j.now:
				case <-j.stop:
				}
			case <-j.stop:
				stopping = true
			}
		}
		all, ask := j.take(spare)
		if len(all) > 0 {
			stopping = j.keep(all, &ask)
		}
		answer(&ask, nil)
		clear(all) // they hold strings of requests
		spare = all
		if stopping && len(all) == 0 {
			return
		}
	}
}

func answer(ask *[]chan<- error, err error) {
	for _, a := range *ask {
		a <- err
	}
	*ask = nil
}

// keep writes all, in batches, however long it takes; while the process ends it
// tries a few times. Whoever asked is told of the first failure. It reports
// whether the process ends.
func (j *Journal) keep(all []Entry, ask *[]chan<- error) (stopping bool) {
	pause, tries := firstPause, 0
	for len(all) > 0 {
		select {
		case <-j.stop:
			stopping = true
		default:
		}
		n := min(len(all), maxBatch)
		err := j.put(all[:n])
		if err == nil {
			j.wrote(n)
			all, pause, tries = all[n:], firstPause, 0
			continue
		}
		answer(ask, err)
		if tries++; stopping && tries >= lastTries {
			j.lost.Add(int64(len(all)))
			j.cfg.Log.Error("the end of the sign-in log could not be written", "missing", len(all), "error", err)
			j.wrote(len(all))
			return true
		}
		if tries == 1 {
			j.cfg.Log.Warn("the sign-in log could not be written; it is tried again", "error", err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-j.stop:
			if stopping {
				<-t.C
			}
		}
		t.Stop()
		pause = min(2*pause, lastPause)
	}
	return stopping
}

// writeTime bounds one batch.
const writeTime = 10 * time.Second

// put writes one batch in a transaction.
func (j *Journal) put(all []Entry) error {
	if h := j.cfg.Write; h != nil {
		if err := h(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	counts, docs := tallied(all)
	return j.update(ctx, func(ctx context.Context, c *engine.Conn) error {
		for _, d := range docs {
			if err := d.save(ctx, c, d.day); err != nil {
				return err
			}
		}
		for _, t := range counts {
			_, err := c.Exec(ctx, `INSERT INTO tallies (day, applied, kind, n) VALUES ($1, $2, $3, $4)
				ON CONFLICT (day, applied, kind) DO UPDATE SET n = tallies.n + excluded.n`, t.day, t.applied, int64(t.kind), t.n)
			if err != nil {
				return err
			}
		}
		if j.db.Postgres() {
			return insertMany(ctx, c, all)
		}
		for i := range all {
			if err := insert(ctx, c, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

type tally struct {
	day, applied int64
	kind         Kind
	n            int64
}

type seen struct {
	*Applied
	day int64
}

// tallied counts a batch, in an order that is the same on every node: two that
// write at once never wait for each other in a circle.
func tallied(all []Entry) (counts []tally, docs []seen) {
	for i := range all {
		e := &all[i]
		if e.Applied == nil {
			continue
		}
		t := tally{day: dayOf(e.At), applied: e.Applied.id, kind: e.Kind, n: 1}
		i := slices.IndexFunc(counts, func(x tally) bool { return x.day == t.day && x.applied == t.applied && x.kind == t.kind })
		if i >= 0 {
			counts[i].n++
		} else {
			counts = append(counts, t)
		}
		i = slices.IndexFunc(docs, func(x seen) bool { return x.id == e.Applied.id })
		if i < 0 {
			docs = append(docs, seen{e.Applied, t.day})
		} else {
			docs[i].day = max(docs[i].day, t.day)
		}
	}
	slices.SortFunc(counts, func(a, b tally) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.applied, b.applied), cmp.Compare(a.kind, b.kind))
	})
	slices.SortFunc(docs, func(a, b seen) int { return cmp.Compare(a.id, b.id) })
	return counts, docs
}

// save writes what policies did, unless it is there. That it was seen is what the
// sweeper goes by: it is touched in the transaction that counts it.
func (a *Applied) save(ctx context.Context, c *engine.Conn, day int64) error {
	n, err := c.Exec(ctx, `UPDATE applied SET seen = $1 WHERE id = $2 AND seen < $1`, day, a.id)
	if err != nil || n > 0 {
		return err
	}
	n, err = c.Exec(ctx, `INSERT INTO applied (id, seen, doc) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, a.id, day, a.doc)
	if err != nil || n == 0 {
		return err
	}
	for _, p := range a.Policies {
		_, err := c.Exec(ctx, `INSERT INTO applied_policies (policy, applied, outcome) VALUES ($1, $2, $3) ON CONFLICT (policy, applied) DO NOTHING`, p.ID, a.id, string(p.Outcome))
		if err != nil {
			return err
		}
	}
	return nil
}

const columns = `id, kind, flow, user_id, user_name, display_name, app_id, app_name, resource, resource_name, ip, country, city, program, agent, request,
	error, reason, status, applied, device_id, device, signin_risk, user_risk, session_id, grant_id, token, methods, missing`

// blob is an id as a column value; the zero id is NULL.
func blob[Of any](id directory.ID[Of]) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// number is the id of what the policies did; 0: none was asked.
func (a *Applied) number() int64 {
	if a == nil {
		return 0
	}
	return a.id
}

// told packs what is told of a device.
func (e *Entry) told() int64 { return int64(e.Compliant) | int64(e.Trust)<<2 }

func (e *Entry) setTold(n int64) {
	e.Compliant, e.Trust = policy.Tri(n&3), policy.Trust(n>>2)
}

// insertOne has its places without numbers: for SQLite those are names, and the
// driver asks for each name in turn.
var insertOne = `INSERT INTO signins (` + columns + `) VALUES (?` + strings.Repeat(", ?", strings.Count(columns, ",")) + `)`

func insert(ctx context.Context, c *engine.Conn, e *Entry) error {
	_, err := c.Exec(ctx, insertOne,
		e.ID[:], int64(e.Kind), e.Flow, blob(e.User), e.UserName, e.Display, string(e.App), e.AppName, string(e.Resource), e.ResourceName, e.IP, e.Country, e.City, int64(e.Program), e.Agent, e.Request,
		int64(e.Error), e.Reason, int64(e.Status()), e.Applied.number(), blob(e.Device), e.told(), int64(e.SignInRisk), int64(e.UserRisk), blob(e.Session), blob(e.Grant), e.Token, strings.Join(e.Methods, " "), e.Missing)
	return err
}

// insertMany is insert in one statement (PostgreSQL).
func insertMany(ctx context.Context, c *engine.Conn, all []Entry) error {
	n := len(all)
	text := func(of func(*Entry) string) []string {
		out := make([]string, n)
		for i := range all {
			// A zero byte is text nowhere; what came in from outside may hold one.
			out[i] = strings.ToValidUTF8(strings.ReplaceAll(of(&all[i]), "\x00", ""), "\uFFFD")
		}
		return out
	}
	num := func(of func(*Entry) int64) []int64 {
		out := make([]int64, n)
		for i := range all {
			out[i] = of(&all[i])
		}
		return out
	}
	bin := func(of func(*Entry) []byte) [][]byte {
		out := make([][]byte, n)
		for i := range all {
			out[i] = of(&all[i])
		}
		return out
	}
	_, err := c.Exec(ctx, `INSERT INTO signins (`+columns+`)
		SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
		$14::smallint[], $15::text[], $16::text[], $17::bigint[], $18::text[], $19::smallint[], $20::bigint[], $21::bytea[], $22::smallint[], $23::smallint[], $24::smallint[], $25::bytea[], $26::bytea[],
		$27::text[], $28::text[], $29::bigint[])`,
		bin(func(e *Entry) []byte { return e.ID[:] }), num(func(e *Entry) int64 { return int64(e.Kind) }), text(func(e *Entry) string { return e.Flow }), bin(func(e *Entry) []byte { return blob(e.User) }),
		text(func(e *Entry) string { return e.UserName }), text(func(e *Entry) string { return e.Display }), text(func(e *Entry) string { return string(e.App) }), text(func(e *Entry) string { return e.AppName }),
		text(func(e *Entry) string { return string(e.Resource) }), text(func(e *Entry) string { return e.ResourceName }), text(func(e *Entry) string { return e.IP }), text(func(e *Entry) string { return e.Country }),
		text(func(e *Entry) string { return e.City }), num(func(e *Entry) int64 { return int64(e.Program) }), text(func(e *Entry) string { return e.Agent }), text(func(e *Entry) string { return e.Request }),
		num(func(e *Entry) int64 { return int64(e.Error) }), text(func(e *Entry) string { return e.Reason }), num(func(e *Entry) int64 { return int64(e.Status()) }), num(func(e *Entry) int64 { return e.Applied.number() }),
		bin(func(e *Entry) []byte { return blob(e.Device) }), num((*Entry).told), num(func(e *Entry) int64 { return int64(e.SignInRisk) }), num(func(e *Entry) int64 { return int64(e.UserRisk) }),
		bin(func(e *Entry) []byte { return blob(e.Session) }), bin(func(e *Entry) []byte { return blob(e.Grant) }), text(func(e *Entry) string { return e.Token }),
		text(func(e *Entry) string { return strings.Join(e.Methods, " ") }), num(func(e *Entry) int64 { return e.Missing }))
	return err
}

// dayOf is the day of an instant, in UTC, as days since 1970.
func dayOf(t time.Time) int64 { return t.Unix() / 86400 }
