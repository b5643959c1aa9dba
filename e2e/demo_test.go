package e2e

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// demoRun is a running curfew demo.
type demoRun struct {
	mail, drive, legacy, portal string
	password                    string
}

// startDemo builds the binary, runs curfew demo and reads what it prints. With
// the test it ends by an interrupt, which must give exit code 0.
func startDemo(t *testing.T) *demoRun {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "curfew")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/curfew-id/curfew/cmd/curfew").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, "demo", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("after an interrupt: %v\n%s", err, &said)
		}
	})
	d := &demoRun{}
	text := make(chan string, 1)
	go func() {
		defer close(drained)
		var b strings.Builder
		for s := bufio.NewScanner(out); s.Scan(); {
			b.WriteString(s.Text() + "\n")
			if strings.Contains(s.Text(), "--wait") { // the last line
				text <- b.String()
				break
			}
		}
		close(text)
		io.Copy(io.Discard, out)
	}()
	var printed string
	select {
	case printed = <-text:
	case <-time.After(30 * time.Second):
		t.Fatal("the demo did not start in 30 s")
	}
	for what, into := range map[string]*string{`Mail +(\S+)`: &d.mail, `Drive +(\S+)`: &d.drive, `Legacy +(\S+)`: &d.legacy, `Portal +(\S+)`: &d.portal, `password of each is +(\S+)`: &d.password} {
		m := regexp.MustCompile(`(?m)^ +(?:The )?` + what).FindStringSubmatch(printed)
		if m == nil {
			t.Fatalf("not printed: %s\n%s", what, printed)
		}
		*into = m[1]
	}
	return d
}

// window is one browser window with cookies of its own.
type window struct {
	t   *testing.T
	ctx context.Context
}

func openBrowser(t *testing.T) context.Context {
	t.Helper()
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(Chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	actx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(actx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func openWindow(t *testing.T, browser context.Context) *window {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	w := &window{t, ctx}
	w.do(chromedp.EmulateViewport(1280, 800))
	return w
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatalf("%v\n%s", err, w.text())
	}
}

func (w *window) text() string {
	s, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.title + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return s
}

// until waits until the page says all of it.
func (w *window) until(words ...string) string {
	w.t.Helper()
	seen := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		seen = w.text()
		if !slices.ContainsFunc(words, func(x string) bool { return !strings.Contains(seen, x) }) {
			return seen
		}
	}
	w.t.Fatalf("the page never said %q:\n%s", words, seen)
	return ""
}

func (w *window) signIn(user, password string) {
	w.t.Helper()
	w.until("Sign in", "Password")
	w.do(chromedp.SendKeys(`input[name=username]`, user), chromedp.SendKeys(`input[name=password]`, password+kb.Enter))
}

// shot takes a picture, light, dark and narrow, when CURFEW_SHOTS names a
// directory, and fails when the page is wider than its window.
func (w *window) shot(name string) {
	w.t.Helper()
	dir := os.Getenv("CURFEW_SHOTS")
	for suffix, x := range map[string]struct {
		width int64
		theme string
	}{"": {1280, "light"}, "-dark": {1280, "dark"}, "-narrow": {320, "light"}} {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: x.theme}}}
		if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, media); err != nil {
			w.t.Fatal(err)
		}
		w.do(chromedp.EmulateViewport(x.width, 800))
		over, err := chromedp.Run(w.ctx, chromedp.Evaluate[float64](`document.documentElement.scrollWidth-innerWidth`))
		if err != nil {
			w.t.Fatal(err)
		}
		if over > 0 {
			w.t.Errorf("%s%s is %v px wider than the window", name, suffix, over)
		}
		if dir == "" {
			continue
		}
		png, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+suffix+".png"), png, 0o600)
		}
		if err != nil {
			w.t.Error(err)
		}
	}
	w.do(chromedp.EmulateViewport(1280, 800))
}

// What a newcomer does in the first five minutes: two windows, one button.
func TestDemoInABrowser(t *testing.T) {
	browser := openBrowser(t)
	d := startDemo(t)
	ada := openWindow(t, browser)
	ada.do(chromedp.Navigate(d.mail))
	ada.until("has a guard")
	ada.shot("mail-before")
	ada.do(chromedp.Click(`a.primary`))
	ada.signIn("ada@contoso.example", d.password)
	ada.until("Inbox", "Re: the engine", "Guard mail-1 stands before it")
	ada.shot("mail")

	// The same session for the other two; Legacy asks for consent.
	tab, stop := chromedp.NewContext(ada.ctx)
	t.Cleanup(stop)
	other := &window{t, tab}
	other.do(chromedp.Navigate(d.drive+"/signin"), chromedp.EmulateViewport(1280, 800))
	other.until("Files", "Bernoulli numbers")
	other.shot("drive")
	other.do(chromedp.Navigate(d.legacy + "/signin"))
	other.until("Let Legacy into your account?", "From Fabrikam", "Read your expense reports")
	other.shot("consent")
	other.do(chromedp.Click(`button[value=allow]`))
	other.until("Expense reports", "No guard.", "whatever curfew says meanwhile")
	other.shot("legacy")

	grace := openWindow(t, browser)
	grace.do(chromedp.Navigate(d.portal + "/users?q=ada"))
	grace.signIn("grace@contoso.example", d.password)
	grace.until("Ada Lovelace")
	grace.shot("users")
	grace.do(chromedp.Click(`tbody a[href^="/portal/users/"]`))
	grace.until("Ada Lovelace", "Revoke sessions", "Legacy")
	grace.shot("profile")
	grace.do(chromedp.KeyEvent("r"))
	grace.until("Revoke Ada Lovelace's sessions?", "Legacy", "Keep sessions")
	grace.shot("confirm")
	began := time.Now()
	grace.do(chromedp.Click(`form[data-once] button.danger`))
	ended := ada.until("Access ended at", "refused by Mail", "401 insufficient_claims", "refused by curfew", "400 invalid_grant")
	t.Logf("the page said so %s after the button:\n%s", time.Since(began).Round(time.Millisecond), ended)
	grace.until("2 of 2 guards confirmed", "Legacy")
	grace.shot("receipt")
	ada.shot("mail-ended")

	other.do(chromedp.Navigate(d.legacy))
	other.until("Expense reports", "No guard.")
	other.do(chromedp.Navigate(d.drive))
	other.until("Access ended at", "refused by Drive")

	// And in again, at once, with a password.
	ada.do(chromedp.Click(`a.primary`))
	ada.signIn("ada@contoso.example", d.password)
	ada.until("Inbox", "Re: the engine")
}
