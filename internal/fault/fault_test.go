package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestTheCauseNeverShows(t *testing.T) {
	cause := errors.New("password=hunter2")
	err := fmt.Errorf("revoke ada: %w", fault.Wrap(fault.Unavailable, "The database did not answer.", cause))
	if fault.KindOf(err) != fault.Unavailable || !fault.Is(err, fault.Unavailable) || fault.Is(nil, fault.Internal) {
		t.Error("kind")
	}
	if got := fault.Public(err); got != "The database did not answer." {
		t.Errorf("shown: %q", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost to the log")
	}
	if got := fault.Public(cause); strings.Contains(got, "hunter2") || fault.KindOf(cause) != fault.Internal {
		t.Errorf("a plain error shows itself: %q", got)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range fault.Kinds() {
		if k.String() == "" || seen[k.String()] {
			t.Errorf("kind %d: %q", k, k)
		}
		seen[k.String()] = true
	}
}
