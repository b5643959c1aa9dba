package account_test

import (
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// pass has an administrator give ada a temporary access pass.
func (h *house) pass(wish factor.PassWish) string {
	h.t.Helper()
	p, err := h.factor.IssuePass(h.t.Context(), h.grace(), ada, wish, manage.Act{Reason: "lost everything"})
	if err != nil {
		h.t.Fatal(err)
	}
	return p.Value
}

// enter types a pass on the page that the sign-in page leads to.
func (b *tab) enter(next, value string) {
	b.t.Helper()
	b.visit("/signin?next=" + next)
	b.at("Sign in")
	b.click(`a[href^="/signin/pass?"]`)
	b.at("Use a temporary access pass")
	b.fill("#f-username", ada)
	b.fill("#f-pass", value)
	b.click("#sign-in")
}

// refused waits for the page to say that the pass opens nothing, and sees that.
func (b *tab) refused() {
	b.t.Helper()
	b.until(`document.title.startsWith("Error: ") && document.querySelector(".problem")?.textContent.includes("The user name or the pass is not right")`)
	b.visit("/account")
	b.at("Sign in")
}

// Who has lost everything gets a pass from an administrator: it is both factors, so
// that a policy is content and a method can be registered; one for once is used up by
// the sign-in, and what is over opens nothing.
func TestATemporaryPassInABrowser(t *testing.T) {
	h := newHouse(t)
	b := h.browse()
	h.rule(storetest.Policy(1, "", storetest.AsksMFA))

	once := h.pass(factor.PassWish{Once: true})
	b.enter("%2Faccount%2Fmethods", once)
	b.at("Ways to prove who you are") // and nothing else was asked for
	b.until(`!document.querySelector(".notice") && !document.querySelector("main").textContent.includes("Temporary access pass")`)
	b.click("#add-passkey")
	b.at("Add a passkey")
	b.fill("#f-name", "New phone")
	b.click("#passkey")
	b.at("Ways to prove who you are")
	b.until(`document.querySelector("tbody")?.textContent.includes("New phone")`)
	b.signOut()
	b.enter("%2Faccount", once)
	b.refused()

	// One that is good for an hour, and not longer.
	long := h.pass(factor.PassWish{Life: time.Hour})
	for range 2 {
		b.enter("%2Faccount", long)
		b.at("My account")
		b.signOut()
	}
	b.enter("%2Faccount", long[:len(long)-1]+"x")
	b.refused()
	h.Clock.Add(time.Hour)
	b.enter("%2Faccount", long)
	b.refused()

	// What was registered with the first opens the account without any.
	b.visit("/signin?next=%2Faccount")
	b.at("Sign in")
	b.click("#passkey")
	b.at("Sign in with a passkey")
	b.click("#passkey")
	b.at("My account")
}
