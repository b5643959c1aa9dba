package relay

import (
	"context"
	"sync"
)

// watchers wait for a receipt to change.
type watchers struct {
	mu sync.Mutex
	of map[string]map[chan struct{}]struct{} // guarded by mu: by receipt id
}

// Watch returns a channel that rings when a guard confirmed the receipt or a
// guard left, and once a second for what time alone changes and what other nodes
// heard. Rings that nobody takes are merged. The channel is closed when ctx is
// done. Whoever watches has read the receipt first: that is where it is refused.
func (s *Service) Watch(ctx context.Context, receipt string) <-chan struct{} {
	ch := make(chan struct{}, 1)
	w := &s.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[string]map[chan struct{}]struct{}{}
	}
	if w.of[receipt] == nil {
		w.of[receipt] = map[chan struct{}]struct{}{}
	}
	w.of[receipt][ch] = struct{}{}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[receipt], ch)
		if len(w.of[receipt]) == 0 {
			delete(w.of, receipt)
		}
		close(ch)
	})
	return ch
}

func (w *watchers) ring(receipt string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.of[receipt] {
		knock(ch)
	}
}

func (w *watchers) ringAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, chs := range w.of {
		for ch := range chs {
			knock(ch)
		}
	}
}

func knock(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
