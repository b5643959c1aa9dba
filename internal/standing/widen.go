package standing

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/fault"
)

// Wider is something an administrator may choose for a row instead of what it
// says: it ends all that, and more.
type Wider struct {
	Name string
	Text string // what ends, for people
	Ends []Part
}

// whole is the choice that ends everything of whoever the event is about.
const whole = "everything"

var (
	ofTheUser = []Wider{{whole, "everything of that person ends, browser sessions too", everything}}
	ofTheApp  = []Wider{{whole, "everything of that application ends, codes too", []Part{{TheApps, cutoff.Everything}, {TheIdentitys, cutoff.Everything}}}}
)

// wider are the choices for each row that has any, each wider than the one before.
// Rows without are those that end everything of whoever they are about already,
// those whose only missing cell is the browser sessions of everybody, for which
// there is revoking everyone, and those of changes that happen to nobody.
var wider = map[Event][]Wider{
	PasswordReplaced: {{whole, "the current session ends too", everything}},
	FactorRemoved:    {{whole, "the current session ends too", everything}},
	FactorAdded:      ofTheUser,
	FactorGiven:      ofTheUser,
	RoleRemoved:      ofTheUser,
	UserUnassigned:   ofTheUser,
	RightsGiven:      {{"tokens", "that person's grants and access tokens end, so that new rights count at once", []Part{{TheUsers, cutoff.Tokens}}}, ofTheUser[0]},
	SessionSignedOut: {{"grants", "grants with `offline_access` that were given in that session end too", []Part{{TheSessions, cutoff.Everything}, {GivenInIt, cutoff.Everything}}}, ofTheUser[0]},
	LoggedOutThere:   {{"grants", "grants with `offline_access` that were given in those sessions end too", []Part{{TheSessions, cutoff.Everything}, {GivenInIt, cutoff.Everything}}}, ofTheUser[0]},
	ProviderGone:     ofTheUser,
	UserUnlinked:     ofTheUser,
	SessionRevoked:   ofTheUser,
	GrantRevoked:     ofTheUser,
	GrantReturned:    ofTheUser,
	GrantReused:      ofTheUser,
	UserAppRevoked:   ofTheUser,
	DeviceRevoked:    ofTheUser,
	DeviceTurnedOff:  ofTheUser,
	DeviceGone:       ofTheUser,
	DeviceReported:   ofTheUser,
	UserWithdrew:     ofTheUser,
	ClientNarrowed:   ofTheApp,
	IdentityReplaced: ofTheApp,
	CredentialGone:   ofTheApp,
	KeyStolen:        {{whole, "everybody's browser sessions end too", []Part{{Everybodys, cutoff.Everything}}}},
}

// Wider lists what may be chosen for the row instead, the least first.
func (r Row) Wider() []Wider { return wider[r.Event] }

// Widening is what an administrator has chosen, by event.
type Widening map[Event]string

// Unset is the choice that takes a row back to what the table says.
const Unset = "default"

// ReadWidening reads what was stored. What cannot be read is taken for the widest
// of every row: doubt closes.
func ReadWidening(doc []byte) Widening {
	var d struct{ Lifecycle Widening }
	if json.Unmarshal(doc, &d) == nil {
		return d.Lifecycle
	}
	w := Widening{}
	for e, all := range wider {
		w[e] = all[len(all)-1].Name
	}
	return w
}

// Format is what ReadWidening reads.
func (w Widening) Format() []byte {
	b, _ := json.Marshal(struct{ Lifecycle Widening }{w}) // texts only
	return b
}

// Row is the row of an event as it was widened. A choice that is not known here,
// of a newer version perhaps, counts as the widest.
func (w Widening) Row(e Event) Row {
	r := RowOf(e)
	name, all := w[e], wider[e]
	if name == "" || len(all) == 0 {
		return r
	}
	chosen := all[len(all)-1]
	if i := slices.IndexFunc(all, func(x Wider) bool { return x.Name == name }); i >= 0 {
		chosen = all[i]
	}
	r.Ends, r.Spares = chosen.Ends, false
	return r
}

// Choose widens a row, or takes it back to what the table says. Kind: Invalid, for
// an event that is not in the table, and for whatever would end less.
func (w Widening) Choose(name, value string) (Widening, error) {
	i := slices.IndexFunc(Table, func(r Row) bool { return string(r.Event) == name })
	if i < 0 {
		return nil, fault.New(fault.Invalid, "There is no event "+fault.Quote(name)+" in the table of what ends what.")
	}
	r := Table[i]
	next := Widening{}
	for e, v := range w {
		next[e] = v
	}
	if value == Unset {
		delete(next, r.Event)
		return next, nil
	}
	var names []string
	for _, x := range r.Wider() {
		if x.Name == value {
			next[r.Event] = value
			return next, nil
		}
		names = append(names, x.Name)
	}
	if len(names) == 0 {
		return nil, fault.New(fault.Invalid, "What ends by "+name+" ("+r.Text+") can be neither narrowed nor widened.")
	}
	return nil, fault.New(fault.Invalid, "What ends by "+name+" ("+r.Text+") can be widened to "+strings.Join(names, " or ")+", and never narrowed.")
}

// Lifecycle begins the names of settings that widen a row.
const Lifecycle = "lifecycle."

// Setting is a row that can be widened, and how it is.
type Setting struct {
	Name    string // "lifecycle.role_removed"
	Text    string // the event
	Value   string // Unset, or one of Choices
	Ends    string // what Value ends beyond the table; empty: nothing
	Choices []string
}

// Settings lists them in the order of the table.
func (w Widening) Settings() (all []*Setting) {
	for _, r := range Table {
		choices := r.Wider()
		if len(choices) == 0 {
			continue
		}
		x := &Setting{Name: Lifecycle + string(r.Event), Text: r.Text, Value: Unset}
		if v := w[r.Event]; v != "" {
			x.Value, x.Ends = v, choices[len(choices)-1].Text // the widest, if it is not known
		}
		for _, c := range choices {
			if x.Choices = append(x.Choices, c.Name); c.Name == x.Value {
				x.Ends = c.Text
			}
		}
		all = append(all, x)
	}
	return all
}
