package portal

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/curfew-id/curfew/internal/web/portal/desk"
	"github.com/curfew-id/curfew/internal/web/webkit"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// until waits for a condition in the page.
func until(t *testing.T, ctx context.Context, js string) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		// A navigation in between takes the page away: ask the next one.
		if _, last = chromedp.Run(ctx, chromedp.Poll[bool](js, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(5*time.Second))); last == nil {
			return
		}
	}
	seen, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + " " + document.title + " " + document.querySelector("#q")?.value + " " + document.activeElement.outerHTML`))
	t.Fatalf("never: %s (%v) at %.300s", js, last, seen)
}

func press(t *testing.T, ctx context.Context, keys string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys)); err != nil {
		t.Fatal(err)
	}
}

// The script only improves pages that work without it; this is what it improves.
func TestScriptInABrowser(t *testing.T) {
	all := pages(t)
	events := make(chan []byte)
	posted := make(chan string, 4)
	mux := http.NewServeMux()
	page := func(pattern, name string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write(all[name])
		})
	}
	page("GET /{$}", "receipts-empty")
	page("GET "+desk.UserPath(adaID), "user")
	page("GET "+desk.PathOverview+"/{$}", "overview")
	page("GET "+desk.PathOverview, "overview")
	page("GET "+desk.PathAudit, "overview-quiet")
	page("GET "+VerbPath(adaID, RevokeSessions), "confirm")
	page("GET "+desk.ReceiptPath("rc_4c81-48211"), "receipt")
	mux.HandleFunc("GET "+desk.PathUsers, func(w http.ResponseWriter, r *http.Request) {
		name := "users"
		if r.FormValue("q") == "adx" {
			name = "users-nobody"
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(all[name])
	})
	mux.HandleFunc("POST "+desk.PathBulk, func(w http.ResponseWriter, r *http.Request) {
		f, err := webkit.ParseForm(w, r, "id")
		if err != nil {
			t.Error(err)
		}
		posted <- f.Get("verb") + " " + strings.Join(f.All("id"), " ")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(all["confirm"])
	})
	mux.HandleFunc("GET "+desk.ReceiptPath("rc_4c81-48211")+"/live", func(w http.ResponseWriter, r *http.Request) {
		s, err := webkit.NewStream(w)
		for err == nil {
			select {
			case <-r.Context().Done():
				return
			case e := <-events:
				if e == nil {
					return // the connection is lost
				}
				err = s.Send(e)
			}
		}
	})
	ctx, base := webkittest.Browse(t, mux)
	open := func(path string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(base+path)); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("R opens the confirmation and never acts", func(t *testing.T) {
		open(desk.UserPath(adaID))
		press(t, ctx, "r")
		until(t, ctx, `document.querySelector("dialog[open] #confirm-title")?.textContent.startsWith("Revoke Ada")`)
		until(t, ctx, `document.activeElement.name === "reason"`)
		until(t, ctx, `document.querySelector("dialog[open] form").getAttribute("action") === "`+VerbPath(adaID, RevokeSessions)+`"`)
		press(t, ctx, kb.Escape)
		until(t, ctx, `!document.querySelector("dialog[open]") && location.pathname === "`+desk.UserPath(adaID)+`"`)
	})

	t.Run("search replaces the results while typing", func(t *testing.T) {
		open(desk.PathUsers)
		press(t, ctx, "/")
		until(t, ctx, `document.activeElement.id === "q"`)
		// The driver types the slash although its keydown was cancelled; browsers do not.
		until(t, ctx, `(document.activeElement.value = "") === ""`)
		press(t, ctx, "adx")
		until(t, ctx, `document.querySelector("#results").textContent.includes("Nobody matches")`)
		until(t, ctx, `new URL(location).searchParams.get("q") === "adx" && document.querySelector(".found").textContent.startsWith("0 found")`)
	})

	t.Run("rows are selected by keys and revoked together", func(t *testing.T) {
		open(desk.PathUsers)
		until(t, ctx, `document.querySelector("[data-count]").textContent === "Nothing selected"`)
		press(t, ctx, "jxjjX")
		until(t, ctx, `document.querySelector("[data-count]").textContent === "3 selected" && document.querySelectorAll("tr.sel").length === 3`)
		until(t, ctx, `document.querySelector("[data-all]").indeterminate`)
		press(t, ctx, "r")
		select {
		case got := <-posted:
			if got != "revoke "+adaID+" id-adele id-alan" {
				t.Errorf("posted %q", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was posted")
		}
	})

	t.Run("G O goes to the overview", func(t *testing.T) {
		open(desk.UserPath(adaID))
		press(t, ctx, "go")
		until(t, ctx, `location.pathname === "/portal" && document.readyState === "complete"`)
	})

	t.Run("keys are off for who wants them off", func(t *testing.T) {
		open(desk.PathAudit)
		press(t, ctx, "?gu")
		if on, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!!document.querySelector("dialog[open]") || location.pathname !== "`+desk.PathAudit+`"`)); err != nil || on {
			t.Errorf("a key did something: %v", err)
		}
	})

	t.Run("a receipt lives, and says when it does not", func(t *testing.T) {
		open(desk.ReceiptPath("rc_4c81-48211"))
		until(t, ctx, `document.title.startsWith("5 of 6") && document.activeElement.id === "receipt-title"`)
		r := adaReceipt()
		r.PageURL, r.Confirmed, r.Now = "", 6, at("12:04:34")
		for i := range r.Rows {
			if r.Rows[i].Where == "drive-3" {
				r.Rows[i].State, r.Rows[i].At, r.Rows[i].Ledger = Confirmed, at("12:04:33.000"), r.Ledger
			}
		}
		b, err := receiptPanel.HTML(r)
		if err != nil {
			t.Fatal(err)
		}
		events <- b
		until(t, ctx, `document.title.startsWith("6 of 6 – Ada Lovelace") && document.querySelectorAll(".dot").length === 6`)
		until(t, ctx, `document.querySelector("[role=status]").textContent.includes("6 of 6 guards confirmed, slowest 1.8 s.")`)
		until(t, ctx, `document.querySelectorAll(".left li").length === 1`)
		events <- nil
		until(t, ctx, `/Not live since 12:04:\d\d\. Trying again\./.test(document.querySelector("[role=status]").textContent)`)
		events <- b // it comes back by itself
		until(t, ctx, `!document.querySelector(".stale") && document.querySelector("[role=status]").textContent.includes("6 of 6")`)
	})
}
