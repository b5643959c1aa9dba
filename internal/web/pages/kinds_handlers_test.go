package pages

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
)

func TestEveryKindHasAnAnswerForApplications(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		if r, ok := toApp[k]; !ok || r.code == "" || r.number == 0 {
			t.Errorf("%v: %+v", k, r)
		}
	}
	if len(toApp) != len(fault.Kinds()) {
		t.Errorf("%d answers for %d kinds", len(toApp), len(fault.Kinds()))
	}
}

func TestToldShowsNothingFromInside(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("authorize: %w", errors.New("select * from users: no such table"))
	if got := told(err); got.code != "server_error" || strings.Contains(description(err, got.number), "select") {
		t.Errorf("%+v %s", got, description(err, got.number))
	}
	// The names of a dead grant belong to the token endpoint.
	err = fault.Wrap(fault.Revoked, "Over.", &issue.Error{Code: "invalid_grant", Number: 50173, Sub: "bad_token"})
	if got := told(err); got.code != "login_required" {
		t.Errorf("%+v", got)
	}
	err = fault.Wrap(fault.Invalid, "No \"such\" \\ scope: ü\n", &issue.Error{Code: "invalid_scope", Number: 70011})
	if got := description(err, told(err).number); got != "AADSTS70011: No 'such' ' scope: ??" {
		t.Errorf("%q", got)
	}
}

func TestSealIsBoundToItsPurpose(t *testing.T) {
	t.Parallel()
	s := &Server{Secret: []byte("0123456789abcdef0123456789abcdef")}
	text := s.seal("flow", step{Next: "/account", User: "ada"})
	var got step
	if !s.unseal("flow", text, &got) || got.Next != "/account" || got.User != "ada" {
		t.Errorf("%+v", got)
	}
	body, sum, _ := strings.Cut(text, ".")
	other := &Server{Secret: []byte("another secret of the same size!")}
	for name, ok := range map[string]bool{
		"another purpose": s.unseal("proof", text, &got), "another key": other.unseal("flow", text, &got), "another body": s.unseal("flow", body+"AA."+sum, &got),
		"no sum": s.unseal("flow", body, &got), "an empty sum": s.unseal("flow", body+".", &got), "a short sum": s.unseal("flow", body+"."+sum[:20], &got), "nothing": s.unseal("flow", "", &got),
	} {
		if ok {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestGuessesAreBounded(t *testing.T) {
	t.Parallel()
	var guessed tries
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for i := range maxGuesses {
		if until := guessed.spent("ada", now); !until.IsZero() {
			t.Fatalf("refused after %d", i)
		}
		guessed.wrong("ada", now)
	}
	if until := guessed.spent("ada", now); !until.Equal(now.Add(guessWindow)) {
		t.Errorf("until %v", until)
	}
	if until := guessed.spent("grace", now); !until.IsZero() {
		t.Error("somebody else is refused")
	}
	if until := guessed.spent("ada", now.Add(guessWindow)); !until.IsZero() {
		t.Error("refused for ever")
	}
}

// The demonstration runs on plain loopback, where browsers take neither Secure nor
// the prefix; nothing else does without them.
func TestCookieOnPlainLoopback(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://127.0.0.1:8080":      "curfew=v; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax",
		"https://id.contoso.example": "__Host-curfew=v; Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Lax",
	} {
		s := &Server{Issue: &issue.Service{Base: base, Lifetimes: grant.DefaultLifetimes()}}
		w := httptest.NewRecorder()
		s.SetCookie(w, "v", true)
		if got := w.Header().Get("Set-Cookie"); got != want {
			t.Errorf("%s: %s", base, got)
		}
	}
}
