package wire

import (
	"fmt"
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
)

// Kind is a kind of document, by its name in the rows of the store.
type Kind string

// The kinds.
const (
	PolicyKind   Kind = "policy"
	LocationKind Kind = "location"
	StrengthKind Kind = "strength"
	ContextKind  Kind = "context"
	TermsKind    Kind = "terms"
	SparedKind   Kind = "spared" // no document: its id is an account that no policy touches
)

// Document is one of them, read. Exactly one of the pointers is set, that of Kind.
type Document struct {
	Kind     Kind
	Policy   *policy.Policy
	Location *policy.Location
	Strength *policy.Strength
	Context  *policy.Context
	Terms    *Agreement
}

// Agreement is terms of use, which a policy may demand that people accept. Changed
// terms are to be accepted anew: the store compares versions.
type Agreement struct {
	ID, Name, Text    string // Text is what people read
	Created, Modified time.Time
}

// MaxTerms bounds the text of terms of use, in bytes.
const MaxTerms = 20000

// ReadDocument reads a document of a kind, whole. Errors as of [ReadPolicy].
func ReadDocument(k Kind, b []byte, known Known) (d *Document, err error) {
	d = &Document{Kind: k}
	switch k {
	case PolicyKind:
		d.Policy, err = ReadPolicy(b, known)
	case LocationKind:
		d.Location, err = ReadLocation(b)
	case StrengthKind:
		d.Strength, err = ReadStrength(b)
	case TermsKind:
		d.Terms, err = ReadTerms(b)
	default:
		d.Context, err = ReadContext(b)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// anything exists: that what a policy names is there was looked at when it was
// written, and what has gone since spares nobody.
var anything = Known{
	User: yes[directory.UserID], Group: yes[directory.GroupID], Role: yes[directory.RoleID], App: yes[string], Location: yes[string],
	Strength: yes[string], Terms: yes[string], Context: yes[int],
}

func yes[T any](T) bool { return true }

// ReadStored reads a document from its row: what it names need not be there any
// more, and it must say that it is the one of that id.
func ReadStored(k Kind, id, doc string) (*Document, error) {
	d, err := ReadDocument(k, []byte(doc), anything)
	if err == nil && d.ID() != id {
		return nil, fmt.Errorf("it says that it is %q", d.ID())
	}
	return d, err
}

// Compile makes documents ready to decide by, together with the strengths that are
// built in. Kind: Invalid, where there is too much.
func Compile(all []*Document, spared []directory.UserID) (*policy.Set, error) {
	var policies []policy.Policy
	w := policy.World{Strengths: policy.BuiltInStrengths(), Spared: spared}
	for _, d := range all {
		switch d.Kind {
		case PolicyKind:
			policies = append(policies, *d.Policy)
		case LocationKind:
			w.Locations = append(w.Locations, *d.Location)
		case StrengthKind:
			w.Strengths = append(w.Strengths, *d.Strength)
		}
	}
	return policy.Compile(policies, w)
}

// CompileStored makes all documents of the store ready to decide by. While one that
// decides cannot be read, or there are too many, the set lets in who is spared and
// nobody else: the error says why.
func CompileStored(rows func(yield func(kind, id, doc string))) (*policy.Set, error) {
	var all []*Document
	var spared []directory.UserID
	var bad error
	rows(func(kind, id, doc string) {
		var err error
		switch k := Kind(kind); k {
		case SparedKind:
			var u directory.UserID
			if u, err = directory.ParseID[directory.User](id); err == nil {
				spared = append(spared, u)
			}
		case PolicyKind, LocationKind, StrengthKind:
			var d *Document
			if d, err = ReadStored(k, id, doc); err == nil {
				all = append(all, d)
			}
		}
		if err != nil && bad == nil {
			bad = fmt.Errorf("document %s %s: %w", kind, id, err)
		}
	})
	if bad == nil {
		set, err := Compile(all, spared)
		if err == nil {
			return set, nil
		}
		bad = err
	}
	return policy.Closed(spared), bad
}

// ID is the lower-case GUID, or c1 to c99.
func (d *Document) ID() string {
	switch d.Kind {
	case PolicyKind:
		return d.Policy.ID
	case LocationKind:
		return d.Location.ID
	case StrengthKind:
		return d.Strength.ID
	case TermsKind:
		return d.Terms.ID
	}
	return "c" + strconv.Itoa(d.Context.Number)
}

// Name is what people call it.
func (d *Document) Name() string {
	switch d.Kind {
	case PolicyKind:
		return d.Policy.Name
	case LocationKind:
		return d.Location.Name
	case StrengthKind:
		return d.Strength.Name
	case TermsKind:
		return d.Terms.Name
	}
	return d.Context.Name
}

// Format writes it as Graph does.
func (d *Document) Format() []byte {
	switch d.Kind {
	case PolicyKind:
		return WritePolicy(d.Policy)
	case LocationKind:
		return WriteLocation(d.Location)
	case StrengthKind:
		return WriteStrength(d.Strength)
	case TermsKind:
		return write(d.Terms, bindTerms)
	}
	return WriteContext(d.Context)
}

// ReadTerms reads terms of use. Errors as of [ReadPolicy].
func ReadTerms(b []byte) (*Agreement, error) {
	return read(b, bindTerms, func(a *Agreement, d *document) {
		d.named(a.Name)
		if a.Text == "" || len(a.Text) > MaxTerms {
			d.fail("$.text", "is empty, or longer than "+strconv.Itoa(MaxTerms)+" bytes")
		}
	})
}

func bindTerms(a *Agreement, f *form) {
	f.guid("id", &a.ID)
	f.text("displayName", &a.Name)
	f.text("text", &a.Text)
	f.instant("createdDateTime", &a.Created)
	f.instant("modifiedDateTime", &a.Modified)
}
