package manage

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

const (
	maxSkipped  = 1000 // rows told one by one
	importBatch = 500  // rows to one transaction
)

// ImportOptions say how an import is done.
type ImportOptions struct {
	DryRun bool
	Reason string
	// Passwords takes a column "password" for users that are created; they must
	// choose another one at their first sign-in. Users that exist keep theirs.
	Passwords bool
	// Progress is called after each batch with the number of rows done.
	Progress func(rows int)
}

// BadRow is a row that was skipped.
type BadRow = manifest.Bad

// ImportReport says what an import did, or in a dry run would do.
type ImportReport struct {
	Rows, Created, Updated, Unchanged int
	Disabled                          int      // of Updated
	Skipped                           []BadRow // in order of line; the first 1,000
	SkippedMore                       int      // how many more
	Ignored                           []string // columns of Entra that have no place here
	Unknown                           []string // columns that nobody knows
	Receipts                          []string // of those that were disabled
	Stopped                           string   // why it ended before the end of the file; empty: it did not
	Took                              time.Duration
}

// importRow is one line of the file.
type importRow struct {
	*manifest.Row
	hash string
	id   directory.UserID // of the user that exists, in the transaction at hand
	new  *directory.User  // what would be created; nil: there is too little for that
}

// readRow checks what can be known of a row without the directory; policy is for
// passwords.
func readRow(r *manifest.Row, policy func(*directory.User, string) error) (row *importRow, err error) {
	row = &importRow{Row: r}
	n := NewUser{Name: r.Name, DisplayName: r.DisplayName, GivenName: r.GivenName, Surname: r.Surname, Mail: r.Mail, Nickname: r.Nickname, JobTitle: r.JobTitle,
		Department: r.Department, Office: r.Office, Mobile: r.Mobile, Language: r.Language, Disabled: r.Enabled == "false"}
	if n.DisplayName == "" { // enough for a user that exists
		n.DisplayName = n.Name
		_, err := n.user()
		return row, err
	}
	if row.new, err = n.user(); err == nil && r.Password != "" {
		err = policy(row.new, r.Password)
	}
	return row, err
}

// outcome of one row.
type outcome struct {
	created, updated, disabled bool
	skipped                    string
}

// Import creates and updates users from a CSV file such as Entra's "Download
// users". Each row is a unit of its own: created, updated, left as it is, or
// skipped with the reason; done again it changes nothing. Users are told apart
// by userPrincipalName; an empty field changes nothing; an imported user without
// password cannot sign in until one is set. Kinds: Denied (the whole), Invalid
// (no such file), Unavailable. What was done before an error stays done and is
// in the report.
func (s *Service) Import(ctx context.Context, actor directory.Actor, r io.Reader, o ImportOptions) (rep ImportReport, err error) {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	began := now()
	act := Act{Reason: o.Reason, DryRun: o.DryRun}
	if err := s.probe(ctx, actor, act, func(c *step) error { return c.mayCreateUser("") }); err != nil {
		return rep, err
	}
	f, err := manifest.Open(r, o.Passwords)
	if err != nil {
		return rep, err
	}
	rep.Ignored, rep.Unknown = f.Ignored, f.Unknown
	for done := false; !done && err == nil; {
		var batch []*importRow
		for len(batch) < importBatch && !done {
			read, bad, end := f.Next()
			var row *importRow
			if read != nil {
				if row, err = readRow(read, s.checkPassword); err != nil {
					bad, err = &BadRow{Line: read.Line, Name: read.Name, Reason: fault.Public(err)}, nil
				}
			}
			switch {
			case end != "":
				done = true
				if end != manifest.EndOfFile {
					rep.Stopped = end
				}
			case bad != nil:
				rep.Rows++
				rep.skip(*bad)
			default:
				rep.Rows++
				batch = append(batch, row)
			}
		}
		err = s.importBatch(ctx, actor, act, batch, &rep)
		if o.Progress != nil {
			o.Progress(rep.Rows)
		}
	}
	slices.SortStableFunc(rep.Skipped, func(a, b BadRow) int { return a.Line - b.Line })
	rep.Took = now().Sub(began)
	return rep, err
}

func (rep *ImportReport) skip(b BadRow) {
	if len(rep.Skipped) < maxSkipped {
		rep.Skipped = append(rep.Skipped, b)
	} else {
		rep.SkippedMore++
	}
}

func (rep *ImportReport) count(row *importRow, out outcome) {
	switch {
	case out.skipped != "":
		rep.skip(BadRow{Line: row.Line, Name: row.Name, Reason: out.skipped})
	case out.created:
		rep.Created++
	case out.updated:
		rep.Updated++
	default:
		rep.Unchanged++
	}
	if out.disabled {
		rep.Disabled++
	}
}

