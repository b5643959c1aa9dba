package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store/engine"
)

// load reads the merged cutoffs into the view, at start.
func (db *DB) load(ctx context.Context) error {
	return db.Read(ctx, func(tx *Tx) error {
		set, pos, mark, err := tx.merged()
		if err == nil {
			db.view.reset(set, pos, mark)
		}
		return err
	})
}

// merged reads everything that is cut, and up to where. The head is read first:
// what is committed while this runs is merged twice, which does no harm, and is
// never missed.
func (tx *Tx) merged() (set cutoff.Set, pos cutoff.Pos, mark Mark, err error) {
	if pos, mark, err = tx.headMark(); err != nil {
		return set, pos, mark, err
	}
	err = tx.eachCutoff(0, func(c cutoff.Cutoff, p cutoff.Pos) {
		set.Merge(cutoff.Line{Pos: p, Cuts: []cutoff.Cutoff{c}})
	})
	return set, pos, mark, err
}

func (tx *Tx) headMark() (pos cutoff.Pos, mark Mark, err error) {
	var m []byte
	err = tx.row(`SELECT pos, mark FROM head WHERE id = 1`).Scan(&pos, &m)
	copy(mark[:], m)
	return pos, mark, err
}

func (tx *Tx) eachCutoff(above cutoff.Pos, f func(cutoff.Cutoff, cutoff.Pos)) error {
	return tx.each(`SELECT scope, id, reach, pos FROM cutoffs WHERE pos > $1`, func(r scanner) error {
		var c cutoff.Cutoff
		var p cutoff.Pos
		if err := r.Scan(&c.Scope, &c.ID, &c.Reach, &p); err != nil {
			return err
		}
		f(c, p)
		return nil
	}, int64(above))
}

// Snapshot calls f for every merged cutoff above floor and returns the head as
// it stood before: everything up to it is contained, maybe more.
func (db *DB) Snapshot(ctx context.Context, floor cutoff.Pos, f func(cutoff.Cutoff, cutoff.Pos)) (head cutoff.Pos, mark Mark, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		if head, mark, err = tx.headMark(); err != nil {
			return err
		}
		return tx.eachCutoff(floor, f)
	})
	return head, mark, err
}

// Floor returns the head as it stood one longest life ever handed out, and an
// hour, ago. No access token that is still valid was born before it.
func (db *DB) Floor(ctx context.Context) (floor cutoff.Pos, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		longest, err := tx.LongestLife()
		if err != nil {
			return err
		}
		// Clocks of several nodes wrote these instants; the hour is for them.
		return tx.row(`SELECT COALESCE(MAX(pos), 0) FROM ledger WHERE at < $1`, micros(tx.Now.Add(-longest-time.Hour))).Scan(&floor)
	})
	return floor, err
}

// LongestLife is the longest life an access token was ever given here.
func (tx *Tx) LongestLife() (time.Duration, error) {
	var us int64
	err := tx.row(`SELECT longest_life FROM directory WHERE id = 1`).Scan(&us)
	return time.Duration(us) * time.Microsecond, err
}

// errLost: this node remembers a line that the ledger does not have. Until an
// era has answered that, nobody knows what else is missing: doubt closes.
var errLost = fault.New(fault.Unavailable, "The database does not have what this node remembers. Ask again in a moment.")

// catchUp reads the lines after the view's position from the primary.
func (db *DB) catchUp(ctx context.Context) error {
	if !db.Postgres() {
		return nil // the one writer has merged every line before it answered
	}
	pos, mark := db.view.Head() // before the primary's head: that can only be further
	return db.read(ctx, engine.Followers, func(tx *Tx) error {
		switch {
		case pos == tx.Head && mark == tx.mark:
			return nil
		case pos > tx.Head:
			db.doubt.Store(true)
			return errLost
		}
		for first := true; first || pos < tx.Head; first = false {
			lines, err := tx.linesSince(pos, mark, 1000)
			switch {
			case err == errLost && tx.era >= pos: // the loss was answered already
				err = db.reload(tx, pos, mark)
			case err == nil:
				db.view.advance(lines)
			}
			if err != nil {
				return err
			}
			pos, mark = db.view.Head() // others may have gone further
			if err := db.mark.write(pos, mark); err != nil {
				return err
			}
		}
		return nil
	})
}

// reload replaces a view that ends at a line of a lost history. The era line has
// cut everything that its lines could have cut.
func (db *DB) reload(tx *Tx, pos cutoff.Pos, mark Mark) error {
	set, head, headMark, err := tx.merged()
	if err == nil {
		db.view.replace(pos, mark, set, head, headMark)
	}
	return err
}

