package store

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/policy/wire"
	"github.com/curfew-id/curfew/internal/standing"
)

// Conditional access is kept as documents in Graph's own form. A policy decides in
// the transaction of what it decides about, so each node keeps the documents
// compiled, and a transaction must know whether what is kept is still so:
//
//	lines        … 40 ─── 41 ─── 42 (policy changed) ─── 43 …
//	kept set     read at 41
//	view         ▲ of this node, follows the ledger
//	transaction  Head
//
// Three ways lead past the kept set, and the last two are why there is more here
// than a look at the view:
//
//   - The view has line 42: what is kept is of before. It is read again.
//   - The view has 41, the transaction's head is 42 or beyond: another node's line
//     that has not been followed yet, or, on SQLite, one of a job before this one in
//     the same commit, which may still come to nothing. The lines in between are
//     read in the transaction; a policy among them means that the documents are
//     read in it as well. What is not committed is never kept.
//   - The head is 41 and the line comes while the transaction judges. It judges by
//     what was; its artefact, born at 41, is older than line 42, which says that it
//     must be judged again. Whatever hands out looks at [View.Ruled] a last time.
//
// What is kept may be newer than the head (a snapshot of SQLite, a slow
// transaction): then line 42 is newer than the head too, and the same holds.

// The kinds of documents.
const (
	PolicyDocument   = "policy"
	LocationDocument = "location"
	StrengthDocument = "strength"
	ContextDocument  = "context"
	TermsDocument    = "terms"
	SparedDocument   = "spared" // the id is an account that no policy touches
)

// Document is one of the things that conditional access is made of.
type Document struct {
	Kind, ID string
	Version  int64 // set by the store
	Doc      string
}

// ErrStale: somebody else has changed the row since it was read.
var ErrStale = errors.New("changed by somebody else")

// rules are the compiled policies as they were when the ledger stood at pos, or a
// little newer.
type rules struct {
	set *policy.Set
	pos cutoff.Pos
}

const documentColumns = `kind, id, version, doc`

func (tx *Tx) documents(where string, args ...any) (all []*Document, err error) {
	err = tx.each(`SELECT `+documentColumns+` FROM documents`+where+` ORDER BY kind, id`, func(r scanner) error {
		d := &Document{}
		all = append(all, d)
		return r.Scan(&d.Kind, &d.ID, &d.Version, &d.Doc)
	}, args...)
	return all, err
}

// Documents lists those of a kind by id.
func (tx *Tx) Documents(kind string) ([]*Document, error) {
	return tx.documents(` WHERE kind = $1`, kind)
}

// Document returns one. ErrNotFound.
func (tx *Tx) Document(kind, id string) (*Document, error) {
	all, err := tx.documents(` WHERE kind = $1 AND id = $2`, kind, id)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	return cmp.Or(append(all, nil)...), err
}

// HoldPolicies lets nobody else change a document until this transaction is over:
// whether somebody would be locked out is judged by all of them together. Who only
// reads is not held up. Lock order: before users.
func (tx *Tx) HoldPolicies() error {
	tx.rules, tx.ruling = nil, true // what was kept may be of before the lock
	if !tx.db.Postgres() {
		return nil // one writer
	}
	_, err := tx.exec(`LOCK TABLE documents IN SHARE ROW EXCLUSIVE MODE`)
	return err
}

// SaveDocument creates a document (Version 0), or changes the one of that version,
// with a line: whatever was born before is to be judged again. Whether it can be
// read is for the caller to see to. ErrDuplicate, ErrNotFound, ErrStale.
func (tx *Tx) SaveDocument(d *Document) error {
	old, err := tx.holdDocument(d.Kind, d.ID)
	switch {
	case d.Version == 0 && err == nil:
		return ErrDuplicate
	case d.Version == 0 && err == ErrNotFound:
		d.Version = int64(tx.Head) + 1 // each change is a line, so none that was deleted had it
		_, err = tx.exec(`INSERT INTO documents (kind, id, version, doc) VALUES ($1, $2, $3, $4)`, d.Kind, d.ID, d.Version, d.Doc)
	case err == nil && old.Version != d.Version:
		return ErrStale
	case err == nil:
		d.Version++
		_, err = tx.exec(`UPDATE documents SET version = $1, doc = $2 WHERE kind = $3 AND id = $4`, d.Version, d.Doc, d.Kind, d.ID)
	}
	if err == nil {
		err = tx.ruled(d)
	}
	return err
}

// DeleteDocument deletes a document, with a line. What others say of it is never
// looser without it, see [policy.Compile]. ErrNotFound.
func (tx *Tx) DeleteDocument(kind, id string) error {
	d, err := tx.holdDocument(kind, id)
	if err == nil {
		_, err = tx.exec(`DELETE FROM documents WHERE kind = $1 AND id = $2`, kind, id)
	}
	if err == nil {
		err = tx.ruled(d)
	}
	return err
}

