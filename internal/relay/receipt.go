package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Title is how a receipt is headed.
type Title string

// The titles.
const (
	TitleCut         Title = "cut"         // done; something is left
	TitleUnconfirmed Title = "unconfirmed" // done; no guard has confirmed yet
	TitleOver        Title = "over"        // nothing is left
)

// ReceiptView is a receipt as it stands now.
type ReceiptView struct {
	ID     string
	Pos    cutoff.Pos
	At     time.Time // of the cut
	Now    time.Time // of this view
	Cause  string
	Actor  audit.Party
	Target audit.Party
	About  directory.UserID // whom it is about; zero: nobody alone, or in a list
	Reason string
	Cuts   []cutoff.Cutoff
	Kept   bool // the actor's own session was spared
	// Counted: what was still out there is known. Until then nothing is complete.
	Counted          bool
	Sessions, Grants int // ended
	Tokens           int // access tokens outstanding at the cut

	Title Title
	// Guards had to confirm; Confirmed did. A guard that closed by itself is never
	// among the confirmed; one that said goodbye instead is in neither.
	Guards, Confirmed int
	Complete          bool          // every guard that had to has confirmed
	Slowest           time.Duration // of the confirmations; zero: none
	OverSince         time.Time     // when the last thing ended; zero: something is left
	// OverAt is when the last thing will have ended, as far as known now, a
	// verifier's leeway included; zero: over, or not known.
	OverAt time.Time
	Rows   []Row // in order: curfew, guards, unguarded resources, unknown
	Left   []Row // those of Rows that are waiting, closing or living
}

// Row is one place where access is checked.
type Row struct {
	State    State
	Where    string // the guard's name, "curfew", or empty for nobody
	Process  string
	Resource directory.ResourceID
	App      directory.AppID // of an unknown place
	Protects string          // the resource's name, or what of an app is unknown
	Tokens   int             // access tokens there at the cut
	// At is when it confirmed, closed, left or ended, or will.
	At time.Time
	// Latest is At with a verifier's leeway, of what ends by expiry.
	Latest time.Time
	// Bound: it happened at At at the latest; the instant itself is not known.
	Bound       bool
	After       time.Duration // from the cut to At; of a waiting guard, so far
	SilentSince time.Time
	Ledger      cutoff.Pos // acknowledged by the guard
	Why         string
}

// maxUnknown bounds the applications listed as unknown.
const maxUnknown = 50

// Receipt returns a receipt as it stands. People may read those about themselves.
// Kinds: Denied, NotFound, Unavailable.
func (s *Service) Receipt(ctx context.Context, actor directory.Actor, id string) (v *ReceiptView, err error) {
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		r, err := tx.Receipt(id)
		if errors.Is(err, store.ErrNotFound) {
			// Who may not read receipts does not learn which exist.
			if err := role.Allowed(actor, role.ReadReceipts, role.Target{}).Err(""); err != nil {
				return err
			}
			return fault.New(fault.NotFound, "There is no such receipt.")
		}
		if err != nil {
			return err
		}
		about, err := aboutWhom(tx, r)
		if err != nil {
			return err
		}
		if err := role.Allowed(actor, role.ReadReceipts, role.Target{ID: about}).Err(r.Target.Name); err != nil {
			return err
		}
		v, err = s.view(tx, sc, r, about)
		return err
	})
	return v, err
}

// Receipts lists receipts, the newest first, before a position (0: from the
// newest), at most limit; target, when not empty, is the id they are about.
// Kinds: Denied, Invalid, Unavailable.
func (s *Service) Receipts(ctx context.Context, actor directory.Actor, target string, before cutoff.Pos, limit int) (all []*ReceiptView, err error) {
	t := role.Target{}
	if id, err := directory.ParseID[directory.User](target); err == nil {
		t.ID = id
	}
	if err := role.Allowed(actor, role.ReadReceipts, t).Err(""); err != nil {
		return nil, err
	}
	if err := page(int64(before), limit); err != nil {
		return nil, err
	}
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		all = nil
		receipts, err := tx.Receipts(target, before, limit)
		if err != nil {
			return err
		}
		for _, r := range receipts {
			v, err := s.view(tx, sc, r, directory.UserID{}) // a list names no unknown places
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return nil
	})
	return all, err
}

