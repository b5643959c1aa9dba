package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

// tab is a Chromium with an authenticator that knows its owner.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	key  webauthn.AuthenticatorID
}

// browse serves the house by a name, as passkeys demand, and opens a browser at it.
func (h *house) browse() *tab {
	h.t.Helper()
	ctx, base := webkittest.Browse(h.t, h)
	b := &tab{t: h.t, ctx: ctx, base: strings.Replace(base, "127.0.0.1", "localhost", 1)}
	h.serve(b.base)
	_, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{})
	b.must(err)
	r, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}})
	b.must(err)
	b.key = r.AuthenticatorID
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) visit(path string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Navigate(b.base+path)))
}

// until waits for a page of which js holds.
func (b *tab) until(js string) {
	b.t.Helper()
	var last error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		// A navigation in between takes the page away: ask the next one.
		if _, last = chromedp.Run(b.ctx, chromedp.Poll[bool](js, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(3*time.Second))); last == nil {
			return
		}
	}
	seen, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + " " + document.querySelector("main")?.innerText`))
	b.t.Fatalf("never: %s (%v) at %.600s", js, last, seen)
}

// at waits for a page with a heading, whole.
func (b *tab) at(heading string) {
	b.t.Helper()
	b.until(`document.readyState === "complete" && [document.querySelector("h1")?.textContent, document.title.replace(" – curfew", "")].includes("` + heading + `")`)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Click(selector)))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.SetValue(selector, text)))
}

// password signs ada in on the sign-in page.
func (b *tab) password() {
	b.t.Helper()
	b.at("Sign in")
	b.fill("#f-username", ada)
	b.fill("#f-password", password)
	b.click("#sign-in")
}

func (b *tab) signOut() {
	b.t.Helper()
	b.visit("/signout")
	b.at("Sign out?")
	b.click("#sign-out")
	b.at("Signed out")
}

// A passkey from beginning to end: made on the account page, used as the only proof,
// and as a second factor after the password.
func TestAPasskeyInABrowser(t *testing.T) {
	h := newHouse(t)
	b := h.browse()
	b.visit("/account/methods")
	b.password()
	b.at("Ways to prove who you are")
	b.click("#add-passkey")
	b.at("Add a passkey")
	b.fill("#f-name", "Laptop")
	b.click("#passkey")
	b.at("Ways to prove who you are")
	b.until(`document.querySelector("tbody th a")?.textContent === "Laptop" && document.querySelector("[role=status]").textContent.includes("It was added.")`)

	// The only proof: no name is typed, and the second factor is given by it.
	b.signOut()
	b.visit("/signin?next=%2Faccount%2Fmethods")
	b.at("Sign in")
	b.click("#passkey")
	b.at("Sign in with a passkey")
	b.click("#passkey")
	b.at("Ways to prove who you are")
	b.until(`!document.querySelector(".notice") && document.querySelector("tbody").textContent.includes("Laptop")`) // may be changed: proven by both factors
	// The same one is not made twice on the same device.
	b.click("#add-passkey")
	b.at("Add a passkey")
	b.click("#passkey")
	b.until(`document.querySelector("[data-said]:not([hidden])")?.textContent.includes("holds a passkey of yours already") && !document.querySelector("#passkey").disabled`)

	// After a password.
	b.signOut()
	b.visit("/signin?next=%2Faccount%2Fmethods")
	b.password()
	b.at("Ways to prove who you are")
	b.click(".notice a")
	b.at("Use your passkey")
	b.click("#passkey")
	b.at("Ways to prove who you are")
	b.until(`!document.querySelector(".notice")`)

	// An authenticator that does not know its owner proves nothing.
	b.signOut()
	_, err := chromedp.Call(b.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.key})
	b.must(err)
	b.visit("/signin/passkey")
	b.at("Sign in with a passkey")
	b.click("#passkey")
	b.until(`document.querySelector("[data-said]:not([hidden])")?.textContent.includes("No passkey was used")`)
	_, err = chromedp.Call(b.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: b.key, IsUserVerified: true})
	b.must(err)

	// A revocation between the password and the passkey: the sign-in begins again, and
	// with the password alone.
	b.visit("/signin?next=%2Faccount%2Fmethods")
	b.password()
	b.at("Ways to prove who you are")
	b.click(".notice a")
	b.at("Use your passkey")
	h.cut()
	b.click("#passkey")
	b.until(`document.querySelector("[data-said]:not([hidden])")?.textContent.includes("This sign-in is over. Load the page again.")`)
	b.visit("/account")
	b.at("Sign in")

	// And between the challenge and the answer: it is cut while the answer travels.
	b.password()
	b.at("My account")
	b.visit("/signin/second?next=%2Faccount")
	b.at("Use your passkey")
	h.before("POST /signin/second/passkey", h.cut)
	b.click("#passkey")
	b.at("Sign in")
	b.visit("/account")
	b.at("Sign in")
}

// A policy demands more than a password: a passkey is made inside the sign-in and used;
// the next time it is asked for after the password; alone it is enough.
func TestAPolicyIsMetByAPasskeyInABrowser(t *testing.T) {
	h := newHouse(t)
	b := h.browse()
	h.rule(storetest.Policy(1, "", storetest.AsksMFA))
	b.visit("/signin?next=%2Fdevice")
	b.password()
	b.at("Connect a device") // what it shows is nobody's secret
	b.visit("/account")
	b.at("Set up a second factor first")
	b.click("#to-passkey")
	b.at("Add a passkey")
	b.click("#passkey")
	b.at("Use your passkey")
	b.click("#passkey")
	b.at("Recovery codes")
	b.click("a.line")
	b.at("My account")
	b.signOut()
	b.visit("/signin?next=%2Faccount")
	b.password()
	b.at("Use your passkey")
	b.visit("/account") // half is not enough
	b.at("Use your passkey")
	b.click("#passkey")
	b.at("My account")
	b.signOut()
	b.visit("/signin?next=%2Faccount")
	b.at("Sign in")
	b.click("#passkey")
	b.at("Sign in with a passkey")
	b.click("#passkey")
	b.at("My account")
	h.rule(storetest.Policy(1, "", storetest.Blocks))
	b.visit("/account")
	b.at("Your access is blocked")
	b.until(`!document.querySelector("[data-copy-from=trace]").hidden && document.querySelector("#trace").textContent.includes("AADSTS53003")`)
}

// An authenticator app, set up inside a sign-in and used; then a recovery code, once.
func TestAnAuthenticatorAppInABrowser(t *testing.T) {
	h := newHouse(t)
	b := h.browse()
	b.visit("/signin?next=%2Fdevice")
	b.password()
	b.at("Connect a device")
	b.visit("/signin/second?next=%2Fdevice")
	b.at("Set up a second factor first")
	b.click("#app")
	b.at("Add an authenticator app")
	b.until(`document.querySelector("svg.qr").getBoundingClientRect().width >= 150 && document.activeElement.id === "f-code"`)
	key, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.querySelector("#key").textContent`))
	b.must(err)
	b.fill("#f-code", "000000")
	b.click("#confirm")
	b.until(`document.title.startsWith("Error: ") && document.activeElement.classList.contains("problem") && document.querySelector("#key").textContent === "` + key + `"`)
	b.fill("#f-code", totp(t, key, h.Clock.Now()))
	b.click("#confirm")
	b.at("Enter the code")
	h.Clock.Add(30 * time.Second)
	b.fill("#f-code", totp(t, key, h.Clock.Now()))
	b.click("#go-on")
	b.at("Recovery codes")
	b.click("#make")
	b.until(`document.querySelectorAll("#codes li").length === 10 && !document.querySelector("[data-print]").hidden`)
	codes, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`[...document.querySelectorAll("#codes li")].map(e => e.textContent.trim()).join(" ")`))
	b.must(err)
	b.click("#go-on")
	b.at("Connect a device")

	code := strings.Fields(codes)[0]
	for _, good := range []bool{true, false} {
		b.signOut()
		b.visit("/signin?next=%2Faccount")
		b.password()
		b.at("My account")
		b.visit("/signin/second?next=%2Faccount&way=recovery")
		b.at("Use a recovery code")
		b.fill("#f-code", code)
		b.click("#go-on")
		if good {
			b.at("My account")
			continue
		}
		b.until(`document.title === "Error: Use a recovery code – curfew" && document.querySelector("#e-code").textContent.includes("it was used already")`)
	}
}
