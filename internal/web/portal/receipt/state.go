package receipt

// State is where a promise stands: one grammar for table, timeline and receipt.
// The zero State is unknown.
type State uint8

// The states.
const (
	Unknown   State = iota
	Ended           // the server refuses it now
	Confirmed       // that guard refuses it now
	Waiting         // the guard is connected and has not confirmed yet
	Closes          // the guard is silent; it refuses everything by itself from an instant on
	Closed          // that instant has passed
	Lives           // nobody guards it; it ends by its own expiry
	Over            // it has expired
	Refused         // you may not; nothing was done
	Failed          // we could not; nothing was done, or we say what was
	Gone            // the guard said goodbye and serves nobody
)

var states = [...]struct{ icon, tone, word string }{
	Unknown:   {"ring", "t-3", "Unknown"},
	Ended:     {"ended", "t-ok", "Ended"},
	Confirmed: {"ended", "t-ok", "Confirmed"},
	Waiting:   {"waiting", "t-3", "Waiting"},
	Closes:    {"closes", "t-warn", "Silent, closes by itself"},
	Closed:    {"ended", "t-ok", "Silent, closed by its own limit"},
	Lives:     {"lives", "t-warn", "No guard, lives on"},
	Over:      {"ended", "t-ok", "Over, expired by itself"},
	Refused:   {"refused", "t-1", "Refused"},
	Failed:    {"failed", "t-danger", "Failed"},
	Gone:      {"ended", "t-ok", "Left, serves nobody"},
}

// Icon is the state's icon.
func (s State) Icon() string { return states[s].icon }

// Tone is the class that colours the icon.
func (s State) Tone() string { return states[s].tone }

// Word is the state's word in a table.
func (s State) Word() string { return states[s].word }

// Left reports whether something is still open in this state.
func (s State) Left() bool { return s == Waiting || s == Closes || s == Lives || s == Unknown }