// aboutWhom is the person a receipt is about; zero when it is about nobody alone.
func aboutWhom(tx *store.Tx, r *store.Receipt) (who directory.UserID, err error) {
	switch r.Target.Kind { // an id that cannot be read is nobody's
	case "user", "user_app":
		user, _, _ := strings.Cut(r.Target.ID, ":")
		who, _ = directory.ParseID[directory.User](user)
	case "device": // deleted or not
		who, _ = directory.ParseID[directory.User](r.Whose)
	case "session":
		id, _ := directory.ParseID[directory.Session](r.Target.ID)
		x, xerr := tx.Session(id)
		if err = xerr; err == nil {
			who = x.User
		}
	case "grant":
		id, _ := directory.ParseID[directory.Grant](r.Target.ID)
		g, gerr := tx.Grant(id)
		if err = gerr; err == nil {
			who = g.User
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return who, err
}

// view makes the receipt of what is known now. about is zero in lists.
func (s *Service) view(tx *store.Tx, sc *scene, r *store.Receipt, about directory.UserID) (*ReceiptView, error) {
	v := &ReceiptView{ID: r.ID, Pos: r.Pos, At: r.At, Now: sc.now, Cause: string(r.Cause), Actor: r.Actor, Target: r.Target, About: about, Reason: r.Reason, Cuts: r.Cuts, Kept: r.Kept}
	v.Rows = append(v.Rows, Row{State: Ended, Where: "curfew", At: r.At, Ledger: r.Pos})
	if len(r.Cuts) == 0 {
		v.Counted, v.Complete, v.Title, v.OverSince = true, true, TitleOver, r.At
		return v, nil
	}
	if r.Rest == nil {
		v.Title = TitleUnconfirmed
		v.Left = append(v.Left, Row{State: Unknown, Why: "What is still out there is being counted."})
		v.Rows = append(v.Rows, v.Left...)
		return v, nil
	}
	v.Counted, v.Sessions, v.Grants = true, r.Rest.Sessions, r.Rest.Grants
	tokens := map[directory.ResourceID]int{}
	for _, t := range r.Rest.Tokens {
		v.Tokens += t.Count
		tokens[t.Resource] += t.Count
	}
	confirmed, err := s.confirmations(tx, r.Pos)
	if err != nil {
		return nil, err
	}
	guarded := map[directory.ResourceID]bool{}
	for _, id := range r.Rest.Guards {
		g := sc.guards[id]
		if g == nil || !g.existed(r.At) {
			continue // forgotten before the cut
		}
		v.Rows = append(v.Rows, sc.guardRow(g, r, confirmed[id], tokens[g.Resource]))
		guarded[g.Resource] = guarded[g.Resource] || g.Gone.IsZero()
	}
	for _, g := range sc.guards {
		// Guards that came later, where those of the cut have all left: the tokens
		// there are their business now. A cut of very many counts no tokens.
		if (tokens[g.Resource] > 0 || r.Rest.More > 0) && !guarded[g.Resource] && g.counts(sc.now) {
			v.Rows = append(v.Rows, sc.guardRow(g, r, confirmed[g.ID], tokens[g.Resource]))
		}
	}
	slices.SortFunc(v.Rows[1:], func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Protects, b.Protects), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Process, b.Process))
	})
	v.Rows = append(v.Rows, sc.unguarded(r)...)
	v.sum()
	if !about.IsZero() {
		unknown, err := sc.unknown(tx, r, about)
		if err != nil {
			return nil, err
		}
		v.Rows = append(v.Rows, unknown...)
	}
	return v, nil
}

// confirmations merges what the database and this node know; the first of each
// process stays.
func (s *Service) confirmations(tx *store.Tx, pos cutoff.Pos) (map[ProcessID]time.Time, error) {
	all, err := tx.Confirmations(pos)
	if err != nil {
		return nil, err
	}
	first := map[ProcessID]time.Time{}
	for _, c := range append(all, s.register.heardOf(pos)...) {
		if at, ok := first[c.Process]; !ok || c.At.Before(at) {
			first[c.Process] = c.At
		}
	}
	return first, nil
}

