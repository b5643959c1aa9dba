package deliveries_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/web/portal"
	"github.com/curfew-id/curfew/internal/web/portal/deliveries"
	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/portal/registry"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// house is the house with these pages, and those that lead to them.
func house(t testing.TB) *portaltest.House {
	return portaltest.New(t, func(h *portaltest.House, mux *http.ServeMux) {
		(&portal.Server{Desk: h.Desk, Revoke: h.Revoke}).Register(mux)
		(&deliveries.Server{Desk: h.Desk}).Register(mux)
	})
}

var operator = directory.Actor{Operator: true}

func verbPath(verb, part string) string {
	return desk.PathDeliveries + "/" + verb + "/" + url.PathEscape(part)
}

func TestDeliveriesThatFailAreSeenTriedAndDropped(t *testing.T) {
	t.Parallel()
	h := house(t)
	grace := h.As("grace")
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	server, told := h.Telling(&status)
	letter := h.Undelivered(server, "adele")
	again := h.Undelivered(server, "mallory")
	p, _ := grace.Get(desk.PathDeliveries)
	portaltest.Want(t, p, "Payroll", strings.TrimPrefix(strings.TrimSuffix(server, "/bye"), "https://"), "Failing since yesterday", "The application answered 503.", "all sessions of Adele Goldberg", "Sessions revoked", "Try again", "Drop", "Try now")
	portaltest.WantNot(t, p, "/bye")
	p, _ = grace.Get(desk.PathOverview)
	portaltest.Want(t, p, "Payroll cannot be told since yesterday", "2 notices to Payroll given up", "Next try", `href="`+desk.PathDeliveries+`"`, "1 failing")

	// Tried again: what is not confirmed stays, and the page says why.
	path := verbPath(registry.RetryLetter, letter.String())
	p, _ = grace.Get(path)
	portaltest.Want(t, p, "Tell Payroll again?", "all sessions of Adele Goldberg")
	p, _ = grace.Check(grace.Do(http.MethodPost, path, url.Values{"reason": {"they are back"}}), http.StatusServiceUnavailable, path)
	portaltest.Want(t, p, "503", `value="they are back"`)
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
	status.Store(http.StatusOK)
	p, _ = grace.Get(grace.Post(path, url.Values{"reason": {"they are back"}}).To)
	portaltest.Want(t, p, "The application was told, and confirmed it")
	if n := told.Load(); n != 2 {
		t.Errorf("told %d times", n)
	}
	if p := grace.Do(http.MethodGet, path, nil); p.Status != http.StatusNotFound {
		t.Errorf("a letter that is gone: %d", p.Status)
	}
	// Dropped, with a reason, and never told.
	path = verbPath(registry.DropLetter, again.String())
	p, _ = grace.Get(path)
	portaltest.Want(t, p, "Never tell Payroll?", "may live on", "Cannot be undone")
	p, _ = grace.Check(grace.Do(http.MethodPost, path, url.Values{"reason": {""}}), http.StatusUnprocessableEntity, path)
	portaltest.Want(t, p, "Give a reason")
	p, _ = grace.Get(grace.Post(path, url.Values{"reason": {"switched off"}}).To)
	portaltest.Want(t, p, "The letter was dropped", "Nothing was given up")
	// A failing application is tried now.
	path = verbPath(registry.WakeRecipient, "payroll")
	p, _ = grace.Get(path)
	portaltest.Want(t, p, "Try Payroll now?", "7 attempts")
	grace.Post(path, url.Values{})
	h.Update(func(tx *store.Tx) error {
		r, err := tx.Recipient(store.KindLogout + ":payroll")
		if err == nil && !r.Next.IsZero() {
			t.Errorf("it goes on waiting: %+v", r)
		}
		return err
	})
	p, _ = grace.Get(desk.PathAudit)
	portaltest.Want(t, p, "switched off", "they are back")
	if told.Load() != 2 {
		t.Errorf("told %d times", told.Load())
	}
}

func TestWhoMayDoWhatToDeliveries(t *testing.T) {
	t.Parallel()
	h := house(t)
	if err := h.Manage.AddOwner(t.Context(), operator, "reports", h.IDs["ada"], manage.Act{}); err != nil {
		t.Fatal(err)
	}
	var status atomic.Int64
	status.Store(http.StatusOK)
	server, told := h.Telling(&status)
	letter := h.Undelivered(server, "adele").String()
	h.Person("uma", "Uma", role.ReportsReader)
	for _, who := range []string{"mallory", "ada", "uma", "joan"} { // ada owns an application; uma and joan may read, and no more
		b := h.As(who)
		for _, path := range []string{verbPath(registry.RetryLetter, letter), verbPath(registry.DropLetter, letter), verbPath(registry.WakeRecipient, "payroll")} {
			for _, f := range []url.Values{nil, {"reason": {"x"}}} {
				method := http.MethodPost
				if f == nil {
					method = http.MethodGet
				}
				p, _ := b.Check(b.Do(method, path, f), http.StatusForbidden, path)
				if !strings.Contains(p.Body, "you need") && !strings.Contains(p.Body, "hold a directory role") {
					t.Errorf("%s %s: no sentence", who, path)
				}
			}
		}
		status := http.StatusForbidden
		if who == "uma" || who == "joan" {
			status = http.StatusOK
		}
		p := b.Do(http.MethodGet, desk.PathDeliveries, nil)
		if p.Status != status {
			t.Errorf("%s: %d", who, p.Status)
		}
		if status == http.StatusOK {
			portaltest.Want(t, p, `aria-disabled="true"`, "Cloud Application Administrator")
		}
	}
	letters, err := h.Deliver.Letters(t.Context(), operator, deliver.LetterID{}, 10)
	if err != nil || len(letters) != 1 || told.Load() != 0 {
		t.Errorf("%d letters, told %d times, %v", len(letters), told.Load(), err)
	}
}

func TestPagesOfDeliveries(t *testing.T) {
	h := house(t)
	grace, joan := h.As("grace"), h.As("joan")
	p, _ := grace.Get(desk.PathDeliveries)
	portaltest.Want(t, p, "No application is told of logouts", "Nothing was given up")
	pages := map[string][]byte{"deliveries-empty": []byte(p.Body)}
	letter := h.Undelivered("https://payroll.contoso.example/oidc/backchannel", "adele").String()
	for name, x := range map[string]struct {
		who  *portaltest.Browser
		path string
	}{
		"deliveries": {grace, desk.PathDeliveries}, "deliveries-refused": {joan, desk.PathDeliveries},
		"confirm-drop": {grace, verbPath(registry.DropLetter, letter)}, "confirm-retry": {grace, verbPath(registry.RetryLetter, letter)},
	} {
		p, _ := x.who.Get(x.path)
		pages[name] = []byte(p.Body)
	}
	webkittest.Fits(t, pages)
}
