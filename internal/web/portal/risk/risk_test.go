package risk_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	rules "github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/watch"
	"github.com/curfew-id/curfew/internal/web/portal"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/portal/risk"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

type house struct {
	*portaltest.House
	watch *watch.Service
}

func newHouse(t testing.TB) *house {
	h := new(house)
	h.House = portaltest.New(t, func(x *portaltest.House, mux *http.ServeMux) {
		h.watch = &watch.Service{DB: x.DB, Now: x.Time}
		s := &risk.Server{Desk: x.Desk, Watch: h.watch}
		s.Register(mux)
		(&portal.Server{Desk: x.Desk, Revoke: x.Revoke, Tabs: []desk.UserTab{s.Tab()}}).Register(mux)
	})
	return h
}

// reused is somebody whose refresh token came again.
func (h *house) reused(who string) {
	h.T.Helper()
	h.Update(func(tx *store.Tx) error {
		return h.watch.Note(tx, rules.TokenReused, &grant.Grant{User: h.IDs[who]}, "192.0.2.9", "An old refresh token of <b>mail</b> was used again.")
	})
}

func TestAnAdministratorSeesWhyAndConfirmsAndDismisses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace, ada := h.As("grace"), h.IDs["ada"].String()
	tab := desk.UserPath(ada) + "?tab=risk"
	p, _ := grace.Get(desk.PathRisk)
	portaltest.Want(t, p, "Nothing was ever found about anybody.", "Impossible travel", "Token reused", "Switch on", "Switch off")
	p, _ = grace.Get(tab)
	portaltest.Want(t, p, "Nothing was ever found about Ada Lovelace.")
	h.reused("ada")
	p, _ = grace.Get(desk.PathRisk)
	portaltest.Want(t, p, "ada@contoso.example", "Medium", "of &lt;b&gt;mail", "found by rules", "Confirm compromised", "Dismiss")
	p, _ = grace.Get(desk.PathRisk + "/confirm/" + ada)
	portaltest.Want(t, p, "Is the account of ada@contoso.example compromised?", "are judged again at their next use")
	p, _ = grace.Get(grace.Post(desk.PathRisk+"/confirm/"+ada, url.Values{"reason": {"she called"}}).To)
	portaltest.Want(t, p, "High", "Reason: she called", "192.0.2.9", "grace@contoso.example", "counts")
	p, _ = grace.Get(grace.Post(desk.PathRisk+"/dismiss/"+ada, url.Values{}).To)
	portaltest.Want(t, p, "closed", "None", "Dismissed")
	p, _ = grace.Get(desk.PathRisk)
	portaltest.Want(t, p, "dismissed", "None")
	grace.Post(desk.PathRisk+"/on/new_network", url.Values{})
	p, _ = grace.Get(desk.PathRisk + "/off/new_network")
	portaltest.Want(t, p, "Look no longer for this: New network?", "stays found")
	all, err := h.watch.Rules(t.Context(), directory.Actor{Operator: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if want := r.Rule == rules.NewNetwork || r.Rule == rules.TokenReused; r.On != want {
			t.Errorf("%s is on: %v", r.Rule, r.On)
		}
	}
	for _, x := range []string{"/on/magic", "/confirm/x", "/dance/" + ada} {
		if p := grace.Do(http.MethodGet, desk.PathRisk+x, nil); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", x, p.Status)
		}
	}
}

func TestWhoMaySeeAndDoWhatAboutRisk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.reused("ada")
	h.Person("rita", "Rita", role.GlobalReader)
	h.Person("olga", "Olga", role.SecurityOperator)
	ada := h.IDs["ada"].String()
	for who, denied := range map[string][]string{"mallory": {"", "/confirm/" + ada, "/on/new_network"}, "rita": {"/confirm/" + ada, "/dismiss/" + ada, "/off/token_reuse"}, "olga": {"/off/token_reuse"}} {
		b := h.As(who)
		for _, x := range denied {
			b.Check(b.Do(http.MethodGet, desk.PathRisk+x, nil), http.StatusForbidden, who+" "+x)
			if x != "" {
				b.Check(b.Do(http.MethodPost, desk.PathRisk+x, url.Values{"reason": {"x"}}), http.StatusForbidden, who+" "+x)
			}
		}
	}
	p, _ := h.As("rita").Get(desk.PathRisk)
	portaltest.Want(t, p, "Medium", `aria-disabled="true"`, "you need")
	olga := h.As("olga")
	olga.Post(desk.PathRisk+"/dismiss/"+ada, url.Values{})
	p, _ = olga.Get(desk.PathRisk)
	portaltest.Want(t, p, "dismissed")
}

func TestPagesOfRisk(t *testing.T) {
	h := newHouse(t)
	grace := h.As("grace")
	pages := map[string][]byte{}
	take := func(name string, b *portaltest.Browser, path string) {
		t.Helper()
		p := b.Do(http.MethodGet, path, nil)
		webkittest.Check(t, []byte(p.Body))
		pages[name] = []byte(p.Body)
	}
	take("risk-none", grace, desk.PathRisk)
	h.reused("ada")
	h.reused("adele")
	grace.Post(desk.PathRisk+"/confirm/"+h.IDs["adele"].String(), url.Values{"reason": {"Donaudampfschifffahrtsgesellschaftskapitänskontrollraum, and she did not know of it"}})
	take("risk", grace, desk.PathRisk)
	take("user-risk", grace, desk.UserPath(h.IDs["adele"].String())+"?tab=risk")
	take("risk-confirm", grace, desk.PathRisk+"/confirm/"+h.IDs["ada"].String())
	take("risk-rule", grace, desk.PathRisk+"/on/impossible_travel")
	h.Person("rita", "Rita", role.GlobalReader)
	take("risk-refused", h.As("rita"), desk.PathRisk)
	webkittest.Fits(t, pages)
}
