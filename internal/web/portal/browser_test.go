package portal

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/portal/portaltest"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// The whole way of the button with nothing but keys, in a browser with scripts: R
// opens the confirmation, the form is sent from it, and the receipt follows the
// guard without being loaded again.
func TestRevokeInABrowser(t *testing.T) {
	h := newHouse(t)
	mail := h.Register("mail-1", "api://mail")
	h.Open("ada", h.As("ada").Live.Session.ID, "mail-windows")
	grace := h.As("grace")
	mux := http.NewServeMux()
	h.server.Register(mux)
	ctx, base := webkittest.Browse(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: grace.Cookie})
		mux.ServeHTTP(w, r)
	}))
	id := h.IDs["ada"].String()
	if err := chromedp.Do(ctx, chromedp.Navigate(base+desk.UserPath(id))); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelector("h1").textContent === "Ada Lovelace"`)
	press(t, ctx, "r")
	until(t, ctx, `document.querySelector("dialog[open]")?.textContent.includes("1 access token in Mail") && document.activeElement.name === "reason"`)
	press(t, ctx, "lost laptop"+kb.Enter)
	until(t, ctx, `document.title === "0 of 1 – Ada Lovelace – curfew"`)
	until(t, ctx, `document.querySelector("[role=status]").textContent.includes("0 of 1 guards confirmed") && (window.stays = true)`)
	mail.Ask()
	mail.Ask()
	until(t, ctx, `window.stays && document.title === "1 of 1 – Ada Lovelace – curfew" && document.querySelector("#receipt-title").textContent.startsWith("Over since")`)
	p, _ := grace.Get(desk.PathReceipts)
	portaltest.Want(t, p, "lost laptop", "1 of 1")
	// Live search takes the results out of the same page.
	if err := chromedp.Do(ctx, chromedp.Navigate(base+desk.PathUsers)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 8`)
	press(t, ctx, "/")
	until(t, ctx, `document.activeElement.id === "q" && (document.activeElement.value = "") === ""`) // the driver types the slash, browsers do not
	press(t, ctx, "adele")
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 1 && location.search === "?q=adele"`)
}

// An application from the list to a secret that is shown, with keys alone: search,
// open, the confirmation as a dialog, and a form whose mistake takes the focus.
func TestApplicationInABrowser(t *testing.T) {
	h := newHouse(t)
	h.mailWeb()
	grace := h.As("grace")
	mux := http.NewServeMux()
	h.server.Register(mux)
	ctx, base := webkittest.Browse(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: grace.Cookie})
		mux.ServeHTTP(w, r)
	}))
	visit := func(path string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(base+path)); err != nil {
			t.Fatal(err)
		}
	}
	visit(desk.PathApplications)
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 6`)
	press(t, ctx, "/")
	until(t, ctx, `document.activeElement.id === "q" && (document.activeElement.value = "") === ""`) // the driver types the slash, browsers do not
	press(t, ctx, "the web")
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 1 && location.search === "?q=the+web"`)
	if err := chromedp.Do(ctx, chromedp.Blur("#q")); err != nil {
		t.Fatal(err)
	}
	press(t, ctx, "j")
	until(t, ctx, `document.activeElement.textContent === "Mail for the web"`)
	press(t, ctx, kb.Enter)
	until(t, ctx, `document.querySelector("h1").textContent === "Mail for the web" && document.readyState === "complete"`)
	press(t, ctx, "r")
	until(t, ctx, `document.querySelector("dialog[open]")?.textContent.includes("Revoke all grants of Mail for the web?") && document.activeElement.name === "reason"`)
	press(t, ctx, kb.Escape)
	until(t, ctx, `!document.querySelector("dialog[open]")`)

	visit(appTabPath("mail-web", "secrets"))
	until(t, ctx, `document.readyState === "complete"`)
	if err := chromedp.Do(ctx, chromedp.Click(`.card-acts a[href$="add-secret"]`)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelector("dialog[open]")?.textContent.includes("Add a secret") && document.activeElement.name === "life"`)
	press(t, ctx, kb.Enter)
	until(t, ctx, `document.querySelector("#secret")?.textContent.startsWith("cfs_") && document.activeElement.tagName === "H1"`)
	if n := len(h.stored("mail-web").Secrets); n != 3 {
		t.Errorf("%d secrets", n)
	}

	visit(AppVerbPath("mail-web", EditApp))
	until(t, ctx, `document.readyState === "complete" && (document.querySelector("[name=absolute]").value = "soon") && !document.querySelector("form.form button").click()`)
	until(t, ctx, `document.activeElement.classList.contains("problem") && document.title.startsWith("Error: ") && document.querySelector("[name=absolute]").getAttribute("aria-invalid") === "true"`)
}
