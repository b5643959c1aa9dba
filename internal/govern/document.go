package govern

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// List lists the documents of a kind, what is built in first. Kinds: Denied,
// Unavailable.
func (s *Service) List(ctx context.Context, actor directory.Actor, k Kind) (all []*Document, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadPolicies, role.Target{}); err != nil {
			return err
		}
		w, err := c.world()
		if err == nil {
			all, err = w.of(k), w.whole(k)
		}
		return err
	})
	return all, err
}

// Show returns one, by id or by name. Kinds: Denied, NotFound, Conflict (several of
// that name), Unavailable.
func (s *Service) Show(ctx context.Context, actor directory.Actor, k Kind, ref string) (d *Document, err error) {
	err = s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadPolicies, role.Target{}); err != nil {
			return err
		}
		w, err := c.world()
		if err == nil {
			d, err = w.find(k, ref)
		}
		return err
	})
	return d, err
}

// edit is a change that was understood and checked against everything else there
// is: what a write does, and what a dry run and a what-if tell of.
type edit struct {
	old, now    *Document // nil: created, deleted
	at, then    *world
	before, are *policy.Set
	spare       *sparing
	gone        *broken
	party       audit.Party // of sparing
	what        string      // a sentence
	changes     []audit.Change
	explained   [policy.Opens + 1]int // fates, by kind
}

// plan compiles the world before and after.
func plan(at, then *world) (e *edit, err error) {
	e = &edit{at: at, then: then}
	if e.before, err = at.compile(); err == nil {
		e.are, err = then.compile()
	}
	return e, err
}

// change is one verb on documents: who may, and how it is planned.
type change struct {
	kind     Kind
	activity string
	about    audit.Party
	action   role.Action
	how      How
	plan     func(*step, *world) (*edit, error)
}

// do judges and plans in a transaction that reads, for a dry run, or in the one that
// writes, with the policies held.
func (s *Service) do(ctx context.Context, actor directory.Actor, x change) (e *edit, effect *Effect, err error) {
	judge := func(c *step) (err error) {
		if err := c.allow(x.activity, x.about, x.action, role.Target{}); err != nil {
			return err
		}
		w, err := c.world()
		if err != nil {
			return err
		}
		if e, err = x.plan(c, w); err != nil || e == nil {
			return err
		}
		return c.mind(e, x.how.Force)
	}
	if x.how.DryRun {
		err = s.read(ctx, actor, judge)
		if err == nil && e != nil {
			if x.how.Effects != nil {
				*x.how.Effects = append(*x.how.Effects, e.what)
			}
			effect, err = s.effect(ctx, e)
		}
		return e, effect, err
	}
	err = s.write(ctx, actor, x.how.Act, func(c *step) error {
		if err := c.allow(x.activity, x.about, x.action, role.Target{}); err != nil {
			return err
		}
		if err := c.Tx.HoldPolicies(); err != nil {
			return err
		}
		if err := judge(c); err != nil || e == nil {
			return err
		}
		c.Tx.By(store.By{Actor: actor, Reason: x.how.Reason, Force: x.how.Force})
		return c.save(e, x)
	})
	if err == nil && e != nil && x.how.Effects != nil {
		*x.how.Effects = append(*x.how.Effects, e.what)
	}
	return e, nil, err
}

// save writes what was planned, with its audit record.
func (c *step) save(e *edit, x change) (err error) {
	about := x.about
	switch {
	case e.spare != nil:
		about, err = e.party, c.saveSparing(e.spare)
	case e.gone != nil:
		about = audit.Party{Kind: string(e.gone.kind), ID: e.gone.id, Name: e.gone.id}
		err = c.Tx.DeleteDocument(string(e.gone.kind), e.gone.id)
	case e.now != nil:
		about = e.now.party()
		err = c.Tx.SaveDocument(&store.Document{Kind: string(e.now.Kind), ID: e.now.ID(), Version: e.now.Version, Doc: string(e.now.Format())})
	case e.old != nil:
		about = e.old.party()
		err = c.Tx.DeleteDocument(string(e.old.Kind), e.old.ID())
	}
	if err != nil {
		return err
	}
	r := audit.Record{Action: x.activity, Target: about, Changes: e.changes}
	if x.how.Force {
		r.Elaborate = "Forced."
	}
	c.Tx.Audit(r)
	return nil
}

