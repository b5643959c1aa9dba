package govern

import (
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
)

// Kind is a kind of document.
type Kind string

// The kinds, by their names in the rows.
const (
	Policy   Kind = "policy"
	Location Kind = "location"
	Strength Kind = "strength"
	Context  Kind = "context"
	Terms    Kind = "terms"
)

// Kinds are all of them.
var Kinds = []Kind{Policy, Location, Strength, Context, Terms}

// words are how people call them: in sentences, and in Entra's audit log, where
// "Add", "Update" or "Delete" stands before.
var words = map[Kind]struct{ noun, logged string }{
	Policy:   {"policy", "conditional access policy"},
	Location: {"named location", "named location"},
	Strength: {"authentication strength", "authentication strength policy"},
	Context:  {"authentication context", "AuthenticationContextClassReference"},
	Terms:    {"terms of use", "terms of use"},
}

// Document is one of them, read. Exactly one of the pointers is set, that of Kind.
// What it points to is not changed.
type Document struct {
	Kind    Kind
	Version int64 // grows by one with each change; 0: not stored, as what is built in

	Policy   *policy.Policy
	Location *policy.Location
	Strength *policy.Strength
	Context  *policy.Context
	Terms    *Agreement
}

// ID is the lower-case GUID, or c1 to c99.
func (d *Document) ID() string {
	switch d.Kind {
	case Policy:
		return d.Policy.ID
	case Location:
		return d.Location.ID
	case Strength:
		return d.Strength.ID
	case Terms:
		return d.Terms.ID
	}
	return "c" + strconv.Itoa(d.Context.Number)
}

// Name is what people call it.
func (d *Document) Name() string {
	switch d.Kind {
	case Policy:
		return d.Policy.Name
	case Location:
		return d.Location.Name
	case Strength:
		return d.Strength.Name
	case Terms:
		return d.Terms.Name
	}
	return d.Context.Name
}

// Format writes it as Graph does.
func (d *Document) Format() []byte {
	switch d.Kind {
	case Policy:
		return wire.WritePolicy(d.Policy)
	case Location:
		return wire.WriteLocation(d.Location)
	case Strength:
		return wire.WriteStrength(d.Strength)
	case Terms:
		return d.Terms.format()
	}
	return wire.WriteContext(d.Context)
}

// Modified is when it was last changed, or else created; contexts do not say.
func (d *Document) Modified() time.Time {
	created, modified := d.stamps()
	if created == nil {
		return time.Time{}
	}
	if modified.IsZero() {
		return *created
	}
	return *modified
}

func (d *Document) stamps() (created, modified *time.Time) {
	switch d.Kind {
	case Policy:
		return &d.Policy.Created, &d.Policy.Modified
	case Location:
		return &d.Location.Created, &d.Location.Modified
	case Strength:
		return &d.Strength.Created, &d.Strength.Modified
	case Terms:
		return &d.Terms.Created, &d.Terms.Modified
	}
	return nil, nil
}

// stamp says who gives ids and instants: the server. old is what it was before.
func (d *Document) stamp(old *Document, now time.Time) {
	id := directory.NewID[Document](now).String()
	if old != nil {
		id = old.ID()
	}
	switch d.Kind {
	case Policy:
		d.Policy.ID = id
	case Location:
		d.Location.ID = id
	case Strength:
		d.Strength.ID = id
	case Terms:
		d.Terms.ID = id
	}
	created, modified := d.stamps()
	if created == nil {
		return
	}
	if old == nil {
		*created, *modified = now, now
		return
	}
	was, _ := old.stamps()
	*created, *modified = *was, now
}

func (d *Document) party() audit.Party {
	return audit.Party{Kind: string(d.Kind), ID: d.ID(), Name: d.Name()}
}

// read reads a document of a kind, whole. Kind: Invalid, with the path.
func read(k Kind, b []byte, known wire.Known) (d *Document, err error) {
	d = &Document{Kind: k}
	switch k {
	case Policy:
		d.Policy, err = wire.ReadPolicy(b, known)
	case Location:
		d.Location, err = wire.ReadLocation(b)
	case Strength:
		d.Strength, err = wire.ReadStrength(b)
	case Terms:
		d.Terms, err = readAgreement(b)
	default:
		d.Context, err = wire.ReadContext(b)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}
