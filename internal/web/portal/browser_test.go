package portal

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// The whole way of the button with nothing but keys, in a browser with scripts: R
// opens the confirmation, the form is sent from it, and the receipt follows the
// guard without being loaded again.
func TestRevokeInABrowser(t *testing.T) {
	h := newHouse(t)
	mail := h.register("mail-1", "api://mail")
	h.open("ada", h.as("ada").live.Session.ID, "mail-windows")
	grace := h.as("grace")
	mux := http.NewServeMux()
	h.server.Register(mux)
	ctx, base := webkittest.Browse(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: webkit.SessionCookie(false), Value: grace.cookie})
		mux.ServeHTTP(w, r)
	}))
	id := h.ids["ada"].String()
	if err := chromedp.Do(ctx, chromedp.Navigate(base+UserPath(id))); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelector("h1").textContent === "Ada Lovelace"`)
	press(t, ctx, "r")
	until(t, ctx, `document.querySelector("dialog[open]")?.textContent.includes("1 access token in Mail") && document.activeElement.name === "reason"`)
	press(t, ctx, "lost laptop"+kb.Enter)
	until(t, ctx, `document.title === "0 of 1 – Ada Lovelace – curfew"`)
	until(t, ctx, `document.querySelector("[role=status]").textContent.includes("0 of 1 guards confirmed") && (window.stays = true)`)
	mail.ask()
	mail.ask()
	until(t, ctx, `window.stays && document.title === "1 of 1 – Ada Lovelace – curfew" && document.querySelector("#receipt-title").textContent.startsWith("Over since")`)
	p, _ := grace.get(PathReceipts)
	want(t, p, "lost laptop", "1 of 1")
	// Live search takes the results out of the same page.
	if err := chromedp.Do(ctx, chromedp.Navigate(base+PathUsers)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 8`)
	press(t, ctx, "/")
	until(t, ctx, `document.activeElement.id === "q" && (document.activeElement.value = "") === ""`) // the driver types the slash, browsers do not
	press(t, ctx, "adele")
	until(t, ctx, `document.querySelectorAll("tbody tr").length === 1 && location.search === "?q=adele"`)
}
