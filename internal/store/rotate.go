package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store/engine"
)

// Refresh is everything one use of a refresh token is judged by, read after the
// head of the same transaction.
type Refresh struct {
	Tx    *Tx // to read more, while it is judged
	Head  cutoff.Pos
	Grant *grant.Grant
	User  *directory.User
	App   *directory.App // shared with other readers: do not change
	Cuts  []standing.Cut // that cover the grant and lie after its birth
	Held  directory.Held
	Above Above // what the grant was made from
	// Policies are those of the same transaction; Groups those of the user's that
	// they name.
	Policies *policy.Set
	Groups   []directory.GroupID
	// Unassigned: the application lets only people in who are assigned to it.
	Unassigned bool

	direct, member bool // the user holds a role, is in a group
}

// use is one waiting refresh.
type use struct {
	id    directory.GrantID
	judge func(*Refresh) error
	facts *Refresh
	wrote bool
	err   error
	done  chan struct{}
}

// Rotate reads what the grant is judged by and lets judge change
// facts.Grant.State; when judge returns nil the state is written, and only the
// state. Many waiting calls share one commit. Rotate returns when the write is
// durable and, after that, the cutoffs were looked at a last time: ErrOvertaken
// when something covers the grant by then, or a policy has changed, and nothing may
// be handed out.
// Judge's own error is returned as it is and nothing is written.
// ErrNotFound when the grant or its application is not there.
func (db *DB) Rotate(ctx context.Context, id directory.GrantID, judge func(*Refresh) error) (*Refresh, error) {
	u := &use{id: id, judge: judge, done: make(chan struct{})}
	select {
	case db.batch.in <- u:
	case <-db.batch.over:
		return nil, engine.ErrClosed
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	select {
	case <-u.done: // the outcome is waited for, whatever ctx says: it may have been written
	case <-db.batch.over:
		db.batch.drain() // nobody else may come to take it
		<-u.done
	}
	if u.err != nil {
		return nil, u.err
	}
	o := u.facts.Grant.Owner()
	if db.view.Dead(&o, u.facts.Head, cutoff.Token) || db.view.Ruled(u.facts.Head) {
		return nil, ErrOvertaken
	}
	return u.facts, nil
}

// batcher gathers refreshes that wait into groups that share a commit.
type batcher struct {
	db    *DB
	in    chan *use
	slots chan struct{} // how many groups are written side by side
	over  chan struct{} // closed when nothing is taken into a group any more
}

const maxBatch = 64

func newBatcher(db *DB) *batcher {
	n := 1 // SQLite has one writer
	if db.Postgres() {
		n = 3
	}
	return &batcher{db: db, in: make(chan *use, maxBatch), slots: make(chan struct{}, n), over: make(chan struct{})}
}

func (b *batcher) run(ctx context.Context) {
	var carry []*use // those whose grant is in the group being gathered
	for {
		group := carry
		carry = nil
		if len(group) == 0 {
			select {
			case u := <-b.in:
				group = append(group, u)
			case <-ctx.Done():
				close(b.over)
				b.drain()
				return
			}
		}
		b.slots <- struct{}{} // while groups are being written, more wait here and join the next
	gather:
		for len(group) < maxBatch {
			select {
			case u := <-b.in:
				group = append(group, u)
			default:
				break gather
			}
		}
		group, carry = distinct(group)
		b.db.done.Go(func() {
			defer func() { <-b.slots }()
			b.write(group)
			for _, u := range group {
				close(u.done)
			}
		})
	}
}

// drain answers whoever came too late.
func (b *batcher) drain() {
	for {
		select {
		case u := <-b.in:
			u.err = engine.ErrClosed
			close(u.done)
		default:
			return
		}
	}
}

// distinct keeps the first use of each grant and returns the others for the
// next group: two requests for one grant never share a statement.
func distinct(group []*use) (first, rest []*use) {
	seen := make(map[directory.GrantID]bool, len(group))
	for _, u := range group {
		if seen[u.id] {
			rest = append(rest, u)
			continue
		}
		seen[u.id] = true
		first = append(first, u)
	}
	slices.SortFunc(first, func(a, b *use) int { return bytes.Compare(a.id[:], b.id[:]) }) // the lock order
	return first, rest
}

// write judges and writes one group.
func (b *batcher) write(group []*use) {
	ctx, cancel := context.WithTimeout(context.Background(), engine.CommitTimeout)
	defer cancel()
	err := b.db.Update(ctx, func(tx *Tx) error {
		for _, u := range group {
			u.facts, u.err, u.wrote = nil, nil, false
		}
		if err := tx.readUses(group); err != nil {
			return err
		}
		for _, u := range group {
			if u.err == nil && u.facts == nil {
				u.err = ErrNotFound
			}
			if u.err == nil {
				u.err = judge(u)
			}
			u.wrote = u.err == nil
		}
		return tx.writeUses(group)
	})
	if h := b.db.cfg.Hooks.AfterRotate; h != nil {
		h()
	}
	if err == nil {
		err = b.db.Fresh(ctx) // the last look is at what was committed before ours
	}
	if err == nil {
		return
	}
	for _, u := range group {
		if u.wrote || u.err == nil { // a refusal stands even when the others could not be written
			u.err = err
			if fault.KindOf(err) == fault.Internal {
				u.err = unavailable(err)
			}
		}
	}
}

// judge runs the caller's judgement; a panic in it fails that use alone.
func judge(u *use) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while judging a refresh: %v", p)
		}
	}()
	return u.judge(u.facts)
}