// Create stores a new document; its id and instants are given here, whatever it
// says. In a dry run nothing is stored and the effect is told. Kinds: Denied, Invalid
// (with the JSON path), Conflict (it locks everybody out; a context of that id),
// Unavailable.
func (s *Service) Create(ctx context.Context, actor directory.Actor, k Kind, doc []byte, how How) (*Document, *Effect, error) {
	e, effect, err := s.do(ctx, actor, s.creation(k, doc, how))
	if err != nil {
		return nil, nil, err
	}
	return e.now, effect, nil
}

func (s *Service) creation(k Kind, doc []byte, how How) change {
	return change{kind: k, activity: "Add " + words[k].logged, about: audit.Party{Kind: string(k)}, action: role.CreatePolicy, how: how, plan: func(c *step, w *world) (*edit, error) {
		n, err := parse(doc)
		if err != nil {
			return nil, err
		}
		forget(k, &n)
		now, err := c.understand(k, n, w)
		if err != nil {
			return nil, err
		}
		if now.stamp(nil, c.Now.UTC()); k == Context {
			if _, err := w.find(k, now.ID()); err == nil {
				return nil, fault.New(fault.Conflict, "There is an authentication context "+now.ID()+" already.")
			}
		}
		e, err := plan(w, w.with(nil, now))
		if err != nil {
			return nil, err
		}
		e.now, e.what = now, "Creates the "+words[k].noun+" "+now.Name()+"."
		if k == Policy {
			e.what = "Creates the policy " + now.Name() + ", " + stateWord[now.Policy.State] + "."
		}
		e.changes = differences("", nil, now.tree())
		return e, nil
	}}
}

// named is what somebody called a document who may not see whether it is there.
func named(k Kind, ref string) audit.Party {
	if r := []rune(ref); len(r) > 64 {
		ref = string(r[:64]) + "…"
	}
	return audit.Party{Kind: string(k), ID: ref, Name: ref}
}

// stateWord is how sentences call a state.
var stateWord = map[policy.State]string{policy.On: "on", policy.Off: "off", policy.ReportOnly: "report-only"}

// forget drops what the server gives: tools send back what they have read.
func forget(k Kind, n *node) {
	if k != Context {
		n.drop("id")
	}
	n.drop("createdDateTime")
	n.drop("modifiedDateTime")
}

func (d *Document) tree() *node {
	n, err := parse(d.Format())
	if err != nil { // we wrote it
		return &node{}
	}
	n.strip()
	return &n
}

// understand reads a document and looks up what it names.
func (c *step) understand(k Kind, n node, w *world) (*Document, error) {
	var failed error
	x, err := wire.ReadDocument(k, n.format(nil), c.known(w, &failed))
	switch {
	case failed != nil:
		return nil, failed
	case err != nil:
		return nil, err
	case k == Strength && x.Strength.BuiltIn:
		return nil, at("$.policyType", "is builtIn; only custom ones are made")
	}
	return &Document{Document: *x}, nil
}

// Change changes a document by a patch: objects are merged, null takes a member
// away, a list replaces the list. A context that is not there is created, as on
// Graph. Nothing to change is no error and no version. Kinds as [Service.Create], and
// NotFound, Conflict (somebody else changed it; it is built in).
func (s *Service) Change(ctx context.Context, actor directory.Actor, k Kind, ref string, patch []byte, how How) (*Effect, error) {
	_, effect, err := s.do(ctx, actor, s.changing(k, ref, patch, how))
	return effect, err
}

var errBuiltIn = fault.New(fault.Conflict, "It is built in, and never changes.")

// errOld: somebody changed the document since whoever changes it now has seen it.
var errOld = fault.New(fault.Conflict, "Somebody else changed this since you opened it. Nothing was saved. Look at what stands here now, or save it once more to have it as you typed it.")

