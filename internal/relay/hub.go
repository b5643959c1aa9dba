package relay

import (
	"encoding/json"
	"sort"
	"sync"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/store"
)

// Hub turns the newest ledger lines into bytes that all guards share, and
// remembers their marks and receipts. It has no goroutine: whoever asks brings it
// up to the view's head first.
type Hub struct {
	mu       sync.Mutex
	started  bool                      // guarded by mu, as all below
	from     cutoff.Pos                // the oldest position whose mark is known
	pos      cutoff.Pos                // the newest one
	marks    map[cutoff.Pos]store.Mark // of from … pos
	order    []cutoff.Pos              // the keys of marks, ascending
	receipts []receiptAt               // of lines in the window, ascending
	era      cutoff.Pos                // the newest era line seen; 0: none, or before the window
	lines    map[cutoff.Pos][]byte     // rendered
	pairs    map[pair]*rendered
}

type receiptAt struct {
	pos cutoff.Pos
	id  string
}

// window is how many marks are kept: as many lines as the view keeps.
const window = 8192

// maxPairs bounds the answers kept rendered. Guards ask from a handful of
// positions; a burst of revocations makes more.
const maxPairs = 128

// pair names an answer: the lines after one position up to another.
type pair struct{ after, head cutoff.Pos }

// rendered are lines in the two forms of the wire, made once.
type rendered struct {
	once sync.Once
	json []byte // line,line,…
	sse  []byte // data: line\n\n…
}

// sync brings the window up to the view's head.
func (h *Hub) sync(v *store.View) {
	lines, head, mark, ok := v.After(h.pos)
	if !h.started || !ok {
		h.started = true
		h.from, h.pos = head, head
		h.marks = map[cutoff.Pos]store.Mark{head: mark}
		h.order = []cutoff.Pos{head}
		h.receipts = nil
		h.lines, h.pairs = map[cutoff.Pos][]byte{}, map[pair]*rendered{}
		return
	}
	for i := range lines {
		l := &lines[i]
		h.marks[l.Pos] = l.Mark
		h.order = append(h.order, l.Pos)
		h.pos = l.Pos
		if l.Era {
			h.era = l.Pos
		}
		if l.Receipt != "" {
			h.receipts = append(h.receipts, receiptAt{l.Pos, l.Receipt})
		}
	}
	if len(h.order) > 2*window {
		h.prune()
	}
}

func (h *Hub) prune() {
	old := len(h.order) - window
	for _, p := range h.order[:old] {
		delete(h.marks, p)
		delete(h.lines, p)
	}
	h.order = append([]cutoff.Pos(nil), h.order[old:]...)
	h.from = h.order[0]
	i := sort.Search(len(h.receipts), func(i int) bool { return h.receipts[i].pos >= h.from })
	h.receipts = append([]receiptAt(nil), h.receipts[i:]...)
}

// verdict says what a cursor is worth.
type verdict uint8

const (
	known    verdict = iota // the ledger has this mark at this position
	below                   // at or below the newest era line: proves nothing, confirms nothing
	beyond                  // beyond this node's head
	wrong                   // the ledger has another mark there
	unlisted                // older than the window: only the database can tell
)

// judge compares a witness with the window.
func (h *Hub) judge(v *store.View, w store.Witness) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sync(v)
	mark, listed := h.marks[w.Pos]
	switch {
	case w.Pos > h.pos:
		return beyond
	case listed && mark == w.Mark:
		return known
	case w.Pos <= h.era:
		return below
	case listed:
		return wrong
	}
	return unlisted
}

// between lists the receipts of lines after from, up to to.
func (h *Hub) between(v *store.View, from, to cutoff.Pos) []receiptAt {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sync(v)
	i := sort.Search(len(h.receipts), func(i int) bool { return h.receipts[i].pos > from })
	j := sort.Search(len(h.receipts), func(i int) bool { return h.receipts[i].pos > to })
	return append([]receiptAt(nil), h.receipts[i:max(i, j)]...)
}

// newestEra is the newest era line in the window, 0 when there is none.
func (h *Hub) newestEra(v *store.View) cutoff.Pos {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sync(v)
	return h.era
}

// render returns the lines after a position in wire form. The lines are those
// that the view gave for it, up to head. Callers must not change the bytes.
func (h *Hub) render(v *store.View, after, head cutoff.Pos, lines []store.LineAt) *rendered {
	h.mu.Lock()
	h.sync(v)
	k := pair{after, head}
	r := h.pairs[k]
	if r == nil {
		if len(h.pairs) >= maxPairs {
			clear(h.pairs)
		}
		r = &rendered{}
		h.pairs[k] = r
	}
	h.mu.Unlock()
	r.once.Do(func() {
		for i := range lines {
			b := h.line(&lines[i])
			if i > 0 {
				r.json = append(r.json, ',')
			}
			r.json = append(r.json, b...)
			r.sse = append(r.sse, "data: "...)
			r.sse = append(r.sse, b...)
			r.sse = append(r.sse, '\n', '\n')
		}
	})
	return r
}

// line renders one line: scope, id, reach and position; never cause or actor.
func (h *Hub) line(l *store.LineAt) []byte {
	h.mu.Lock()
	b := h.lines[l.Pos]
	h.mu.Unlock()
	if b != nil {
		return b
	}
	b, err := json.Marshal(l.Line)
	if err != nil {
		panic("relay: a durable line cannot be written: " + err.Error()) // the store checked it before the commit
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, listed := h.marks[l.Pos]; listed {
		h.lines[l.Pos] = b
	}
	return b
}