func (tx *Tx) holdDocument(kind, id string) (*Document, error) {
	if err := tx.HoldPolicies(); err != nil {
		return nil, err
	}
	return tx.Document(kind, id)
}

// ruled appends the line of a changed document. The transaction, which holds the
// policies, sees its own changes.
func (tx *Tx) ruled(d *Document) error {
	tx.rules, tx.reach = nil, true
	c, err := tx.Event(standing.PolicyChanged, standing.Victim{}, audit.Party{Kind: "policy", ID: d.ID, Name: d.Kind})
	if err == nil {
		tx.Cut(c)
	}
	return err
}

// Spared lists the accounts that no policy touches.
func (tx *Tx) Spared() (all []directory.UserID, err error) {
	docs, err := tx.Documents(SparedDocument)
	for _, d := range docs {
		id, err := directory.ParseID[directory.User](d.ID)
		if err != nil {
			return nil, unreadable(fmt.Errorf("spared account %q: %w", d.ID, err))
		}
		all = append(all, id)
	}
	return all, err
}

// Policies are all policies ready to decide, as current as the transaction's head.
// A document that cannot be read lets nobody in but who is spared: what it said is not
// known. Then there is a set, which says so, beside the error. The set is shared. Kind:
// Unavailable.
func (tx *Tx) Policies() (*policy.Set, error) {
	if tx.rules != nil {
		return tx.rules, nil
	}
	set, err := tx.policiesAt(tx.Head)
	if err == nil {
		tx.rules = set
	}
	return set, err
}

// policiesAt are the policies as current as a position, of which this transaction sees
// all lines.
func (tx *Tx) policiesAt(at cutoff.Pos) (*policy.Set, error) {
	if !tx.db.view.contains(tx.Head, tx.mark) {
		tx.db.doubt.Store(true)
		return nil, errLost
	}
	kept := tx.db.rules.Load()
	seen, mark, ruled := tx.db.view.ruledAt()
	good := kept != nil && kept.pos >= ruled && !tx.ruling
	if good && seen < at {
		lines, err := tx.linesSince(seen, mark, 0)
		if err != nil {
			return nil, err
		}
		for i := range lines {
			good = good && (lines[i].Pos <= kept.pos || !lines[i].rules())
		}
	}
	if good {
		return kept.set, nil
	}
	docs, err := tx.documents("") // in one statement: locations and policies fit each other
	if err != nil {
		return nil, err
	}
	set, err := wire.CompileStored(func(yield func(kind, id, doc string)) {
		for _, d := range docs {
			yield(d.Kind, d.ID, d.Doc)
		}
	})
	if err != nil { // not kept: a row put right by hand counts at once
		if at := tx.Now.Unix(); at-tx.db.shut.Swap(at) >= 60 {
			tx.db.cfg.Log.Error("conditional access policies cannot be judged by: nobody gets in but accounts that are spared", "error", err)
		}
		return set, unreadable(err)
	}
	if committed := tx.db.Postgres() || !tx.write || seen >= at; committed && !tx.ruling {
		next := &rules{set: set, pos: tx.Head}
		for {
			kept := tx.db.rules.Load()
			if kept != nil && kept.pos >= next.pos || tx.db.rules.CompareAndSwap(kept, next) {
				break
			}
		}
	}
	return set, nil
}

// rules reports whether policies may be others after the line.
func (l *LineAt) rules() bool { return l.Era || l.Cause == standing.PoliciesChanged }

func unreadable(err error) error {
	return fault.Wrap(fault.Unavailable, "A conditional access policy cannot be read, so it is not known whom it would keep out. Nobody is let in until that is put right.", err)
}

// GroupsAmong are those of some groups that a person is a member of.
func (tx *Tx) GroupsAmong(user directory.UserID, some []directory.GroupID) (in []directory.GroupID, err error) {
	if len(some) > 0 {
		_, in, err = tx.holds(user, some, false)
	}
	return in, err
}

// AcceptTerms notes that a person has accepted terms of use as they are worded in a
// version. ErrNotFound; ErrStale when they are worded otherwise now.
func (tx *Tx) AcceptTerms(user directory.UserID, terms string, version int64) error {
	d, err := tx.Document(TermsDocument, terms)
	if err != nil || d.Version != version {
		return cmp.Or(err, ErrStale)
	}
	_, err = tx.exec(`INSERT INTO accepted (user_id, terms, version, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, terms) DO UPDATE SET version = excluded.version, at = excluded.at`, user[:], terms, d.Version, micros(tx.Now))
	return err
}

// Accepted are the terms of use that a person has accepted as they are worded now.
func (tx *Tx) Accepted(user directory.UserID) (all []string, err error) {
	err = tx.each(`SELECT a.terms FROM accepted a JOIN documents d ON d.kind = 'terms' AND d.id = a.terms AND d.version = a.version WHERE a.user_id = $1`, func(r scanner) error {
		var id string
		err := r.Scan(&id)
		all = append(all, id)
		return err
	}, user[:])
	return all, err
}
