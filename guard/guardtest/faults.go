package guardtest

import (
	"maps"
	"slices"
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

func (s *Server) fault(change func(*faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.faults)
	s.wake()
}

// Silence makes the server take every call and answer none, streams included,
// until it is called with false: a network that swallows packets.
func (s *Server) Silence(on bool) { s.fault(func(f *faults) { f.silent = on }) }

// Fail makes every call fail with a status, until it is called with 0.
func (s *Server) Fail(status int) { s.fault(func(f *faults) { f.down = status }) }

// Delay keeps each call for to before it is looked at, and each answer
// for from after it was written. Stream lines are not delayed.
func (s *Server) Delay(to, from time.Duration) {
	s.fault(func(f *faults) { f.to, f.from = to, from })
}

// LoseLines loses the next n lines on streams. They come with answers all the same.
func (s *Server) LoseLines(n int) { s.fault(func(f *faults) { f.loseLines = n }) }

// DoubleLines sends every line on a stream twice.
func (s *Server) DoubleLines(on bool) { s.fault(func(f *faults) { f.double = on }) }

// CloseStreams ends all streams and refuses new ones.
func (s *Server) CloseStreams(on bool) { s.fault(func(f *faults) { f.noStream = on }) }

// StreamRaw writes an event to all streams, as it is.
func (s *Server) StreamRaw(event string) {
	s.fault(func(f *faults) { f.raw = append(f.raw, []byte(event)) })
}

// Lag freezes what the node sees of the ledger. It goes on answering, with an
// age that grows; snapshots it refuses.
func (s *Server) Lag(on bool) {
	s.mu.Lock()
	head := s.head()
	s.mu.Unlock()
	s.fault(func(f *faults) { f.lagging, f.lagHead, f.lagSince = on, head, time.Now() })
}

// SnapshotNext answers the next question with a snapshot, as after a position
// the server has forgotten.
func (s *Server) SnapshotNext() { s.fault(func(f *faults) { f.snapshot = true }) }

// Tamper lets f change every answer before it is sent; nil ends that. The
// values have Go types: head a cutoff.Pos, lines a []cutoff.Line.
func (s *Server) Tamper(f func(answer map[string]any)) {
	s.fault(func(fs *faults) { fs.tamper = f })
}

// Raise lifts the floor: tokens born before pos are to be refused, and
// snapshots forget cutoffs up to it.
func (s *Server) Raise(pos cutoff.Pos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floor = max(s.floor, pos)
	s.wake()
}

// ForgetProcesses makes every guard unknown, as a restore does.
func (s *Server) ForgetProcesses() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
	s.wake()
}

// SetNow changes the clock that dates tokens.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Processes returns the ids of the guards that are registered and have not
// said goodbye.
func (s *Server) Processes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(s.known)), func(id string) bool { return s.known[id].gone })
}

// Acknowledged returns the position up to which a guard said it has applied
// everything, and how often it has asked.
func (s *Server) Acknowledged(process string) (pos cutoff.Pos, asks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.known[process]; p != nil {
		pos, asks = p.acked, p.asks
	}
	return pos, asks
}
