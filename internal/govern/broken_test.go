package govern

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// A row that cannot be read is told of with its place, stands in nobody's way who
// wants to delete it, and is not passed over in silence.
func TestWhatCannotBeReadIsNamedAndCanBeDeleted(t *testing.T) {
	on(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		good := h.create(Policy, doc("Mail", "enabled", "mail", "}"+block), How{})
		_, err := h.Spare(ctx, h.actor("grace"), h.ids["grace"], true, How{})
		h.must(err)
		id := storetest.PolicyID(7)
		h.update(func(tx *store.Tx) error {
			return tx.SaveDocument(&store.Document{Kind: store.PolicyDocument, ID: id, Doc: strings.Replace(doc("Old", "enabled", "mail", "}"+block), `{`, `{"id":"`+id+`","fromTomorrow":1,`, 1)})
		})
		grace := h.actor("grace")
		for what, f := range map[string]func() error{
			"list": func() error { _, err := h.List(ctx, grace, Policy); return err },
			"show": func() error { _, err := h.Show(ctx, grace, Policy, id); return err },
			"change": func() error {
				_, err := h.Change(ctx, grace, Policy, id, []byte(`{"state":"disabled"}`), How{})
				return err
			},
			"evaluate": func() error {
				_, err := h.Evaluate(ctx, grace, SignIn{User: h.ids["ada"], Apps: []string{"mail"}})
				return err
			},
		} {
			err := f()
			if want(t, err, fault.Conflict, "$.fromTomorrow"); !strings.Contains(fault.Public(err), id) {
				t.Errorf("%s: which it is remains unsaid: %v", what, err)
			}
		}
		h.show(Policy, good.ID())
		if _, err := h.List(ctx, grace, Location); err != nil {
			t.Errorf("locations can be read: %v", err)
		}
		// Only who is spared gets in as things are; whoever is not any more locks everybody out.
		_, err = h.Spare(ctx, grace, h.ids["grace"], false, How{})
		want(t, err, fault.Conflict, "No Global Administrator")
		what, effect, err := h.WhatIf(ctx, grace, Suppose{Kind: Policy, Ref: id, Delete: true})
		if err != nil || !strings.Contains(what, "cannot be read") || effect.Lockout.Out {
			t.Errorf("what if it were deleted: %q %+v %v", what, effect, err)
		}
		_, err = h.Delete(ctx, grace, Policy, id, How{})
		h.must(err)
		if got := h.audits("Delete conditional access policy"); len(got) != 1 || got[0].Target.ID != id {
			t.Errorf("on record: %+v", got)
		}
		if all, err := h.List(ctx, grace, Policy); err != nil || len(all) != 1 {
			t.Errorf("afterwards: %+v %v", all, err)
		}
	})
}
