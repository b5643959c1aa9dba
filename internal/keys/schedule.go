package keys

import (
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
)

// How long things take.
const (
	// Every is how long a key signs, unless Service.Every says otherwise.
	Every = 90 * 24 * time.Hour
	// Lead is how long a key is published before it signs, when nothing hurries.
	// Verifiers that read the keys once a day have it by then.
	Lead = 24 * time.Hour
	// CacheLife is how long a copy of the published keys may be kept, by the
	// max-age of the document and by a guard's own clock.
	CacheLife = 5 * time.Minute
	// Soon is the shortest time between publishing and use: every cache that
	// keeps to CacheLife has been emptied, with as much again for slow ones.
	Soon = 2 * CacheLife
	// leeway is added to the longest life of a token before its key goes: five
	// minutes that verifiers allow, and the rest for clocks of several nodes.
	leeway = time.Hour
)

// State is where a key is on its way.
type State string

// The states.
const (
	Next    State = "next"    // published, not used yet
	Current State = "current" // signs
	Retired State = "retired" // signs no more, and verifies until its last token has expired
)

// Key is what people see of a signing key.
type Key struct {
	ID      string // kid
	Alg     string
	State   State
	Created time.Time // published since
	Active  time.Time // signs from here on
	Retired time.Time // signs no more; zero: nothing replaces it yet
	Ends    time.Time // unpublished; zero as Retired
}

func describe(k store.Key, longest time.Duration, now time.Time) Key {
	out := Key{ID: k.ID, Alg: k.Alg, State: Current, Created: k.Created, Active: k.Active, Retired: k.Retired}
	if !k.Retired.IsZero() {
		out.Ends = ends(k, longest)
	}
	switch {
	case !k.Retired.IsZero() && !now.Before(k.Retired):
		out.State = Retired
	case now.Before(k.Active):
		out.State = Next
	}
	return out
}

// ends is when the last token of a key that has a successor has expired
// everywhere.
func ends(k store.Key, longest time.Duration) time.Time { return k.Retired.Add(longest + leeway) }

// last returns the key of an algorithm that nothing replaces yet; nil: none.
func last(rows []store.Key, alg string) *store.Key {
	for i := len(rows) - 1; i >= 0; i-- {
		if rows[i].Alg == alg && rows[i].Retired.IsZero() {
			return &rows[i]
		}
	}
	return nil
}

// before returns the key that the one with this id takes over from; nil: none.
func before(rows []store.Key, id string) *store.Key {
	at := slices.IndexFunc(rows, func(k store.Key) bool { return k.ID == id })
	for i := at - 1; i >= 0; i-- {
		if rows[i].Alg == rows[at].Alg && rows[i].Retired.Equal(rows[at].Active) {
			return &rows[i]
		}
	}
	return nil
}

// work is what is due at some instant.
type work struct {
	make []string // algorithms that need a new key
	gone []string // ids of keys that are over
}

// due says what is to be done, given the algorithms that are asked for. One that
// nobody asks for any more keeps its key and gets no new one.
func due(rows []store.Key, longest, every time.Duration, asked []string, now time.Time) (w work) {
	for _, alg := range asked {
		if k := last(rows, alg); k == nil || !now.Before(k.Active.Add(every-Lead)) {
			w.make = append(w.make, alg)
		}
	}
	for _, k := range rows {
		if !k.Retired.IsZero() && !now.Before(ends(k, longest)) {
			w.gone = append(w.gone, k.ID)
		}
	}
	return w
}

// algs lists the algorithms that have a key which nothing replaces yet.
func algs(rows []store.Key) (out []string) {
	for _, alg := range directory.SigningAlgs() {
		if last(rows, alg) != nil {
			out = append(out, alg)
		}
	}
	return out
}