// importBatch does a batch in one transaction. What goes wrong with the whole
// (a name taken a moment ago, the last Global Administrator) is found by doing
// it again row by row, so that only the row to blame is skipped.
func (s *Service) importBatch(ctx context.Context, actor directory.Actor, act Act, batch []*importRow, rep *ImportReport) error {
	if len(batch) == 0 {
		return nil
	}
	for _, row := range batch {
		if row.Password == "" || act.DryRun {
			continue
		}
		var err error
		if row.hash, err = s.Hash(ctx, row.Password); err != nil {
			return err
		}
	}
	err := s.importRows(ctx, actor, act, batch, rep)
	if err == nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Revoked) || ctx.Err() != nil {
		return err
	}
	for _, row := range batch {
		err := s.importRows(ctx, actor, act, []*importRow{row}, rep)
		switch fault.KindOf(err) {
		case fault.Conflict, fault.Denied, fault.Invalid, fault.NotFound:
			rep.skip(BadRow{Line: row.Line, Name: row.Name, Reason: fault.Public(err)})
		default:
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) importRows(ctx context.Context, actor directory.Actor, act Act, batch []*importRow, rep *ImportReport) error {
	outs := make([]outcome, len(batch))
	receipts, err := s.write(ctx, actor, act, false, func(c *step) error {
		order, err := c.sortRows(batch)
		if err != nil {
			return err
		}
		made := map[string]directory.UserID{}
		for _, i := range order {
			if outs[i], err = c.importRow(batch[i], made); err != nil {
				return err
			}
		}
		c.refused = nil // rows that were refused are in the report
		return nil
	})
	if err != nil {
		return err
	}
	for i, row := range batch {
		rep.count(row, outs[i])
	}
	for _, r := range receipts {
		rep.Receipts = append(rep.Receipts, r.ID)
	}
	return nil
}

// sortRows finds who exists and returns the order in which to go: those first,
// in order of id as everything locks users, the new ones after, as in the file.
func (c *step) sortRows(batch []*importRow) ([]int, error) {
	order := make([]int, len(batch))
	for i, row := range batch {
		order[i], row.id = i, directory.UserID{}
		u, err := c.UserByName(row.Name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		row.id = u.ID
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := batch[i].id, batch[j].id
		switch {
		case a == b:
			return i - j
		case a.IsZero():
			return 1
		case b.IsZero():
			return -1
		}
		return slices.Compare(a[:], b[:])
	})
	return order, nil
}

// importRow does one row; made are the users created before it in this batch: a
// name that is twice in the file is created and then changed.
func (c *step) importRow(row *importRow, made map[string]directory.UserID) (outcome, error) {
	if row.id.IsZero() {
		if row.id = made[directory.FoldName(row.Name)]; row.id.IsZero() {
			return c.importNew(row, made)
		}
	}
	p := row.patch()
	var before, after directory.User
	cut, err := c.ChangeUser(row.id, store.UserChange{}, func(u *directory.User) error {
		before, after = *u, *u
		if u.Service || !u.Deleted.IsZero() {
			return invalid("This name belongs to an application.")
		}
		if err := p.apply(&after); err != nil {
			return err
		}
		if after == before {
			return errUnchanged
		}
		if err := c.mayImport(u, &after); err != nil {
			return err
		}
		*u = after
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return outcome{}, nil
	}
	if why := reason(err); why != "" {
		if fault.Is(err, fault.Denied) && c.refused != nil {
			c.Audit(*c.refused)
		}
		return outcome{skipped: why}, nil // nothing was written for this row
	}
	if err != nil {
		return outcome{}, err
	}
	if cut != nil {
		c.cuts = append(c.cuts, cut)
	}
	c.tellUser(&before, &after, false)
	return outcome{updated: true, disabled: before.Enabled && !after.Enabled}, nil
}

var errUnchanged = errors.New("unchanged")

// reason is the sentence of a fault that is about one row.
func reason(err error) string {
	switch fault.KindOf(err) {
	case fault.Denied, fault.Invalid:
		return fault.Public(err)
	}
	return ""
}

func (c *step) importNew(row *importRow, made map[string]directory.UserID) (outcome, error) {
	if err := c.mayCreateUser(row.Name); err != nil {
		return outcome{}, err
	}
	if row.new == nil {
		return outcome{skipped: "The display name is missing."}, nil
	}
	u := *row.new
	if row.hash != "" {
		u.Password = directory.Credential{Hash: row.hash, Version: 1, MustChange: true}
	}
	if err := c.insertUser(&u); err != nil {
		return outcome{}, err
	}
	made[directory.FoldName(u.Name)] = u.ID
	c.Audit(audit.Record{Action: "Add user", Target: store.UserParty(&u)})
	return outcome{created: true}, nil
}

// mayImport asks only for what differs.
func (c *step) mayImport(u, after *directory.User) error {
	var p Patch
	diff := (&Patch{}).fields(u)
	for i, f := range p.fields(after) {
		if *f.to == *diff[i].to {
			continue
		}
		if f.property == "mobilePhone" {
			p.Mobile = f.to
		} else {
			p.DisplayName = &after.DisplayName
		}
	}
	if u.Enabled != after.Enabled {
		p.Enabled = &after.Enabled
	}
	if p.Mobile == nil && p.Enabled == nil { // no look at the target is needed
		return c.allow("Update user", store.UserParty(u), "", role.UpdateUser, role.Target{})
	}
	return c.mayPatch(u, p)
}

// patch is what the row says about a user that exists; empty fields say nothing.
func (r *importRow) patch() Patch {
	said := func(s *string) *string {
		if *s == "" {
			return nil
		}
		return s
	}
	n := r.Row
	p := Patch{DisplayName: said(&n.DisplayName), GivenName: said(&n.GivenName), Surname: said(&n.Surname), Mail: said(&n.Mail), Nickname: said(&n.Nickname),
		JobTitle: said(&n.JobTitle), Department: said(&n.Department), Office: said(&n.Office), Mobile: said(&n.Mobile), Language: said(&n.Language)}
	if r.Enabled != "" {
		enabled := r.Enabled == "true"
		p.Enabled = &enabled
	}
	return p
}
