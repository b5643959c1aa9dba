package govern

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// world is all documents and spared accounts, as of one transaction or as they
// would be. It is never changed: with and sparing make others.
type world struct {
	docs   []*Document // what is built in included
	spared []directory.UserID
}

// maxDocuments bounds each kind but policies, strengths and contexts, which have
// bounds of their own.
const maxDocuments = 1000

// world reads everything. A row that cannot be read fails it: what it said is not
// known, so nothing can be said of a change beside it.
func (c *step) world() (*world, error) {
	w := &world{}
	for _, s := range policy.BuiltInStrengths() {
		w.docs = append(w.docs, &Document{Kind: Strength, Strength: &s})
	}
	for _, k := range Kinds {
		rows, err := c.Tx.Documents(string(k))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			d, err := read(k, []byte(r.Doc), anything)
			if err != nil {
				return nil, fault.Wrap(fault.Internal, "A stored document cannot be read.", err)
			}
			d.Version = r.Version
			w.docs = append(w.docs, d)
		}
	}
	var err error
	w.spared, err = c.Tx.Spared()
	return w, err
}

// anything exists: whether what a stored policy names is still there is no matter
// of reading it.
var anything = wire.Known{
	User: func(directory.UserID) bool { return true }, Group: func(directory.GroupID) bool { return true }, Role: func(directory.RoleID) bool { return true },
	App: func(string) bool { return true }, Location: func(string) bool { return true }, Strength: func(string) bool { return true },
	Terms: func(string) bool { return true }, Context: func(int) bool { return true },
}

// of lists the documents of a kind.
func (w *world) of(k Kind) (all []*Document) {
	for _, d := range w.docs {
		if d.Kind == k {
			all = append(all, d)
		}
	}
	return all
}

// find returns the document with that id, or the only one of that name.
func (w *world) find(k Kind, ref string) (*Document, error) {
	var found []*Document
	for _, d := range w.of(k) {
		switch {
		case strings.EqualFold(d.ID(), ref):
			return d, nil
		case strings.EqualFold(d.Name(), ref):
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.New(fault.NotFound, "There is no such "+words[k].noun+".")
	case 1:
		return found[0], nil
	}
	return nil, fault.New(fault.Conflict, "There are "+strconv.Itoa(len(found))+" of the name "+fault.Quote(ref)+". Say which by its id.")
}

// with is the world in which now stands in the place of old; nil: created, deleted.
func (w *world) with(old, now *Document) *world {
	next := &world{spared: w.spared}
	for _, d := range w.docs {
		if d != old {
			next.docs = append(next.docs, d)
		}
	}
	if now != nil {
		next.docs = append(next.docs, now)
	}
	return next
}

// compile makes it ready to decide. Kind: Invalid, where there is too much.
func (w *world) compile() (*policy.Set, error) {
	var policies []policy.Policy
	x := policy.World{Spared: w.spared}
	for _, d := range w.docs {
		switch d.Kind {
		case Policy:
			policies = append(policies, *d.Policy)
		case Location:
			x.Locations = append(x.Locations, *d.Location)
		case Strength:
			x.Strengths = append(x.Strengths, *d.Strength)
		}
	}
	if len(x.Locations) > maxDocuments {
		return nil, fault.New(fault.Invalid, "There are more than "+strconv.Itoa(maxDocuments)+" named locations.")
	}
	return policy.Compile(policies, x)
}

// naming lists the names of the policies that name a document.
func (w *world) naming(d *Document) (names []string) {
	for _, p := range w.of(Policy) {
		named := false
		switch p := p.Policy; d.Kind {
		case Location:
			named = slices.Contains(p.IncludePlaces.IDs, d.ID()) || slices.Contains(p.ExcludePlaces.IDs, d.ID())
		case Strength:
			named = p.Grant != nil && p.Grant.Strength == d.ID()
		case Context:
			named = p.Apps.Contexts.Has(d.Context.Number)
		case Terms:
			named = p.Grant != nil && slices.Contains(p.Grant.Terms, d.ID())
		}
		if named {
			names = append(names, p.Name())
		}
	}
	return names
}

// name is what people call a policy of that id.
func (w *world) name(id string) string {
	for _, d := range w.of(Policy) {
		if d.ID() == id {
			return d.Name()
		}
	}
	return id
}

// own reports whether an id is that of the directory's API or of its own pages, which
// no row is about.
func own(id string) bool {
	return id == string(directory.OwnAPI) || id == string(access.Portal) || id == string(access.Account)
}

// known answers what exists, as of this transaction. The first error of a look-up
// is left in failed: what could not be looked up counts as not there until then.
func (c *step) known(w *world, failed *error) wire.Known {
	there := func(err error) bool {
		if err != nil && !errors.Is(err, store.ErrNotFound) && *failed == nil {
			*failed = err
		}
		return err == nil
	}
	has := func(k Kind, id string) bool {
		return slices.ContainsFunc(w.of(k), func(d *Document) bool { return d.ID() == id })
	}
	return wire.Known{
		User: func(id directory.UserID) bool {
			u, err := c.Tx.User(id)
			return there(err) && u.Deleted.IsZero()
		},
		Group: func(id directory.GroupID) bool { _, err := c.Tx.Group(id); return there(err) },
		Role:  func(id directory.RoleID) bool { _, ok := role.Find(id); return ok },
		App: func(id string) bool {
			if _, err := c.Tx.App(directory.AppID(id)); there(err) {
				return true
			}
			if own(id) {
				return true
			}
			_, err := c.Tx.Resource(directory.ResourceID(id))
			return there(err)
		},
		Location: func(id string) bool { return has(Location, id) },
		Strength: func(id string) bool { return has(Strength, id) },
		Terms:    func(id string) bool { return has(Terms, id) },
		Context:  func(n int) bool { return has(Context, "c"+strconv.Itoa(n)) },
	}
}
