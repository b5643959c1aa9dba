package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// A real browser registers itself, is known again when somebody signs in, and what it
// holds ends with the device. Another browser that has its cookies is not known.
func TestABrowserRegistersItselfAndIsKnownAgain(t *testing.T) {
	t.Parallel()
	n := start(t, "", func(c *config.Config) { c.TLS, c.PublicURL = "off", strings.Replace(c.PublicURL, "https", "http", 1) })
	ctx, _ := webkittest.Browse(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>x</title>")
	}))
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(stop)
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(js string) {
		t.Helper()
		var last error
		for range 5 { // the page may go away under a poll
			if _, last = chromedp.Run(ctx, chromedp.Poll[bool](js, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(5*time.Second))); last == nil {
				return
			}
		}
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		t.Fatalf("%s: %v\n%s", js, last, text)
	}
	signIn := func(next string) {
		t.Helper()
		do(chromedp.Navigate(n.base + "/signin?next=" + url.QueryEscape(next)))
		wait(`!!document.querySelector("input[name=password]")`)
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const f = document.querySelector("input[name=password]").form; f.username.value = "ada@contoso.example"; f.password.value = "correct horse battery"; f.requestSubmit(); return true; })()`)); err != nil {
			t.Fatal(err)
		}
	}
	// session moves the cookies of the browser, or some of them, to where a program
	// can ask for tokens.
	session := func(only string) {
		t.Helper()
		res, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{n.base}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(n.base)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range res.Cookies {
			if only == "" || c.Name == only {
				n.http.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/"}})
			}
		}
	}
	deviceOf := func(out tokens) string {
		var claims struct {
			Device string `json:"deviceid"`
		}
		claimsOf(t, out.Access, &claims)
		return claims.Device
	}

	submit := func() {
		t.Helper()
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const f = document.querySelector("form[data-device]"); f.elements.name.value = "Ada's laptop"; f.requestSubmit(); return true; })()`)); err != nil {
			t.Fatal(err)
		}
	}

	signIn("/account/devices/register")
	wait(`location.pathname === "/account/devices/register" && !document.querySelector("form[data-device]").hidden`)
	submit()
	wait(`location.pathname === "/account" && document.body.innerText.includes("Ada's laptop (this one)") && !document.querySelector("#register-device")`)
	session("")
	first := n.signInHere(t)
	device := deviceOf(first)
	if device == "" {
		t.Fatal("the tokens of the session in which the device was registered do not name it")
	}
	// The key is there, and no script can take it away.
	taken, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => {
		const db = await new Promise(y => { const r = indexedDB.open("curfew-device", 1); r.onsuccess = () => y(r.result); });
		const key = await new Promise(y => { const r = db.transaction("keys").objectStore("keys").get("`+device+`"); r.onsuccess = () => y(r.result); });
		db.close();
		if (!key) return "no key";
		try { await crypto.subtle.exportKey("jwk", key); return "taken"; } catch (e) { return e.name; }
	})()`, chromedp.EvalAwaitPromise))
	if err != nil || taken != "InvalidAccessError" {
		t.Errorf("the key: %s %v", taken, err)
	}

	// Signed out and in again: known, on the way to where Ada was going.
	do(chromedp.Navigate(n.base + "/signout"))
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { const b = document.querySelector("form button"); if (b) b.click(); return true; })()`)); err != nil {
		t.Fatal(err)
	}
	wait(`!document.querySelector("form[action='/signout']")`)
	signIn("/account/password")
	wait(`location.pathname === "/account/password"`)
	session("")
	again := n.signInHere(t)
	if got := deviceOf(again); got != device {
		t.Fatalf("signed in again on %q, want %s", got, device)
	}

	// A thief who knows the password has copied the cookie too, but not the key.
	thief := n.anew(t)
	thief.signIn(t, mailScope, "ada@contoso.example")
	for _, c := range n.http.Jar.Cookies(mustURL(t, n.base)) {
		if c.Name == "curfew-device" {
			thief.http.Jar.SetCookies(mustURL(t, n.base), []*http.Cookie{c})
		}
	}
	ask := func(path, in string) (int, string) {
		t.Helper()
		res, err := thief.http.Post(n.base+"/account/devices/recognise"+path, "application/json", strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body(t, res)
	}
	status, text := ask("/challenge", "{}")
	var c struct{ Challenge string }
	if err := json.Unmarshal([]byte(text), &c); err != nil || status != http.StatusOK || c.Challenge == "" {
		t.Fatalf("challenge: %d %s", status, text)
	}
	if status, text := ask("", fmt.Sprintf(`{"challenge":%q,"proofs":[{"device":%q,"signature":%q}]}`, c.Challenge, device, strings.Repeat("A", 85)+"A")); status != http.StatusForbidden {
		t.Errorf("a made-up signature: %d %s", status, text)
	}
	stolen := thief.signInHere(t)
	if got := deviceOf(stolen); got != "" {
		t.Errorf("a copied cookie is the device %s", got)
	}

	// Lost: everything on it ends, and nothing else.
	admin := n.anew(t).signIn(t, "openid https://graph.microsoft.com/.default", "grace@contoso.example").Access
	req, err := http.NewRequest(http.MethodPost, n.base+"/v1.0/curfew/devices/"+device+"/lost", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	res, err := n.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if text := body(t, res); res.StatusCode != http.StatusNoContent || res.Header.Get("Curfew-Receipt") == "" {
		t.Fatalf("lost: %d %s", res.StatusCode, text)
	}
	for name, tt := range map[string]struct {
		refresh string
		lives   bool
	}{"on the device": {again.Refresh, false}, "on the device, before": {first.Refresh, false}, "elsewhere": {stolen.Refresh, true}} {
		status, out := n.anew(t).token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tt.refresh}})
		if (status == http.StatusOK) != tt.lives {
			t.Errorf("%s: %d %+v", name, status, out)
		}
	}
	do(chromedp.Navigate(n.base + "/account"))
	wait(`location.pathname === "/signin"`)
	signIn("/account")
	wait(`location.pathname === "/account"`)
	session("")
	if got := deviceOf(n.signInHere(t)); got != "" {
		t.Errorf("a lost device is known again: %s", got)
	}

	// Deleted by its owner, and a policy demands a device: this browser is led to become
	// one, and then told that it is not compliant.
	wait(`document.body.innerText.includes("Lost since") && !!document.querySelector("form[action='/account/devices/` + device + `/delete'] button")`)
	do(chromedp.Click(`form[action="/account/devices/` + device + `/delete"] button`))
	wait(`document.body.innerText.includes("The device was deleted") && document.body.innerText.includes("Everything on Ada's laptop ended")`)
	n.policy(t, admin, "", `"grantControls":{"operator":"OR","builtInControls":["compliantDevice"]}`)
	do(chromedp.Navigate(n.base + n.asksMail()))
	wait(`location.pathname === "/account/devices/register" && !document.querySelector("form[data-device]").hidden`)
	submit()
	wait(`document.body.innerText.includes("AADSTS53000")`)
	// What it was registered as here it can end here: it is signed out.
	do(chromedp.Navigate(n.base + "/account"))
	wait(`document.body.innerText.includes("Ada's laptop (this one)")`)
	do(chromedp.Click(`form[action$="/lost"] button`))
	wait(`document.body.innerText.includes("Signed out on this device")`)
	do(chromedp.Navigate(n.base + "/account"))
	wait(`location.pathname === "/signin"`)
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
