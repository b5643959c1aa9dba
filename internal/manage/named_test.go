package manage

import (
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

func TestOwnersFindWhomTheyMayAssign(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	ada, grace := h.person("ada"), h.person("grace")
	h.app("web", NewApp{})
	_, err := h.Named(ctx, ada, "web", "grace@contoso.example")
	want(t, err, fault.Denied)
	_, err = h.Named(ctx, ada, "nothing", "grace@contoso.example")
	want(t, err, fault.Denied)
	_, _, err = h.ConsentsTo(ctx, ada, "web", directory.UserID{}, 50)
	want(t, err, fault.Denied)
	h.must(h.AddOwner(ctx, operator, "web", ada.User, Act{}))
	g, err := h.CreateGroup(ctx, operator, NewGroup{Name: "Research"}, Act{})
	h.must(err)
	for _, ref := range []string{"grace@contoso.example", grace.User.String(), "GRACE@contoso.example"} {
		if n, err := h.Named(ctx, ada, "web", ref); err != nil || n.User != grace.User || !n.Group.IsZero() {
			t.Errorf("%s: %+v %v", ref, n, err)
		}
	}
	if n, err := h.Named(ctx, ada, "web", "research"); err != nil || n.Group != g.ID || !n.User.IsZero() {
		t.Errorf("%+v %v", n, err)
	}
	_, err = h.Named(ctx, ada, "web", "grace")
	want(t, err, fault.NotFound)
	_, err = h.Named(ctx, operator, "nothing", "grace@contoso.example")
	want(t, err, fault.NotFound)
}

func TestConsentsToAnApplication(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		gail := h.person("gail", role.GlobalAdministrator)
		owner := h.person("owner")
		h.app("web", NewApp{})
		h.app("other", NewApp{})
		h.must(h.AddOwner(ctx, operator, "web", owner.User, Act{}))
		var people []directory.UserID
		for _, name := range []string{"ada", "grace", "joan"} {
			people = append(people, h.person(name).User)
		}
		h.must(h.DB.Update(ctx, func(tx *store.Tx) error {
			for _, id := range append(people, directory.UserID{}) {
				for _, r := range []directory.ResourceID{"api://a", "api://b"} {
					for _, app := range []directory.AppID{"web", "other"} {
						if err := tx.SaveConsent(directory.Consent{User: id, App: app, Resource: r, Scopes: []string{"Read"}, Given: tx.Now}); err != nil {
							return err
						}
					}
				}
			}
			return nil
		}))
		first, next, err := h.ConsentsTo(ctx, gail, "web", directory.UserID{}, 2)
		h.must(err)
		if len(first) != 6 || first[0].Name != "" || first[2].Name == "" || next != first[5].User {
			t.Errorf("%d, next %s: %+v", len(first), next, first)
		}
		rest, next, err := h.ConsentsTo(ctx, gail, "web", next, 2)
		h.must(err)
		if len(rest) != 2 || !next.IsZero() || rest[0].App != "web" || rest[0].User == first[5].User {
			t.Errorf("%d, next %s: %+v", len(rest), next, rest)
		}
		// An owner who may not read users is told what holds for everybody.
		own, _, err := h.ConsentsTo(ctx, owner, "web", directory.UserID{}, 2)
		h.must(err)
		if len(own) != 2 || own[0].Name != "" || !own[1].User.IsZero() {
			t.Errorf("%+v", own)
		}
		_, _, err = h.ConsentsTo(ctx, owner, "other", directory.UserID{}, 2)
		want(t, err, fault.Denied)
		_, _, err = h.ConsentsTo(ctx, gail, "nothing", directory.UserID{}, 2)
		want(t, err, fault.NotFound)
	})
}

func TestAnOldVersionIsNotChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	h.app("web", NewApp{})
	_, err := h.CreateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Mail")}, Act{})
	h.must(err)
	for _, version := range []int64{-1, 7} {
		_, err = h.UpdateApp(ctx, operator, "web", AppPatch{Name: ptr("Old"), IfVersion: version}, Act{})
		want(t, err, fault.Conflict)
		want(t, h.UpdateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Old"), IfVersion: version}, Act{}), fault.Conflict)
	}
	_, err = h.UpdateApp(ctx, operator, "web", AppPatch{Name: ptr("Web"), IfVersion: h.stored("web").Version}, Act{})
	h.must(err)
	h.must(h.UpdateResource(ctx, operator, "api://mail", ResourcePatch{Name: ptr("Post"), IfVersion: 1}, Act{}))
	if a := h.stored("web"); a.Name != "Web" {
		t.Errorf("%+v", a)
	}
}
