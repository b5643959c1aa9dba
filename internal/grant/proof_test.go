package grant_test

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
)

func TestWhatWasGivenHereStaysBesideWhatIsGivenAgain(t *testing.T) {
	for _, x := range []struct{ had, now, added, reproved string }{
		{"pwd", "otp", "pwd otp", "otp pwd"},
		{"pwd otp", "pwd", "pwd otp", "pwd otp"},
		{"fed pwd", "otp", "otp fed pwd", "otp"},
		{"otp fed pwd", "fed mfa", "otp fed mfa fed pwd", "otp fed mfa"},
	} {
		had, now := strings.Fields(x.had), strings.Fields(x.now)
		if got := strings.Join(grant.Reproved(had, now), " "); got != x.reproved {
			t.Errorf("%q then %q: %q, want %q", x.had, x.now, got, x.reproved)
		}
		if got := strings.Join(grant.Added(had, now), " "); got != x.added && now[0] != grant.AMRFederated {
			t.Errorf("%q and %q: %q, want %q", x.had, x.now, got, x.added)
		}
		if strings.Join(had, " ") != x.had {
			t.Errorf("changed what it was given: %q", had)
		}
	}
	for word, m := range map[string]policy.Method{grant.AMRPassword: policy.Password, grant.AMROTP: policy.SoftwareOTP, grant.AMRPasskey: policy.Passkey, grant.AMRPass: policy.PassOnce,
		grant.AMRPassMulti: policy.PassMulti, grant.AMRRecovery: policy.RecoveryCode, grant.AMRFederated: policy.FederatedSingle} {
		if policy.MethodsOf([]string{word}) != m.Set() {
			t.Errorf("%s is not a word for method %d", word, m)
		}
	}
}
