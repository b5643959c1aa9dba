package issue_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// change saves tripboard with a change and authenticates it anew.
func (w *world) change(f func(*directory.App)) {
	w.t.Helper()
	app := *w.client.App
	f(&app)
	w.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
	w.client = w.authenticate(issue.Credentials{ID: app.ID})
}

// spa signs ada in through a redirect URI of a browser-only application.
func (w *world) spa() *issue.Tokens {
	w.t.Helper()
	const uri = "https://tripboard.example/app"
	plan, err := w.issue.Plan(context.Background(), w.client.App, allScopes, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(verifier))
	code, err := w.issue.Authorize(context.Background(), issue.AuthorizeRequest{App: w.client.App, Session: w.Session(w.Ada).ID, Plan: plan, Scope: allScopes,
		RedirectURI: uri, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Issuer: grant.Tenant})
	if err != nil {
		w.t.Fatal(err)
	}
	tok, err := w.issue.Code(context.Background(), w.client, issue.CodeRequest{Code: code, RedirectURI: uri, Verifier: verifier, Issuer: grant.Tenant})
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

// RT-04: a rotated refresh token does not outlive the end that the first one had.
func TestABrowserOnlyGrantEndsADayAfterItBeganAndSoDoesWhatIsMadeFromIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.change(func(a *directory.App) { a.SPARedirectURIs = []string{"https://tripboard.example/app"} })
		mail := w.mailService()
		tok := w.spa()
		if tok.RefreshExpiresIn != 24*time.Hour {
			t.Errorf("ends in %s", tok.RefreshExpiresIn)
		}
		if other := w.signIn(); other.RefreshExpiresIn != 90*24*time.Hour {
			t.Errorf("through another redirect URI of the same application: ends in %s", other.RefreshExpiresIn)
		}
		w.Clock.Add(23*time.Hour + 30*time.Minute)
		tok, err := w.refresh(tok.Refresh, "")
		if err != nil || tok.RefreshExpiresIn != 30*time.Minute || tok.ExpiresIn != 30*time.Minute {
			t.Fatalf("refresh: ends in %s, the access token in %s, %v", tok.RefreshExpiresIn, tok.ExpiresIn, err)
		}
		child, err := w.obo(mail, tok.Access, driveForMSAL)
		if err != nil || child.RefreshExpiresIn != 30*time.Minute || child.ExpiresIn != 30*time.Minute {
			t.Fatalf("child: ends in %s, %v", child.RefreshExpiresIn, err)
		}
		w.Clock.Add(30 * time.Minute)
		if _, err := w.refresh(tok.Refresh, ""); sub(err) != "invalid_grant/bad_token" || number(err) != 700084 {
			t.Errorf("after a day: %v (%d)", err, number(err))
		}
		if _, err := w.refreshAs(mail, child.Refresh, ""); number(err) != 700084 {
			t.Errorf("the child after a day: %v (%d)", err, number(err))
		}
	})
}

func TestAGrantEndsWhenItsApplicationSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.change(func(a *directory.App) { a.GrantAbsolute = 48 * time.Hour })
		tok := w.signIn()
		for range 3 {
			w.Clock.Add(15 * time.Hour)
			next, err := w.refresh(tok.Refresh, "")
			if err != nil || next.RefreshExpiresIn != tok.RefreshExpiresIn-15*time.Hour {
				t.Fatalf("ends in %s, was %s, %v", next.RefreshExpiresIn, tok.RefreshExpiresIn, err)
			}
			tok = next
		}
		w.Clock.Add(3 * time.Hour)
		if _, err := w.refresh(tok.Refresh, ""); number(err) != 700084 {
			t.Errorf("used all the time, and over: %v", err)
		}
		w.change(func(a *directory.App) { a.GrantAbsolute = 0 })
		tok = w.signIn()
		w.issue.Lifetimes.GrantAbsolute = time.Hour // the directory's own limit
		if short := w.signIn(); short.RefreshExpiresIn != time.Hour || tok.RefreshExpiresIn != 90*24*time.Hour {
			t.Errorf("ends in %s, without a limit in %s", short.RefreshExpiresIn, tok.RefreshExpiresIn)
		}
	})
}

