package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/issue"
)

func TestEveryKindHasAWire(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		if w, ok := wires[k]; !ok || w.status < 400 || w.code == "" || w.number == 0 {
			t.Errorf("%v: %+v", k, w)
		}
	}
	if len(wires) != len(fault.Kinds()) {
		t.Errorf("%d wires for %d kinds", len(wires), len(fault.Kinds()))
	}
}

func TestTellShowsNothingFromInside(t *testing.T) {
	t.Parallel()
	inside := errors.New("select * from users: no such table")
	if got := tell(fmt.Errorf("refresh: %w", inside)); got.status != 500 || got.code != "server_error" || got.text != fault.Public(nil) {
		t.Errorf("internal: %+v", got)
	}
	if got := tell(fault.Wrap(fault.Unavailable, "Later.", inside)); got.status != 503 || got.code != "temporarily_unavailable" || got.text != "Later." {
		t.Errorf("unavailable: %+v", got)
	}
	// A name for the wire behind a fault that is ours does not make it the caller's.
	if got := tell(fault.Wrap(fault.Unavailable, "Later.", &issue.Error{Code: "invalid_grant", Number: 1})); got.status != 503 {
		t.Errorf("unavailable with a name: %+v", got)
	}
	if got := tell(fault.Wrap(fault.Revoked, "Over.", &issue.Error{Code: "invalid_grant", Number: 50173, Sub: "bad_token"})); got.status != 400 || got.number != 50173 || got.sub != "bad_token" {
		t.Errorf("revoked: %+v", got)
	}
}

func TestQuotedIsJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", `a "quoted" \ one`, "line\nbreak", "ünï <b>&", "\x00\x7f", "bad\xff"} {
		var got string
		if err := json.Unmarshal(quoted(nil, s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
	}
}