// linesSince reads the lines after the one at pos, which must be there with that
// mark: errLost when it is not. limit 0 is all.
func (tx *Tx) linesSince(pos cutoff.Pos, mark Mark, limit int) ([]LineAt, error) {
	lines, err := tx.linesAfter(pos-1, limit)
	if err != nil {
		return nil, err
	}
	if pos > 0 {
		if len(lines) == 0 || lines[0].Pos != pos || lines[0].Mark != mark {
			tx.db.doubt.Store(true)
			return nil, errLost
		}
		lines = lines[1:]
	}
	for i := range lines {
		if lines[i].prev = pos; i > 0 {
			lines[i].prev = lines[i-1].Pos
		}
	}
	return lines, nil
}

// testifyOwn presents this node's own memory as a witness when a read of the
// primary did not find it there.
func (db *DB) testifyOwn(ctx context.Context) {
	if !db.doubt.Swap(false) {
		return
	}
	pos, mark := db.view.Head()
	began, err := db.Testify(ctx, Witness{Pos: pos, Mark: mark})
	if err != nil {
		db.doubt.Store(true)
	}
	db.cfg.Log.Error("the primary does not have what this node remembers", "pos", pos, "era", began, "error", err)
}

// Fresh returns when the view contains everything that was committed on the
// primary before the call. Callers that arrive together share one read.
func (db *DB) Fresh(ctx context.Context) error {
	if !db.Postgres() {
		return nil
	}
	return db.fresh.do(ctx, db.catchUp)
}

// fresher lets callers share a read that began after each of them arrived.
type fresher struct {
	mu      sync.Mutex
	next    *read // guarded by mu: the read that has not begun yet
	running bool  // guarded by mu
}

type read struct {
	done chan struct{}
	err  error
}

func (f *fresher) do(ctx context.Context, catchUp func(context.Context) error) error {
	f.mu.Lock()
	if f.next == nil {
		f.next = &read{done: make(chan struct{})}
	}
	r, lead := f.next, !f.running
	f.running = true
	f.mu.Unlock()
	if lead {
		go f.lead(catchUp) // ends by itself when nobody waits any more
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fresher) lead(catchUp func(context.Context) error) {
	for {
		f.mu.Lock()
		r := f.next
		f.next = nil
		f.running = r != nil
		f.mu.Unlock()
		if r == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		r.err = catchUp(ctx)
		cancel()
		close(r.done)
	}
}

// follow listens for the bell and polls as the floor: notifications are lost on
// reconnect, and some compatible databases have none.
func (db *DB) follow(ctx context.Context) {
	bell := make(chan struct{}, 1)
	db.done.Go(func() { db.listen(ctx, bell) })
	tick := time.NewTicker(db.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-bell:
		case <-tick.C:
		}
		if err := db.Fresh(ctx); err != nil && ctx.Err() == nil {
			db.cfg.Log.Warn("the ledger could not be read", "error", err)
		}
		db.testifyOwn(ctx)
	}
}

func (db *DB) listen(ctx context.Context, bell chan<- struct{}) {
	for ctx.Err() == nil {
		err := engine.Listen(ctx, db.cfg.URL, "curfew_ledger", bell)
		if ctx.Err() != nil {
			return
		}
		db.cfg.Log.Warn("notifications interrupted, polling goes on", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// beat commits this node's heartbeat and then reads the head. A deposed primary
// goes on answering reads but cannot commit to its synchronous standby.
func (db *DB) beat(ctx context.Context) error {
	start := db.cfg.Now()
	err := db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(`INSERT INTO nodes (id, beat) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET beat = excluded.beat`, db.node[:], micros(start))
		return err
	})
	if err != nil {
		return err
	}
	if err := db.catchUp(ctx); err != nil {
		return err
	}
	db.beatAt.Store(&start)
	return nil
}

func (db *DB) heartbeats(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		c, cancel := context.WithTimeout(ctx, 5*time.Second)
		if err := db.beat(c); err != nil && !errors.Is(err, context.Canceled) {
			db.cfg.Log.Warn("heartbeat not committed; this node's view is aging", "error", err, "age", db.Age())
		}
		cancel()
	}
}

// Age is how old this node's view may be: on SQLite nothing, on PostgreSQL the
// time since the start of the last committed heartbeat, by the larger of the
// monotonic and the wall clock (a suspended machine's monotonic clock stands
// still).
func (db *DB) Age() time.Duration {
	if !db.Postgres() {
		return 0
	}
	at := db.beatAt.Load()
	if at == nil {
		return time.Duration(1<<62 - 1)
	}
	now := db.cfg.Now()
	return max(now.Sub(*at), now.Round(0).Sub(at.Round(0)), 0)
}
