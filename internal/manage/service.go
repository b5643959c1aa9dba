package manage

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// Service is the verb. DB, Revoke and Hash are needed; the rest may be zero.
type Service struct {
	DB     *store.DB
	Revoke *revoke.Service
	// Hash turns a password into a PHC string. It is slow and never called
	// inside a transaction.
	Hash func(ctx context.Context, password string) (string, error)
	// CheckPassword is the policy for new passwords; nil: 8 to 256 characters.
	CheckPassword func(u *directory.User, password string) error
	// API is the identifier of our own API. An application that may write there
	// as itself is a privileged target. Empty: every resource counts as ours.
	API directory.ResourceID
	// Reserved are identifiers that nobody can register, nor anything below
	// them ("{base}/graph"). Microsoft Graph's are always reserved.
	Reserved []string
	Now      func() time.Time
	Log      *slog.Logger
	// Provider makes an identity provider what a manifest says, in the manifest's
	// transaction, and says in a sentence what changed; empty: nothing.
	Provider func(tx *store.Tx, actor directory.Actor, p *manifest.Provider) (string, error)

	// Govern does the same with a policy or a location of a manifest.
	Govern func(tx *store.Tx, actor directory.Actor, kind string, d *manifest.Document) (string, error)

	joined *step // not nil: inside [Service.Together]
}

// Act says how something is done.
type Act struct {
	Reason string // for ledger, receipt and audit
	// DryRun makes every check and writes nothing: no change, no audit record.
	DryRun bool
	// Effects, when not nil, takes one sentence for each thing that was done,
	// or that would be done in a dry run.
	Effects *[]string
}

// maxReason bounds the reason, in bytes.
const maxReason = 500

// errDryRun undoes a transaction that has done all it would do.
var errDryRun = errors.New("dry run")

// step is one run of a transaction's closure.
type step struct {
	*store.Tx
	s       *Service
	actor   directory.Actor // with the roles held as of this transaction
	act     Act
	said    []Change
	cuts    []*store.Cut  // lines that the store told us of
	search  bool          // there may be lines that it did not tell us of
	refused *audit.Record // why the transaction ends in a refusal
}

// read runs f in a read transaction with the actor's roles as of it.
func (s *Service) read(ctx context.Context, actor directory.Actor, f func(*step) error) error {
	if s.joined != nil {
		return f(s.joined)
	}
	return s.DB.Read(ctx, func(tx *store.Tx) error {
		a, err := tx.ActorNow(actor)
		if err != nil {
			return err
		}
		return f(&step{Tx: tx, s: s, actor: a})
	})
}

// write runs f in a transaction on the actor's behalf and returns the receipts
// of what it cut, counted. A dry run undoes it at the end; a refusal is audited.
func (s *Service) write(ctx context.Context, actor directory.Actor, act Act, urgent bool, f func(*step) error) ([]*store.Receipt, error) {
	if len(act.Reason) > maxReason {
		return nil, invalid("The reason is too long: 500 characters at most.")
	}
	if s.joined != nil {
		return nil, f(s.joined)
	}
	var last *step
	update := s.DB.Update
	if urgent {
		update = s.DB.Urgent
	}
	run := func() error {
		return update(ctx, func(tx *store.Tx) error {
			tx.By(store.By{Actor: actor, Reason: act.Reason})
			a, err := tx.ActorNow(actor)
			if err != nil {
				return err
			}
			last = &step{Tx: tx, s: s, actor: a, act: act}
			if err := f(last); err != nil || !act.DryRun {
				return err
			}
			if err := tx.Foresee(); err != nil {
				return err
			}
			return errDryRun
		})
	}
	err := run()
	for tries := 1; errors.Is(err, errMoved) && tries < 5; tries++ {
		err = run()
	}
	if errors.Is(err, errMoved) {
		err = fault.Wrap(fault.Conflict, "Somebody else is changing this. Nothing was done; try again.", err)
	}
	if errors.Is(err, errDryRun) {
		err = nil
	}
	if err != nil {
		s.auditRefusal(ctx, actor, act, last, err)
		return nil, err
	}
	if act.Effects != nil {
		for _, x := range last.said {
			*act.Effects = append(*act.Effects, x.What)
		}
	}
	if act.DryRun {
		return nil, nil
	}
	return s.receipts(ctx, actor, act, last)
}

