package portal

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
)

// undelivered is an application that failed to be told of somebody's end, and a letter
// to it that was given up. The line is the newest of the ledger.
func (h *house) undelivered(address, name string) (letter deliver.LetterID) {
	h.t.Helper()
	now := h.now()
	g := &grant.Grant{ID: directory.NewID[directory.Grant](now), User: h.ids[name], App: "payroll", Offline: true, Created: now, LastUsed: now, AuthTime: now, State: grant.State{Generation: 1}}
	h.update(func(tx *store.Tx) error {
		if err := tx.SaveApp(&directory.App{ID: "payroll", Object: directory.NewID[directory.App](now), Name: "Payroll", Enabled: true, BackChannelLogoutURI: address}); err != nil {
			return err
		}
		return tx.CreateGrant(g)
	})
	h.update(func(tx *store.Tx) error {
		_, _, err := tx.RevokeUser(h.ids[name], directory.SessionID{}, [32]byte{})
		return err
	})
	pos := h.head()
	letter = directory.NewID[store.DeadLetter](now)
	h.update(func(tx *store.Tx) error {
		r, err := tx.Recipient(store.KindLogout + ":payroll")
		if err != nil {
			return err
		}
		was := r.Next
		r.Attempts, r.Failing, r.Error, r.Next = 7, now.Add(-26*time.Hour), "The application answered 503.", now.Add(4*time.Minute)
		if err := tx.SaveRecipient(r, was); err != nil {
			return err
		}
		return tx.CreateDeadLetter(&store.DeadLetter{ID: letter, Recipient: r.ID, Pos: pos, Item: h.ids[name].String() + "//t", Attempts: 12, Error: "The application answered 503.", At: now.Add(-2 * time.Hour)})
	})
	return letter
}

// telling is the server of an application that is told, and what the portal's
// deliveries need to tell it.
func (h *house) telling(status *atomic.Int64) (address string, told *atomic.Int64) {
	h.t.Helper()
	told = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && strings.HasPrefix(string(body), "logout_token=") {
			told.Add(1)
		}
		w.WriteHeader(int(status.Load()))
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	h.t.Cleanup(srv.Close)
	k, err := keys.Open(h.t.Context(), h.db, []byte(strings.Repeat("k", 32)), h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	allow, err := egress.ParseAllow("127.0.0.1")
	if err != nil {
		h.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	h.deliver.Keys, h.deliver.Egress, h.deliver.Issuer = k, &egress.Client{Allow: allow, Roots: roots}, func(grant.Issuer) string { return "https://id.contoso.example" }
	h.t.Cleanup(h.deliver.Egress.Close)
	return srv.URL + "/bye", told
}

func TestDeliveriesThatFailAreSeenTriedAndDropped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	grace := h.as("grace")
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	address, told := h.telling(&status)
	letter := h.undelivered(address, "adele")
	again := h.undelivered(address, "mallory")
	p, _ := grace.get(PathDeliveries)
	want(t, p, "Payroll", strings.TrimPrefix(strings.TrimSuffix(address, "/bye"), "https://"), "Failing since yesterday", "The application answered 503.", "all sessions of Adele Goldberg", "Sessions revoked", "Try again", "Drop", "Try now")
	wantNot(t, p, "/bye")
	p, _ = grace.get(PathOverview)
	want(t, p, "Payroll cannot be told since yesterday", "2 notices to Payroll given up", "Next try", `href="`+PathDeliveries+`"`, "1 failing")

	// Tried again: what is not confirmed stays, and the page says why.
	path := deliveryPath(RetryLetter, letter.String())
	p, _ = grace.get(path)
	want(t, p, "Tell Payroll again?", "all sessions of Adele Goldberg")
	p, _ = grace.check(grace.do(http.MethodPost, path, url.Values{"reason": {"they are back"}}), http.StatusServiceUnavailable, path)
	want(t, p, "503", `value="they are back"`)
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
	status.Store(http.StatusOK)
	p, _ = grace.get(grace.post(path, url.Values{"reason": {"they are back"}}).to)
	want(t, p, "The application was told, and confirmed it")
	if n := told.Load(); n != 2 {
		t.Errorf("told %d times", n)
	}
	if p := grace.do(http.MethodGet, path, nil); p.status != http.StatusNotFound {
		t.Errorf("a letter that is gone: %d", p.status)
	}
	// Dropped, with a reason, and never told.
	path = deliveryPath(DropLetter, again.String())
	p, _ = grace.get(path)
	want(t, p, "Never tell Payroll?", "may live on", "Cannot be undone")
	p, _ = grace.check(grace.do(http.MethodPost, path, url.Values{"reason": {""}}), http.StatusUnprocessableEntity, path)
	want(t, p, "Give a reason")
	p, _ = grace.get(grace.post(path, url.Values{"reason": {"switched off"}}).to)
	want(t, p, "The letter was dropped", "Nothing was given up")
	// A failing application is tried now.
	path = deliveryPath(WakeRecipient, "payroll")
	p, _ = grace.get(path)
	want(t, p, "Try Payroll now?", "7 attempts")
	grace.post(path, url.Values{})
	h.update(func(tx *store.Tx) error {
		r, err := tx.Recipient(store.KindLogout + ":payroll")
		if err == nil && !r.Next.IsZero() {
			t.Errorf("it goes on waiting: %+v", r)
		}
		return err
	})
	p, _ = grace.get(PathAudit)
	want(t, p, "switched off", "they are back")
	if told.Load() != 2 {
		t.Errorf("told %d times", told.Load())
	}
}

func TestWhoMayDoWhatToDeliveries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mailWeb()
	var status atomic.Int64
	status.Store(http.StatusOK)
	address, told := h.telling(&status)
	letter := h.undelivered(address, "adele").String()
	h.person("uma", "Uma", role.ReportsReader)
	for _, who := range []string{"mallory", "ada", "uma", "joan"} { // ada owns an application; uma and joan may read, and no more
		b := h.as(who)
		for _, path := range []string{deliveryPath(RetryLetter, letter), deliveryPath(DropLetter, letter), deliveryPath(WakeRecipient, "payroll")} {
			for _, f := range []url.Values{nil, {"reason": {"x"}}} {
				method := http.MethodPost
				if f == nil {
					method = http.MethodGet
				}
				p, _ := b.check(b.do(method, path, f), http.StatusForbidden, path)
				if !strings.Contains(p.body, "you need") && !strings.Contains(p.body, "hold a directory role") {
					t.Errorf("%s %s: no sentence", who, path)
				}
			}
		}
		status := http.StatusForbidden
		if who == "uma" || who == "joan" {
			status = http.StatusOK
		}
		p := b.do(http.MethodGet, PathDeliveries, nil)
		if p.status != status {
			t.Errorf("%s: %d", who, p.status)
		}
		if status == http.StatusOK {
			want(t, p, `aria-disabled="true"`, "Cloud Application Administrator")
		}
	}
	letters, err := h.deliver.Letters(t.Context(), operator, deliver.LetterID{}, 10)
	if err != nil || len(letters) != 1 || told.Load() != 0 {
		t.Errorf("%d letters, told %d times, %v", len(letters), told.Load(), err)
	}
}
