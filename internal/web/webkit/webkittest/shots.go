package webkittest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

// Browse starts a Chromium without a window at the start page of a handler that is
// served on loopback with the assets and the headers of real pages. Without a
// Chromium the test is skipped. An exception in a script and anything that the
// Content-Security-Policy refuses fail the test. Everything ends with the test.
func Browse(t *testing.T, h http.Handler) (ctx context.Context, base string) {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium found: the pages are not tried in a browser")
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+webkit.AssetPath, webkit.Assets())
	mux.Handle("/", h)
	srv := httptest.NewServer(webkit.Browser(mux))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections) // live streams, first

	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	quiet := make(chan struct{})
	t.Cleanup(func() { <-quiet }) // after the browser has gone
	actx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	tab, stop := chromedp.NewContext(actx)
	t.Cleanup(stop)
	if err := chromedp.Do(tab, chromedp.Navigate(srv.URL+"/")); err != nil { // starts the browser
		close(quiet)
		t.Fatal(err)
	}
	messages := chromedp.Console(tab)
	go func() {
		defer close(quiet)
		for m, err := range messages {
			if err != nil {
				return // the browser has ended
			}
			if m.IsException() || strings.Contains(m.Text, "Content Security Policy") {
				t.Errorf("the browser says: %s", m)
			}
		}
	}()
	ctx, stop = context.WithTimeout(tab, 5*time.Minute)
	t.Cleanup(stop)
	return ctx, srv.URL
}

// Fits opens each page 1440, 900, 360 and 320 px wide and fails when it is wider
// than its window. With CURFEW_SHOTS naming a directory it also takes pictures,
// light and dark, of all but the smallest; CURFEW_SHOTS_ONLY takes pages whose
// name contains it.
func Fits(t *testing.T, pages map[string][]byte) {
	t.Helper()
	dir := os.Getenv("CURFEW_SHOTS")
	themes := []string{"light"}
	if dir != "" {
		themes = append(themes, "dark")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(pages[r.PathValue("name")])
	})
	// A live stream that has nothing new to say.
	mux.HandleFunc("GET /portal/receipts/{id}/live", func(w http.ResponseWriter, r *http.Request) {
		if _, err := webkit.NewStream(w); err == nil {
			<-r.Context().Done()
		}
	})
	// What a page's own script asks is not answered, so that the page that is looked at
	// is not left.
	mux.HandleFunc("POST /", func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then is it noticed that the page has gone
		<-r.Context().Done()
	})
	ctx, base := Browse(t, mux)

	var names []string
	for n := range pages {
		if strings.Contains(n, os.Getenv("CURFEW_SHOTS_ONLY")) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		for _, theme := range themes {
			for suffix, width := range map[string]int64{"wide": 1440, "middle": 900, "narrow": 360, "smallest": 320} {
				media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
				if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
					t.Fatal(err)
				}
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(base+"/page/"+n)); err != nil {
					t.Fatalf("%s: %v", n, err)
				}
				over, err := chromedp.Run(ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth-innerWidth`))
				if err != nil {
					t.Fatal(err)
				}
				if over > 0 {
					t.Errorf("%s, %d px: %v px wider than the window", n, width, over)
				}
				if dir == "" || suffix == "smallest" {
					continue
				}
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, n+"-"+suffix+"-"+theme+".png"), png, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