// auditRefusal writes down that somebody was refused. The refusal stands
// whether or not it can be written down. A dry run is no attempt.
func (s *Service) auditRefusal(ctx context.Context, actor directory.Actor, act Act, c *step, err error) {
	if c == nil || c.refused == nil || act.DryRun || !fault.Is(err, fault.Denied) {
		return
	}
	actor.Owner, actor.Born = cutoff.Owner{}, cutoff.MaxPos // whoever was cut is refused on record as well
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: actor, Reason: act.Reason})
		tx.Audit(*c.refused)
		return nil
	})
	if err != nil {
		s.log().Error("refusal not audited", "action", c.refused.Action, "target", c.refused.Target.ID, "error", err)
	}
}

// receipts finds, counts and returns the receipts of a committed transaction in
// order of position. The cut stands whatever goes wrong here: what was not
// counted is counted at the next start.
func (s *Service) receipts(ctx context.Context, actor directory.Actor, act Act, done *step) ([]*store.Receipt, error) {
	var ids []string
	for _, c := range done.cuts {
		if c.Receipt != "" {
			ids = append(ids, c.Receipt)
		}
	}
	if len(ids) == 0 && !done.search {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if done.search {
		err := s.DB.Read(ctx, func(tx *store.Tx) (err error) {
			ids, err = ours(tx, actor, act, done)
			return err
		})
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "It was done, but the receipt could not be read.", err)
		}
	}
	var all []*store.Receipt
	for _, id := range ids {
		r, err := s.Revoke.Count(ctx, id)
		if err != nil {
			s.log().Warn("receipt not counted; done again at the next start", "receipt", id, "error", err)
			err = s.DB.Read(ctx, func(tx *store.Tx) (err error) { r, err = tx.Receipt(id); return err })
		}
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "It was done, but the receipt could not be read.", err)
		}
		all = append(all, r)
	}
	return all, nil
}

// ours lists the receipts above the transaction's head that bear its instant,
// actor and reason, in order of position.
func ours(tx *store.Tx, actor directory.Actor, act Act, done *step) (ids []string, err error) {
	var before cutoff.Pos
	for {
		page, err := tx.Receipts("", before, 100)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			before = r.Pos
			if r.Pos <= done.Head {
				return ids, nil
			}
			if r.At.Equal(done.Now) && r.Reason == act.Reason && sameActor(r.Actor, actor) {
				ids = append([]string{r.ID}, ids...)
			}
		}
		if len(page) < 100 {
			return ids, nil
		}
	}
}

func sameActor(p audit.Party, a directory.Actor) bool {
	switch {
	case a.Operator:
		return p.Kind == "operator"
	case a.AppOnly:
		return p.Kind == "app" && p.ID == string(a.App)
	case !a.User.IsZero():
		return p.Kind == "user" && p.ID == a.User.String()
	case a.Registration != "":
		return p.Kind == "app" && p.ID == string(a.Registration)
	}
	return p.Kind == "system"
}

// first returns the receipt about target, or the first.
func first(all []*store.Receipt, target string) *store.Receipt {
	for _, r := range all {
		if r.Target.ID == target {
			return r
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return nil
}

// allow asks role.Allowed and remembers a refusal for the audit log. Name is
// how the sentence calls the target.
func (c *step) allow(activity string, about audit.Party, name string, action role.Action, target role.Target) error {
	err := role.Allowed(c.actor, action, target).Err(name)
	if err != nil {
		c.refused = &audit.Record{Action: activity, Result: audit.Refused, Target: about, Elaborate: fault.Public(err)}
	}
	return err
}

// did writes the audit record of something done and its sentence.
func (c *step) did(activity string, about audit.Party, sentence string, changes ...audit.Change) {
	c.Audit(audit.Record{Action: activity, Target: about, Changes: changes})
	c.said = append(c.said, Change{Kind: about.Kind, Name: about.Name, What: sentence})
}

// target is what the matrix needs to know of a user.
func (c *step) target(u *directory.User) (role.Target, error) {
	h, err := c.Held(u.ID)
	t := role.Target{ID: u.ID, Held: h, Service: u.Service}
	if err != nil || !u.Service {
		return t, err
	}
	a, err := c.AppByPrincipal(u.ID)
	if errors.Is(err, store.ErrNotFound) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	for _, p := range a.AppPermissions {
		if c.s.API == "" || p.Resource == c.s.API {
			t.Permissions = append(t.Permissions, p.Scopes...)
		}
	}
	return t, nil
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// missing turns the store's ErrNotFound into the sentence for what was asked.
func missing(err error, sentence string) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.Wrap(fault.NotFound, sentence, err)
	}
	return err
}

// taken turns the store's ErrDuplicate into the sentence for what was asked.
func taken(err error, sentence string) error {
	if errors.Is(err, store.ErrDuplicate) {
		return fault.Wrap(fault.Conflict, sentence, err)
	}
	return err
}

func invalid(sentence string) error { return fault.New(fault.Invalid, sentence) }
