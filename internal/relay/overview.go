package relay

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Overview is the state of the whole directory's enforcement.
type Overview struct {
	Now  time.Time
	Head cutoff.Pos
	Age  time.Duration // how old this node's view may be
	// Cutoffs is how many are held.
	Cutoffs int
	// Guards is every process that counts; Answering are connected.
	Guards, Answering int
	// Rungs are the resources by how long revoking somebody there takes at worst,
	// the longest last.
	Rungs []Rung
	// Worst is the bound of the last rung, Without that of the one before it.
	Worst, Without time.Duration
	WorstResource  directory.ResourceID // empty: there is no resource
	Silent         []GuardView          // guards that do not answer
	Latest         []*ReceiptView       // receipts, the newest first
}

// Rung is one resource.
type Rung struct {
	Resource          directory.ResourceID
	Name              string
	Guards, Answering int
	Guarded           bool
	// Bound is the most it can take: the most patient guard's limit, or, of an
	// unguarded resource, the longest life of a token there and a verifier's leeway.
	Bound time.Duration
	// Measured is the slowest confirmation of the latest receipts; zero: none yet.
	Measured time.Duration
}

// latestReceipts is how many an overview shows.
const latestReceipts = 10

// Overview reads the state of enforcement. Kinds: Denied, Unavailable.
func (s *Service) Overview(ctx context.Context, actor directory.Actor) (o *Overview, err error) {
	for _, a := range []role.Action{role.ReadGuards, role.ReadReceipts} {
		if err := role.Allowed(actor, a, role.Target{}).Err(""); err != nil {
			return nil, err
		}
	}
	err = s.read(ctx, func(tx *store.Tx, sc *scene) error {
		o = &Overview{Now: sc.now, Head: tx.Head, Age: s.DB.Age(), Cutoffs: s.DB.View().Cutoffs()}
		for _, v := range sc.guardViews() {
			switch v.State {
			case Answering:
				o.Answering++
			case Closes, Closed:
				o.Silent = append(o.Silent, v)
			}
			if v.Process != "" {
				o.Guards++
			}
		}
		receipts, err := tx.Receipts("", 0, latestReceipts)
		if err != nil {
			return err
		}
		measured := map[directory.ResourceID]time.Duration{}
		for _, r := range receipts {
			v, err := s.view(tx, sc, r, directory.UserID{})
			if err != nil {
				return err
			}
			o.Latest = append(o.Latest, v)
			for _, row := range v.Rows {
				if row.State == Confirmed && !row.Bound {
					measured[row.Resource] = max(measured[row.Resource], row.After)
				}
			}
		}
		for id, r := range sc.resources {
			c := sc.cover(id)
			g := Rung{Resource: id, Name: sc.resourceName(id), Guards: c.guards, Answering: c.answering, Guarded: c.guards > 0, Bound: c.staleness, Measured: measured[id]}
			if !g.Guarded {
				g.Bound = s.tokenLife(sc, r) + Leeway
			}
			o.Rungs = append(o.Rungs, g)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(o.Rungs, func(a, b Rung) int { return cmp.Or(cmp.Compare(a.Bound, b.Bound), cmp.Compare(a.Name, b.Name)) })
	if n := len(o.Rungs); n > 0 {
		o.Worst, o.WorstResource = o.Rungs[n-1].Bound, o.Rungs[n-1].Resource
		if n > 1 {
			o.Without = o.Rungs[n-2].Bound
		}
	}
	return o, nil
}

// tokenLife is the longest life a token for r can be given now, or has left.
func (s *Service) tokenLife(sc *scene, r *directory.Resource) time.Duration {
	life := max(cmp.Or(r.TokenLife, s.Lifetimes.AccessToken), r.LongUntil.Sub(sc.now))
	for _, a := range sc.apps {
		life = max(life, time.Duration(a.AccessTokenMinutes)*time.Minute)
	}
	return life
}
