package govern

import (
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy/wire"
)

// Kind is a kind of document.
type Kind = wire.Kind

// The kinds, by their names in the rows.
const (
	Policy   = wire.PolicyKind
	Location = wire.LocationKind
	Strength = wire.StrengthKind
	Context  = wire.ContextKind
	Terms    = wire.TermsKind
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

// Document is one of them, read. What it points to is not changed.
type Document struct {
	wire.Document
	Version int64 // grows by one with each change; 0: not stored, as what is built in
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
