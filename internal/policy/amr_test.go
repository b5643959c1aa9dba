package policy_test

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/policy"
)

func TestWordsOfAMRAreMethods(t *testing.T) {
	for words, want := range map[string]policy.Methods{
		"":                  0,
		"pwd":               policy.Password.Set(),
		"pwd otp":           policy.Password.Set() | policy.SoftwareOTP.Set(),
		"fido":              policy.Passkey.Set(),
		"tap":               policy.PassOnce.Set(),
		"tapm":              policy.PassMulti.Set(),
		"pwd rc":            policy.Password.Set() | policy.RecoveryCode.Set(),
		"otp fed pwd fido":  policy.SoftwareOTP.Set() | policy.FederatedSingle.Set(), // what another says of itself is one factor
		"pwd mfa something": policy.Password.Set(),
	} {
		if got := policy.MethodsOf(strings.Fields(words)); got != want {
			t.Errorf("%q: %b, want %b", words, got, want)
		}
	}
	for words, two := range map[string]bool{"pwd": false, "otp": false, "pwd otp": true, "fido": true, "tap": true, "pwd rc": true, "fed mfa fido": false, "otp fed": true} {
		if policy.TwoFactors(policy.MethodsOf(strings.Fields(words))) != two {
			t.Errorf("%q: two factors %v", words, !two)
		}
	}
}
