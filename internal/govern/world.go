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
	broken []broken
}

// broken is a row that cannot be read. While there is one of those that decide, the
// store lets in only who is spared, and so does what is told here.
type broken struct {
	kind    Kind
	id      string
	version int64
	why     error
}

func (b *broken) shuts() bool { return b.kind != Terms && b.kind != Context }

func (b *broken) err() error {
	effect := ""
	if b.shuts() {
		effect = " Nobody but spared accounts gets in while it is so."
	}
	why := b.why.Error()
	if f := (*wire.Fault)(nil); errors.As(b.why, &f) {
		why = f.Path + " " + f.Why
	}
	return fault.Wrap(fault.Conflict, "The stored "+words[b.kind].noun+" "+b.id+" cannot be read ("+why+")."+effect+" Delete it by its id and write it anew.", b.why)
}

// maxDocuments bounds each kind but policies, strengths and contexts, which have
// bounds of their own.
const maxDocuments = 1000

// world reads everything.
func (c *step) world() (*world, error) {
	w := &world{}
	for _, s := range policy.BuiltInStrengths() {
		w.docs = append(w.docs, &Document{Document: wire.Document{Kind: Strength, Strength: &s}})
	}
	for _, k := range Kinds {
		rows, err := c.Tx.Documents(string(k))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			d, err := wire.ReadStored(k, r.ID, r.Doc)
			if err != nil {
				w.broken = append(w.broken, broken{k, r.ID, r.Version, err})
				continue
			}
			w.docs = append(w.docs, &Document{Document: *d, Version: r.Version})
		}
	}
	var err error
	w.spared, err = c.Tx.Spared()
	return w, err
}

// unbroken is the row of that id, if it cannot be read, and the world without it.
func (w *world) unbroken(k Kind, id string) (*broken, *world) {
	i := slices.IndexFunc(w.broken, func(b broken) bool { return b.kind == k && b.id == id })
	if i < 0 {
		return nil, nil
	}
	next := *w
	next.broken = slices.Delete(slices.Clone(w.broken), i, i+1)
	return &w.broken[i], &next
}

// whole refuses to speak of a kind of which not everything can be read.
func (w *world) whole(kinds ...Kind) error {
	for i := range w.broken {
		if slices.Contains(kinds, w.broken[i].kind) {
			return w.broken[i].err()
		}
	}
	return nil
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
	for i := range w.broken {
		if b := &w.broken[i]; b.kind == k && b.id == ref {
			return nil, b.err()
		}
	}
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
	next := &world{spared: w.spared, broken: w.broken}
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
	if slices.ContainsFunc(w.broken, func(b broken) bool { return b.shuts() }) {
		return policy.Closed(w.spared), nil
	}
	if n := len(w.of(Location)); n > maxDocuments {
		return nil, fault.New(fault.Invalid, "There are more than "+strconv.Itoa(maxDocuments)+" named locations.")
	}
	all := make([]*wire.Document, len(w.docs))
	for i, d := range w.docs {
		all[i] = &d.Document
	}
	return wire.Compile(all, w.spared)
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
