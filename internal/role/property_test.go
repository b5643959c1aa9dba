package role

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
)

func TestRolesOfTheTargetNeverWiden(t *testing.T) {
	t.Parallel()
	properties(t, func(r *rand.Rand, actor directory.Actor, a Action, target Target) {
		before := Allowed(actor, a, target).OK
		more := target
		more.Held.Roles = append(slices.Clone(target.Held.Roles), pick(r))
		if !before && Allowed(actor, a, more).OK {
			t.Fatalf("%s: %+v on %+v no, on %+v yes", a, actor, target, more)
		}
		more = target
		more.Held.RoleAssignableMember = true
		more.Permissions = append(slices.Clone(target.Permissions), "Directory.ReadWrite.All")
		if !before && Allowed(actor, a, more).OK {
			t.Fatalf("%s: %+v on %+v no, on %+v yes", a, actor, target, more)
		}
	})
}

func TestRolesAndScopesOfTheActorNeverNarrow(t *testing.T) {
	t.Parallel()
	properties(t, func(r *rand.Rand, actor directory.Actor, a Action, target Target) {
		if !Allowed(actor, a, target).OK {
			return
		}
		more := actor
		more.Held.Roles = append(slices.Clone(actor.Held.Roles), pick(r))
		if d := Allowed(more, a, target); !d.OK {
			t.Fatalf("%s: %+v yes, %+v no", a, actor, more)
		}
		if actor.Scopes != nil {
			more.Scopes = append(slices.Clone(actor.Scopes), scopesOf(r)...)
			if d := Allowed(more, a, target); !d.OK {
				t.Fatalf("%s: %+v yes, %+v no", a, actor, more)
			}
		}
	})
}

// A refusal must say what would help, and it must be true.
func TestRefusalsProposeWhatWorks(t *testing.T) {
	t.Parallel()
	properties(t, func(_ *rand.Rand, actor directory.Actor, a Action, target Target) {
		d := Allowed(actor, a, target)
		if d.OK {
			return
		}
		s := d.Sentence("Anita")
		if len(s) < 10 || !strings.HasSuffix(s, ".") || strings.Contains(s, "  ") || strings.Contains(s, "..") {
			t.Fatalf("%s: sentence %q", a, s)
		}
		if d.why != ordinary {
			return
		}
		if len(d.Missing)+len(d.Scopes) == 0 {
			t.Fatalf("%s by %+v on %+v: refused for nothing", a, actor, target)
		}
		for i := range max(1, len(d.Missing)) {
			for j := range max(1, len(d.Scopes)) {
				fixed := actor
				fixed.Held.Roles, fixed.Scopes = slices.Clone(actor.Held.Roles), slices.Clone(actor.Scopes)
				if len(d.Missing) > 0 {
					fixed.Held.Roles = append(fixed.Held.Roles, d.Missing[i])
				}
				if len(d.Scopes) > 0 {
					fixed.Scopes = append(fixed.Scopes, d.Scopes[j])
				}
				again := Allowed(fixed, a, target)
				if !again.OK && !(actor.AppOnly && slices.Equal(again.Scopes, []string{roleRW})) {
					t.Fatalf("%s by %+v on %+v: did what was said (%s), and still: %s", a, actor, target, s, again.Sentence("Anita"))
				}
			}
		}
	})
}

func pick(r *rand.Rand) directory.RoleID { return catalogue[r.IntN(len(catalogue))].ID }

func scopesOf(r *rand.Rand) []string {
	all := []string{asUser, dirRW, userRW, roleRW, selfGet, selfPut, "User.Read.All", "User.RevokeSessions.All", "AuditLog.Read.All", "Application.ReadWrite.All", "Group.ReadWrite.All"}
	out := []string{}
	for range r.IntN(3) {
		out = append(out, all[r.IntN(len(all))])
	}
	return out
}

func properties(t *testing.T, check func(*rand.Rand, directory.Actor, Action, Target)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	actions := Actions()
	for range 20_000 {
		actor, target := directory.Actor{User: ada}, Target{ID: anita}
		for range r.IntN(3) {
			actor.Held.Roles = append(actor.Held.Roles, pick(r))
		}
		for range r.IntN(3) {
			target.Held.Roles = append(target.Held.Roles, pick(r))
		}
		switch r.IntN(4) {
		case 0:
			actor.Scopes = scopesOf(r)
		case 1:
			actor.AppOnly, actor.Scopes = true, scopesOf(r)
		}
		switch r.IntN(6) {
		case 0:
			target.ID = ada
		case 1:
			target.Service = true
		case 2:
			target.Held.RoleAssignableMember = true
		case 3:
			target = Target{}
		}
		target.Owned = r.IntN(4) == 0
		check(r, actor, actions[r.IntN(len(actions))], target)
	}
}
