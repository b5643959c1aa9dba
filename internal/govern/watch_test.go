package govern

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// but is a policy about everybody but some, at everything.
func but(name, excluded, grant string) string {
	return strings.Replace(doc(name, "enabled", "All", "}"+grant), `"includeUsers":["All"]`, `"includeUsers":["All"],`+excluded, 1)
}

func (h *house) group(name string, members ...string) directory.GroupID {
	h.t.Helper()
	g, err := h.manage.CreateGroup(h.t.Context(), operator, manage.NewGroup{Name: name}, manage.Act{})
	h.must(err)
	for _, m := range members {
		h.must(h.manage.AddMember(h.t.Context(), operator, g.ID, h.ids[m], manage.Act{}))
	}
	return g.ID
}

// kept tries a change first dry and then in earnest: both must be refused.
func (h *house) kept(what string, change func(manage.Act) error) {
	h.t.Helper()
	for _, dry := range []bool{true, false} {
		err := change(manage.Act{DryRun: dry})
		if want(h.t, err, fault.Conflict, "No Global Administrator could sign in any more", "Nothing was changed"); h.t.Failed() {
			h.t.Fatalf("%s, dry run %v: %v", what, dry, err)
		}
	}
}

func TestTheLastWayInIsNotClosedByOtherWaysThanPolicies(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.person("anita", role.GlobalAdministrator)
		doors := h.group("Doors", "anita")
		p := h.create(Policy, but("Nobody", `"excludeGroups":["`+doors.String()+`"]`, block), How{})
		var held directory.AssignmentID
		h.must(h.DB.Read(ctx, func(tx *store.Tx) error {
			all, err := tx.Assignments()
			for _, a := range all {
				if a.User == h.ids["anita"] {
					held = a.ID
				}
			}
			return err
		}))
		anita := h.ids["anita"]
		ways := map[string]func(manage.Act) error{
			"the group is deleted":  func(a manage.Act) error { _, err := h.manage.DeleteGroup(ctx, operator, doors, a); return err },
			"the membership ends":   func(a manage.Act) error { _, err := h.manage.RemoveMember(ctx, operator, doors, anita, a); return err },
			"the role is taken":     func(a manage.Act) error { _, err := h.manage.Unassign(ctx, operator, held, a); return err },
			"the account is off":    func(a manage.Act) error { _, err := h.manage.SetEnabled(ctx, operator, anita, false, a); return err },
			"the account is gone":   func(a manage.Act) error { _, err := h.manage.DeleteUser(ctx, operator, anita, a); return err },
			"a file says otherwise": func(a manage.Act) error { return h.apply("[[group]]\nname = 'Doors'\nmembers = []\n", a) },
		}
		for what, change := range ways {
			h.kept(what, change)
		}
		h.update(func(tx *store.Tx) error { // it names the policy, and nothing was changed
			set, err := tx.Policies()
			if l := set.LocksOut(h.admins(tx, set)); l.Out || len(l.In) != 1 || l.In[0] != anita {
				t.Errorf("after all refusals: %+v", l)
			}
			return err
		})
		// Who is not a way in is let go, and one of two ways may be closed.
		_, err := h.manage.RemoveMember(ctx, operator, h.group("Doors too", "ada"), h.ids["ada"], manage.Act{})
		h.must(err)
		_, err = h.Spare(ctx, h.actor("grace"), h.ids["grace"], true, How{})
		h.must(err)
		h.must(ways["the group is deleted"](manage.Act{}))
		// Now grace, who is spared, is the only way.
		h.kept("the spared account is off", func(a manage.Act) error {
			_, err := h.manage.SetEnabled(ctx, operator, h.ids["grace"], false, a)
			return err
		})
		// Force is for policies. Nobody gets in any more: then nothing is left to be kept.
		_, err = h.Spare(ctx, h.actor("grace"), h.ids["grace"], false, How{Force: true})
		h.must(err)
		h.must(ways["the account is off"](manage.Act{}))
		_, err = h.Delete(ctx, h.actor("grace"), Policy, p.ID(), How{})
		h.must(err)
	})
}

// A role that a policy is about, and a method that one asks for, are ways in, too.
func TestTheLastWayInIsNotClosedByARoleOrAMethod(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		grace := h.ids["grace"]
		h.create(Policy, strings.Replace(doc("Readers", "enabled", "All", "}"+block), `"includeUsers":["All"]`, `"includeRoles":["`+string(role.SecurityReader)+`"]`, 1), How{})
		h.kept("a role that is blocked", func(a manage.Act) error {
			_, err := h.manage.Assign(ctx, operator, manage.NewAssignment{User: grace, Role: role.SecurityReader}, a)
			return err
		})
		h.update(func(tx *store.Tx) error {
			_, err := tx.AddMethod(&directory.Method{ID: directory.NewID[directory.Method](tx.Now), User: grace, Kind: directory.MethodTOTP, Name: "Phone", Created: tx.Now, Doc: "{}"}, store.UserChange{})
			return err
		})
		h.create(Policy, doc("Two factors", "enabled", "All", "}"+mfa), How{})
		for _, own := range []bool{true, false} {
			err := h.DB.Update(ctx, func(tx *store.Tx) error {
				_, _, err := tx.RemoveMethods(grace, store.UserChange{Own: own}, func(*directory.Method) bool { return true })
				return err
			})
			want(t, err, fault.Conflict, "Two factors")
		}
	})
}