func (s *Service) changing(k Kind, ref string, patch []byte, how How) change {
	return change{kind: k, activity: "Update " + words[k].logged, about: named(k, ref), action: role.UpdatePolicy, how: how, plan: func(c *step, w *world) (*edit, error) {
		n, err := parse(patch)
		if err != nil {
			return nil, err
		}
		if !n.object {
			return nil, at("$", "must be an object")
		}
		old, err := w.find(k, ref)
		if fault.Is(err, fault.NotFound) && k == Context {
			n.set("id", node{text: quoted(ref)})
			return s.creation(k, n.format(nil), how).plan(c, w)
		}
		switch {
		case err != nil:
			return nil, err
		case old.Version == 0:
			return nil, errBuiltIn
		case how.IfVersion != 0 && how.IfVersion != old.Version:
			return nil, errOld
		}
		if id := n.get("id"); id != nil && !strings.EqualFold(id.text, quoted(old.ID())) {
			return nil, at("$.id", "is that of another "+words[k].noun)
		}
		n.drop("id")
		forget(k, &n)
		was := old.tree()
		whole := old.tree()
		whole.merge(n)
		now, err := c.understand(k, *whole, w)
		if err != nil {
			return nil, err
		}
		now.Version = old.Version
		// What was written by hand and means the same is no change.
		if now.stamp(old, old.Modified()); bytes.Equal(now.Format(), old.Format()) {
			return nil, nil
		}
		now.stamp(old, c.Now.UTC())
		e, err := plan(w, w.with(old, now))
		if err != nil {
			return nil, err
		}
		e.old, e.now, e.changes = old, now, differences("", was, now.tree())
		var names []string
		for _, x := range e.changes {
			names = append(names, x.Property)
		}
		e.what = "Changes " + strings.Join(names, ", ") + " of the " + words[k].noun + " " + old.Name() + "."
		if k == Policy && old.Policy.State != now.Policy.State {
			e.what = "Turns the policy " + old.Name() + " " + stateWord[now.Policy.State] + "; it was " + stateWord[old.Policy.State] + "."
			if names = slices.DeleteFunc(names, func(n string) bool { return n == "state" }); len(names) > 0 {
				e.what += " Changes " + strings.Join(names, ", ") + "."
			}
		}
		return e, nil
	}}
}

func quoted(s string) string {
	n := node{names: []string{s}, items: []node{{text: "0"}}, object: true}
	b := string(n.format(nil))
	return strings.TrimSuffix(strings.TrimPrefix(b, "{"), ":0}")
}

// Delete deletes a document that no policy names. Kinds: Denied, NotFound, Conflict
// (a policy names it, it is built in, or it locks everybody out), Unavailable.
func (s *Service) Delete(ctx context.Context, actor directory.Actor, k Kind, ref string, how How) (*Effect, error) {
	_, effect, err := s.do(ctx, actor, s.deletion(k, ref, how))
	return effect, err
}

func (s *Service) deletion(k Kind, ref string, how How) change {
	return change{kind: k, activity: "Delete " + words[k].logged, about: named(k, ref), action: role.DeletePolicy, how: how, plan: func(c *step, w *world) (*edit, error) {
		if b, then := w.unbroken(k, ref); b != nil {
			e, err := plan(w, then)
			if err == nil {
				e.gone, e.what = b, "Deletes the "+words[k].noun+" "+b.id+", which cannot be read."
			}
			return e, err
		}
		old, err := w.find(k, ref)
		switch {
		case err != nil:
			return nil, err
		case old.Version == 0:
			return nil, errBuiltIn
		case how.IfVersion != 0 && how.IfVersion != old.Version:
			return nil, errOld
		}
		if names := w.naming(old); len(names) > 0 {
			return nil, fault.New(fault.Conflict, "The "+words[k].noun+" "+fault.Quote(old.Name())+" is named by "+policies(names)+". Take it from there first.")
		}
		e, err := plan(w, w.with(old, nil))
		if err != nil {
			return nil, err
		}
		e.old, e.what = old, "Deletes the "+words[k].noun+" "+old.Name()+"."
		e.changes = differences("", old.tree(), nil)
		return e, nil
	}}
}

// Declare makes a document what a manifest says, in the manifest's transaction, and
// returns one sentence if anything changed: it is created, or changed by a patch if
// there is one of its name. Kinds as [Service.Change].
func (s *Service) Declare(tx *store.Tx, actor directory.Actor, k Kind, name, doc string) (string, error) {
	c := &step{Tx: tx, s: s, actor: actor}
	if err := tx.HoldPolicies(); err != nil {
		return "", err
	}
	w, err := c.world()
	if err != nil {
		return "", err
	}
	x := s.changing(k, name, []byte(doc), How{})
	if _, err := w.find(k, name); fault.Is(err, fault.NotFound) {
		x = s.creation(k, []byte(doc), How{})
	}
	if err := c.allow("", audit.Party{}, x.action, role.Target{}); err != nil {
		return "", err
	}
	e, err := x.plan(c, w)
	if err != nil || e == nil {
		return "", err
	}
	return e.what, c.save(e, x) // whether anybody is left is judged of all that the manifest does, see [Watch]
}

// policies names up to five policies.
func policies(names []string) string {
	word, more := "the policy ", ""
	if len(names) > 1 {
		word = "the policies "
	}
	if len(names) > 5 {
		names, more = names[:5], " and others"
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fault.Quote(n)
	}
	return word + strings.Join(quoted, ", ") + more
}
