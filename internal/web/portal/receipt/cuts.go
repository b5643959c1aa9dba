package receipt

import (
	"slices"
	"sync"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
)

// CutToken is an access token that a cut ended, for the timeline.
type CutToken struct {
	Resource        directory.ResourceID
	App             string
	Issued, Expires time.Time
}

// Cuts remembers, for the receipts that this process wrote last, which tokens were
// out there: a receipt as it is read says only how many. A page made by another
// process, or later, draws its timeline without them; its figures are the same.
type Cuts struct {
	mu sync.Mutex
	of map[string][]CutToken // guarded by mu
	in []string              // guarded by mu: ids, oldest first
}

const maxCuts = 200

// Keep remembers a receipt that was just written, with the names of its
// applications.
func (c *Cuts) Keep(r *manage.Receipt, name func(directory.AppID) string) {
	if r == nil || r.Rest == nil {
		return
	}
	var all []CutToken
	for _, t := range r.Rest.Tokens {
		all = append(all, CutToken{t.Resource, name(t.App), t.Issued, t.Expires})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string][]CutToken{}
	}
	if len(c.in) == maxCuts {
		delete(c.of, c.in[0])
		c.in = slices.Delete(c.in, 0, 1)
	}
	c.of[r.ID], c.in = all, append(c.in, r.ID)
}

// Recall returns what it cut, as far as it is remembered.
func (c *Cuts) Recall(id string) []CutToken {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[id]
}