func TestStrictApplicationsLoseTheGrantAtTheSecondUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.change(func(a *directory.App) { a.Refresh = directory.RefreshStrict })
		first := w.signIn()
		second, err := w.refresh(first.Refresh, "")
		if err != nil || second.Refresh == first.Refresh {
			t.Fatal(err)
		}
		if _, err := w.refresh(first.Refresh, ""); sub(err) != "invalid_grant/bad_token" {
			t.Fatalf("again, at once: %v", err)
		}
		if _, err := w.refresh(second.Refresh, ""); sub(err) != "invalid_grant/bad_token" || w.alive(second.Access) {
			t.Errorf("the grant lives: %v", err)
		}
	})
}

func TestBoundApplicationsKeepTheTokenOnlyIfAKeyBindsIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.change(func(a *directory.App) { a.Refresh = directory.RefreshBound })
		loose := w.signIn()
		if next, err := w.refresh(loose.Refresh, ""); err != nil || next.Refresh == loose.Refresh || next.Outcome != grant.Rotated {
			t.Errorf("without a key it must rotate (RT-02): %v", err)
		}
	})
}

// Several tabs and processes share one refresh token and redeem it for what each
// of them needs, at once. Whatever they are answered, the family lives.
func TestConcurrentRedemptionNeverLosesTheFamily(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		w.Update(func(tx *store.Tx) error {
			return tx.SaveConsent(directory.Consent{User: w.Ada.ID, App: w.App.ID, Resource: directory.OwnAPI, Scopes: []string{"openid", "profile"}})
		})
		tok := w.signIn()
		scopes := []string{"api://mail/Read", "api://drive/Read", "openid profile"}
		for round := range 3 {
			var mu sync.Mutex
			given := map[string]int{}
			refused := 0
			var wg sync.WaitGroup
			for range 16 {
				for _, scope := range scopes {
					wg.Go(func() {
						next, err := w.refresh(tok.Refresh, scope)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case err == nil:
							given[next.Refresh]++
						case fault.Is(err, fault.Unavailable):
							refused++
						default:
							t.Errorf("round %d: %v", round, err)
						}
					})
				}
			}
			wg.Wait()
			if len(given) != 1 {
				t.Fatalf("round %d: %d different successors", round, len(given))
			}
			for successor, n := range given {
				if n < len(scopes) || n+refused != 16*len(scopes) {
					t.Errorf("round %d: %d were given, %d asked to wait", round, n, refused)
				}
				w.Clock.Add(time.Hour)
				next, err := w.refresh(successor, "")
				if err != nil {
					t.Fatalf("round %d, an hour later: %v", round, err)
				}
				tok = next
			}
			w.Clock.Add(time.Hour)
		}
	})
}

func TestScopeIsNarrowedForOneTokenAndNeverWidened(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		code, err := w.code(w.Session(w.Ada), "openid offline_access api://mail/Read api://mail/Write")
		if err != nil {
			t.Fatal(err)
		}
		tok, err := w.redeem(code)
		if err != nil {
			t.Fatal(err)
		}
		narrow, err := w.refresh(tok.Refresh, "api://mail/Read")
		if err != nil || claims(t, narrow.Access).Scp != "Read" {
			t.Fatalf("narrowed: %v", err)
		}
		// RT-01: the new refresh token keeps what the first one was given.
		if whole, err := w.refresh(narrow.Refresh, ""); err != nil || claims(t, whole.Access).Scp != "Read Write" {
			t.Errorf("asked for nothing in particular: %v", err)
		} else if _, err := w.refresh(whole.Refresh, "api://mail/Read api://drive/Write"); err != nil && sub(err) != "invalid_grant/consent_required" {
			t.Errorf("what nobody consented to: %v", err)
		} else if _, err := w.refresh(whole.Refresh, "api://drive/Write"); sub(err) != "invalid_grant/consent_required" {
			t.Errorf("what nobody consented to: %v", err)
		}
	})
}
