package review_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

type world struct {
	*storetest.World
	*review.Service
	log *journal.Journal
}

func newWorld(t *testing.T, e storetest.Engine) *world {
	w := &world{World: storetest.NewWorld(t, e, store.Hooks{})}
	j, err := journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	w.log, w.Service = j, &review.Service{DB: w.World.DB, Journal: j}
	return w
}

// as is somebody in a browser.
func (w *world) as(u *directory.User) directory.Actor {
	s := w.Session(u)
	return directory.Actor{User: u.ID, Name: u.Name, Session: s.ID, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser}
}

func (w *world) person(name string, roles ...directory.RoleID) *directory.User {
	u := storetest.Person(name, w.Clock.Now())
	w.Update(func(tx *store.Tx) error {
		if err := tx.CreateUser(u); err != nil {
			return err
		}
		for _, r := range roles {
			if err := tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](w.Clock.Now()), Role: r, User: u.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	return u
}

func TestOnlyWhoMayReadsSignInsOfOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e)
		ctx := t.Context()
		grace, reader := w.person("hedy"), w.person("reader", role.ReportsReader)
		mine, other := &journal.Entry{Kind: journal.Silent, User: grace.ID, UserName: grace.Name}, &journal.Entry{Kind: journal.Silent, User: w.Ada.ID, UserName: w.Ada.Name}
		w.log.Add(mine)
		w.log.Add(other)

		powerless := w.as(grace)
		verbs := map[string]func(directory.Actor) error{
			"SignIns": func(a directory.Actor) error { _, _, err := w.SignIns(ctx, a, review.Query{Limit: 10}); return err },
			"SignIns of another": func(a directory.Actor) error {
				_, _, err := w.SignIns(ctx, a, review.Query{User: w.Ada.ID, Limit: 10})
				return err
			},
			"SignIns by another's name": func(a directory.Actor) error {
				_, _, err := w.SignIns(ctx, a, review.Query{UserName: w.Ada.Name, Limit: 10})
				return err
			},
			"SignIns by another's name as one's own": func(a directory.Actor) error {
				_, _, err := w.SignIns(ctx, a, review.Query{UserName: w.Ada.Name, User: w.Ada.ID})
				return err
			},
			"Export": func(a directory.Actor) error {
				return w.Export(ctx, a, review.Query{}, func(*review.Entry) error { return nil })
			},
		}
		for name, f := range verbs {
			if err := f(powerless); !fault.Is(err, fault.Denied) {
				t.Errorf("%s by the powerless: %v", name, err)
			}
			for who, a := range map[string]directory.Actor{"a reports reader": w.as(reader), "the operator": {Operator: true}} {
				if err := f(a); err != nil {
					t.Errorf("%s by %s: %v", name, who, err)
				}
			}
		}
		if _, err := w.SignIn(ctx, powerless, other.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another's sign-in: %v", err)
		}
		if _, err := w.SignIn(ctx, w.as(reader), other.ID); err != nil {
			t.Errorf("by who may: %v", err)
		}
		if _, err := w.SignIn(ctx, directory.Actor{}, other.ID); !fault.Is(err, fault.Denied) {
			t.Errorf("by nobody: %v", err)
		}
		// One's own.
		if e, err := w.SignIn(ctx, powerless, mine.ID); err != nil || e.ID != mine.ID {
			t.Errorf("one's own: %v", err)
		}
		for _, q := range []review.Query{{User: grace.ID, Limit: 10}, {UserName: "HEDY@contoso.example", Limit: 10}} {
			if page, _, err := w.SignIns(ctx, powerless, q); err != nil || len(page) != 1 || page[0].ID != mine.ID {
				t.Errorf("one's own by %+v: %v %v", q, page, err)
			}
		}
		w.Revoke(reader)
		w.Revoke(grace)
		gone := w.as(reader)
		gone.Born = 0
		if _, _, err := w.SignIns(ctx, gone, review.Query{}); !fault.Is(err, fault.Revoked) {
			t.Errorf("after a revoke: %v", err)
		}
	})
}

func TestAnExportEndsWhenTheReaderIsRevokedAndGoesOverAllPages(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0])
	reader := w.person("reader", role.ReportsReader)
	a := w.as(reader)
	for range 2*review.MaxPage + 5 {
		w.log.Add(&journal.Entry{Kind: journal.Silent})
	}
	n := 0
	if err := w.Export(t.Context(), a, review.Query{}, func(*review.Entry) error { n++; return nil }); err != nil || n != 2*review.MaxPage+5 {
		t.Errorf("%d entries, %v", n, err)
	}
	n = 0
	err := w.Export(t.Context(), a, review.Query{}, func(*review.Entry) error {
		if n++; n == 1 {
			w.Revoke(reader)
		}
		return nil
	})
	if !fault.Is(err, fault.Revoked) || n != review.MaxPage {
		t.Errorf("%d entries after a revoke, %v", n, err)
	}
	stop := errors.New("stop")
	if err := w.Export(t.Context(), directory.Actor{Operator: true}, review.Query{}, func(*review.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestWithoutALogNothingIsFound(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0])
	w.Service.Journal = nil
	if _, _, err := w.SignIns(t.Context(), directory.Actor{Operator: true}, review.Query{}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