func (h *house) admins(tx *store.Tx, set *policy.Set) []policy.Facts {
	h.t.Helper()
	f, err := (&step{Tx: tx, s: h.Service}).administrators(set)
	h.must(err)
	return f
}

// apply makes the directory what a file says, policies included.
func (h *house) apply(file string, act manage.Act) error {
	h.t.Helper()
	h.manage.Govern = func(tx *store.Tx, actor directory.Actor, kind string, d *manifest.Document) (string, error) {
		return h.Declare(tx, actor, Kind(kind), d.Name, d.Document)
	}
	m, err := manifest.Parse(strings.NewReader(file), manifest.Options{})
	h.must(err)
	_, err = h.manage.Apply(h.t.Context(), operator, m, act)
	return err
}

// What counts is the whole of what a file does.
func TestApplyIsJudgedByAllThatItDoes(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		declared := func(document string) string {
			b, _ := json.Marshal(document)
			return fmt.Sprintf("[[policy]]\ndocument = %s\n", b)
		}
		h.kept("a policy that is switched on", func(a manage.Act) error { return h.apply(declared(doc("Nobody", "enabled", "All", "}"+block)), a) })
		h.must(h.apply(declared(doc("Nobody", "disabled", "All", "}"+block)), manage.Act{}))
		h.kept("one that was off", func(a manage.Act) error { return h.apply(declared(`{"displayName":"Nobody","state":"enabled"}`), a) })
		doors := h.group("Doors")
		excluded := declared(but("Nobody", `"excludeGroups":["`+doors.String()+`"]`, block))
		h.kept("a group without anybody", func(a manage.Act) error { return h.apply(excluded, a) })
		members := "[[group]]\nname = 'Doors'\nmembers = ['grace@contoso.example']\n"
		h.must(h.apply(members+excluded, manage.Act{DryRun: true}))
		h.must(h.apply(members+excluded, manage.Act{}))
		h.kept("the group is emptied and the policy touched", func(a manage.Act) error {
			return h.apply("[[group]]\nname = 'Doors'\nmembers = []\n"+declared(`{"displayName":"Nobody","sessionControls":null}`), a)
		})
	})
}

// Where nobody gets in, a file may not make it worse for one of them.
func TestApplyDoesNotMakeALockoutWorse(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		h.create(Policy, doc("Two factors", "enabled", "All", "}"+mfa), How{Force: true}) // grace has one
		b, _ := json.Marshal(doc("Nobody", "enabled", "All", "}"+block))
		h.kept("a policy that blocks who was asked for more", func(a manage.Act) error { return h.apply(fmt.Sprintf("[[policy]]\ndocument = %s\n", b), a) })
		b, _ = json.Marshal(doc("Elsewhere", "enabled", "mail", "}"+block))
		h.must(h.apply(fmt.Sprintf("[[policy]]\ndocument = %s\n", b), manage.Act{}))
	})
}

// On SQLite changes share commits. One that opens a way and one that closes it again
// are two changes, and the second is refused, whatever was before the first.
func TestAWayThatWasOpenedInTheSameCommitIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	h.create(Policy, doc("Nobody", "enabled", "All", "}"+block), How{Force: true})
	spared := &store.Document{Kind: store.SparedDocument, ID: h.ids["grace"].String(), Doc: "{}"}
	waits := func() { // most likely the one just begun is in line by now
		for range 1000 {
			runtime.Gosched()
		}
	}
	for range 20 {
		held, release := make(chan struct{}), make(chan struct{})
		opened, closed := make(chan error, 1), make(chan error, 1)
		var both sync.WaitGroup
		both.Go(func() {
			h.must(h.DB.Update(t.Context(), func(*store.Tx) error { close(held); <-release; return nil }))
		})
		<-held
		both.Go(func() {
			opened <- h.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveDocument(spared) })
		})
		waits()
		both.Go(func() {
			for closing := true; closing; { // until the way is there to be closed
				err := h.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteDocument(spared.Kind, spared.ID) })
				if closing = errors.Is(err, store.ErrNotFound); !closing {
					closed <- err
				}
			}
		})
		waits()
		close(release)
		both.Wait()
		h.must(<-opened)
		want(t, <-closed, fault.Conflict, "No Global Administrator")
		h.update(func(tx *store.Tx) error {
			tx.By(store.By{Force: true})
			return tx.DeleteDocument(spared.Kind, spared.ID)
		})
		spared.Version = 0
	}
}

// Two administrators who each close a way at once leave one open.
func TestTwoWaysInAreNotClosedAtOnce(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		h.person("anita", role.GlobalAdministrator)
		doors := h.group("Doors", "anita", "grace")
		h.create(Policy, but("Nobody", `"excludeGroups":["`+doors.String()+`"]`, block), How{})
		for range 5 {
			var both sync.WaitGroup
			errs := make([]error, 2)
			for i, who := range []string{"anita", "grace"} {
				both.Go(func() {
					_, errs[i] = h.manage.RemoveMember(t.Context(), operator, doors, h.ids[who], manage.Act{})
				})
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("of two ways not just one was closed: %v", errs)
			}
			for i, who := range []string{"anita", "grace"} {
				if errs[i] == nil {
					h.must(h.manage.AddMember(t.Context(), operator, doors, h.ids[who], manage.Act{}))
				} else {
					want(t, errs[i], fault.Conflict, "Nobody")
				}
			}
		}
	})
}
