package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"

	"github.com/curfew-id/curfew/internal/policy"
)

// explained remembers what a set's policies did, by their trace: at a refresh it
// costs a look-up.
type explained struct {
	mu  sync.RWMutex
	set *policy.Set         // guarded by mu: the newest one seen
	all map[string]*Applied // guarded by mu
}

// maxExplained bounds it. A directory has as many as it has different situations.
const maxExplained = 4096

// Judged is what an entry says of a verdict; f are the facts it was decided from.
// Nil without a set, and for a set without policies that are on or report.
func (j *Journal) Judged(set *policy.Set, f *policy.Facts, v *policy.Verdict) *Applied {
	if j == nil || set == nil {
		return nil
	}
	var room [policy.MaxPolicies]byte
	trace := set.Trace(room[:0], f, v)
	spared := set.Spares(f.User)
	if spared {
		trace = append(trace, '!')
	}
	x := &j.explained
	x.mu.RLock()
	var a *Applied
	if x.set == set {
		a = x.all[string(trace)]
	}
	x.mu.RUnlock()
	if a != nil {
		return a
	}
	a = explain(set.Explain(f, v), spared)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.set != set || len(x.all) >= maxExplained {
		x.set, x.all = set, map[string]*Applied{}
	}
	x.all[string(trace)] = a
	return a
}

// Spared is the id under which an entry says that no policy touches the account.
const Spared = "spared"

func explain(all []policy.Result, spared bool) *Applied {
	a := &Applied{Status: NotApplied, Policies: []Result{}}
	if spared {
		a.Policies = append(a.Policies, Result{ID: Spared, Name: "Spared of all policies", Outcome: policy.NotApplied})
	}
	for _, r := range all {
		if r.Outcome == policy.NotEnabled {
			continue
		}
		a.Policies = append(a.Policies, Result{ID: r.Policy.ID, Name: r.Policy.Name, Outcome: r.Outcome, Demands: r.Demands, Limits: r.Limits})
		switch {
		case r.Outcome == policy.Failure:
			a.Status = Failed
		case r.Outcome == policy.Success && a.Status == NotApplied:
			a.Status = Passed
		}
	}
	b, err := json.Marshal(a.Policies)
	if err != nil {
		panic("journal: " + err.Error()) // texts
	}
	sum := sha256.Sum256(b)
	a.doc, a.id = string(b), int64(binary.BigEndian.Uint64(sum[:8]))
	return a
}

func readApplied(status Status, doc string) (*Applied, error) {
	a := &Applied{Status: status, Policies: []Result{}}
	if status == 0 {
		return nil, nil
	}
	return a, json.Unmarshal([]byte(doc), &a.Policies)
}