// guardRow is what one guard process made of the cut.
func (sc *scene) guardRow(g *guardNow, r *store.Receipt, confirmed time.Time, tokens int) Row {
	row := Row{Where: g.Name, Process: g.ID.String(), Resource: g.Resource, Protects: sc.resourceName(g.Resource), Tokens: tokens, Ledger: g.Acked}
	switch {
	case !confirmed.IsZero():
		row.State, row.At = Confirmed, confirmed
	case g.Acked >= r.Pos:
		// It took the line in with a snapshot, or the exact instant was lost with
		// the node that heard it.
		row.State, row.At, row.Bound = Confirmed, g.ackedAt, true
		if row.At.IsZero() {
			row.At = g.Answered
		}
	case !g.Gone.IsZero():
		row.State, row.At, row.Why = Gone, g.Gone, "It said goodbye and serves nobody."
	case g.connected(sc.now):
		row.State, row.At = Waiting, g.closes()
	case sc.now.Before(g.closes()):
		row.State, row.At, row.SilentSince = Closes, g.closes(), g.Answered
	default:
		row.State, row.At, row.SilentSince = Closed, g.closes(), g.Answered
		row.Why = "By its own limit it refuses everything; it has not said so."
	}
	if row.State == Confirmed {
		row.After = max(0, row.At.Sub(r.At))
	}
	if row.State == Waiting {
		row.After = max(0, sc.now.Sub(r.At))
	}
	return row
}

// unguarded lists, for each resource without a guard, when its tokens end. A
// resource whose guards have all left or are forgotten is one of them.
func (sc *scene) unguarded(r *store.Receipt) (rows []Row) {
	lives := func(row Row, expires time.Time) Row {
		row.State, row.At, row.Latest = Lives, expires, expires.Add(Leeway)
		row.Why = "No guard. Nothing can end it sooner; a verifier may allow 5 minutes more."
		if !sc.now.Before(row.Latest) {
			row.State, row.At, row.Why = Over, row.Latest, ""
		}
		return row
	}
	at := map[directory.ResourceID]int{}
	for _, t := range r.Rest.Tokens {
		if t.Resource == directory.OwnAPI || sc.cover(t.Resource).guards > 0 { // our own is judged here
			continue
		}
		i, ok := at[t.Resource]
		if !ok {
			i = len(rows)
			at[t.Resource] = i
			rows = append(rows, Row{Resource: t.Resource, Protects: sc.resourceName(t.Resource)})
		}
		rows[i].Tokens += t.Count
		if t.Expires.After(rows[i].At) {
			rows[i].At = t.Expires
		}
	}
	for i := range rows {
		rows[i] = lives(rows[i], rows[i].At)
	}
	if r.Rest.More > 0 {
		// Which resources the others are for was not looked up: each resource
		// without a guard may have some, until the last of them must have ended.
		for id := range sc.resources {
			if _, ok := at[id]; !ok && sc.cover(id).guards == 0 {
				rows = append(rows, lives(Row{Resource: id, Protects: sc.resourceName(id), Bound: true}, r.Rest.Last))
			} else if ok && rows[at[id]].At.Before(r.Rest.Last) {
				row := rows[at[id]]
				row.Bound = true
				rows[at[id]] = lives(row, r.Rest.Last)
			}
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Protects, b.Protects)) })
	return rows
}

// unknown lists the applications that may keep a session of their own.
func (sc *scene) unknown(tx *store.Tx, r *store.Receipt, about directory.UserID) (rows []Row, err error) {
	var apps []directory.AppID
	for _, t := range r.Rest.Tokens {
		apps = append(apps, t.App)
	}
	grants, err := tx.Grants(about, 1000)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if g.Created.Before(r.At) {
			apps = append(apps, g.App)
		}
	}
	slices.Sort(apps)
	apps = slices.Compact(apps)
	for i, a := range apps {
		if i == maxUnknown {
			rows = append(rows, Row{State: Unknown, Protects: fmt.Sprintf("%d more applications", len(apps)-i), Why: ownSession})
			break
		}
		rows = append(rows, Row{State: Unknown, App: a, Protects: sc.appName(a), Why: ownSession})
	}
	return rows, nil
}

const ownSession = "The application may keep a session of its own. It was not told, and we cannot see it."

// sum counts the rows.
func (v *ReceiptView) sum() {
	over := v.At
	for _, row := range v.Rows {
		switch row.State {
		case Confirmed:
			v.Guards++
			v.Confirmed++
			if !row.Bound {
				v.Slowest = max(v.Slowest, row.After)
			}
		case Waiting, Closes:
			v.Guards++
			v.Left = append(v.Left, row)
		case Closed:
			v.Guards++
		case Lives:
			v.Left = append(v.Left, row)
		}
		if row.State != Unknown && row.At.After(over) {
			over = row.At
		}
		if row.Latest.After(over) {
			over = row.Latest
		}
	}
	v.Complete = v.Confirmed == v.Guards
	switch {
	case len(v.Left) == 0:
		v.Title, v.OverSince = TitleOver, over
	case v.Guards > 0 && v.Confirmed == 0:
		v.Title, v.OverAt = TitleUnconfirmed, over
	default:
		v.Title, v.OverAt = TitleCut, over
	}
}