const useQuery = `SELECT ` + grantColumns + `, ` + userColumns + `, a.id, a.object_id, a.principal, a.enabled, a.version, a.doc,
	EXISTS (SELECT 1 FROM role_assignments r WHERE r.user_id = g.user_id), EXISTS (SELECT 1 FROM group_members m WHERE m.user_id = g.user_id)
	FROM grants g JOIN users u ON u.id = g.user_id JOIN apps a ON a.id = g.app_id WHERE g.id `

// readUses reads the facts of a group: one statement on PostgreSQL, a prepared
// one for each on SQLite.
func (tx *Tx) readUses(group []*use) error {
	if !tx.db.Postgres() {
		for _, u := range group {
			err := tx.readUse(tx.row(useQuery+`= $1`, u.id[:]), group)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	} else {
		ids := make([][]byte, len(group))
		for i, u := range group {
			ids[i] = u.id[:]
		}
		if err := tx.each(useQuery+`= ANY ($1) ORDER BY g.id FOR UPDATE OF g`, func(r scanner) error { return tx.readUse(r, group) }, ids); err != nil {
			return err
		}
	}
	rules, unread := tx.Policies()
	if rules == nil {
		return unread
	}
	named := rules.Groups()
	for _, u := range group {
		if u.facts == nil || u.err != nil {
			continue
		}
		g := u.facts.Grant
		if u.facts.Policies = rules; unread != nil && !rules.Spares(g.User) {
			u.err = unread
			continue
		}
		var err error
		if u.facts.Cuts, err = tx.CutsAfter(g.Belongs(), cutoff.Token, g.Born); err != nil {
			return err
		}
		if u.facts.Above, u.err = tx.Above(g, u.facts.User); u.err != nil { // an unreadable one fails alone
			continue
		}
		if u.facts.direct || u.facts.member {
			if u.facts.Held, u.facts.Groups, err = tx.holds(g.User, named, u.facts.direct); err != nil {
				return err
			}
		}
		if u.facts.Unassigned, err = tx.Unassigned(u.facts.App, g.User); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) readUse(r scanner, group []*use) error {
	f := &Refresh{Tx: tx, Head: tx.Head, User: &directory.User{}}
	row := &grantRow{g: &grant.Grant{}}
	dest, userDone := userDest(f.User)
	app := &appRow{}
	if err := r.Scan(slices.Concat(row.dest(), dest, app.dest(), []any{&f.direct, &f.member})...); err != nil {
		return found(err)
	}
	userDone()
	i, ok := slices.BinarySearchFunc(group, row.g.ID, func(u *use, id directory.GrantID) int { return bytes.Compare(u.id[:], id[:]) })
	if !ok {
		return fmt.Errorf("grant %s was not asked for", row.g.ID)
	}
	u := group[i]
	u.facts, f.Grant = f, row.g
	if u.err = row.done(); u.err == nil { // an unreadable one fails alone
		f.App, u.err = tx.db.apps.get(app)
	}
	return nil
}

// writeUses completes and writes the states of those judged good.
func (tx *Tx) writeUses(group []*use) error {
	var ids [][]byte
	var gens, used []int64
	var states []string
	for _, u := range group {
		if !u.wrote {
			continue
		}
		g := u.facts.Grant
		ids, gens, used, states = append(ids, g.ID[:]), append(gens, g.State.Generation), append(used, micros(g.LastUsed)), append(states, g.State.Format())
	}
	if len(ids) == 0 {
		return nil
	}
	if tx.db.Postgres() {
		n, err := tx.exec(`UPDATE grants SET last_used = v.used, generation = v.gen, state = v.state
			FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::text[]) AS v (id, gen, used, state) WHERE grants.id = v.id`, ids, gens, used, states)
		if err != nil {
			return err
		}
		return exactly(n, int64(len(ids)), "grants")
	}
	for i := range ids {
		n, err := tx.exec(`UPDATE grants SET last_used = $1, generation = $2, state = $3 WHERE id = $4`, used[i], gens[i], states[i], ids[i])
		if err == nil {
			err = exactly(n, 1, "grants")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
