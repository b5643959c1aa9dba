package keys_test

import (
	"bytes"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestASealedSecretOpensForItsPurposeAndOwnerOnly(t *testing.T) {
	t.Parallel()
	k, _ := open(t, 'a')
	other, _ := open(t, 'b')
	secret := []byte("a secret of somebody else's server")
	sealed, err := k.Seal("provider secret", "partner", secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, secret[:8]) {
		t.Error("it can be read without opening it")
	}
	if again, err := k.Seal("provider secret", "partner", secret); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealed twice, it is the same (%v)", err)
	}
	if got, err := k.Unseal("provider secret", "partner", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%q, %v", got, err)
	}
	spoiled := bytes.Clone(sealed)
	spoiled[len(spoiled)-1] ^= 1
	for why, f := range map[string]func() ([]byte, error){
		"another owner":      func() ([]byte, error) { return k.Unseal("provider secret", "mallory", sealed) },
		"another purpose":    func() ([]byte, error) { return k.Unseal("another secret", "partner", sealed) },
		"another master key": func() ([]byte, error) { return other.Unseal("provider secret", "partner", sealed) },
		"spoiled":            func() ([]byte, error) { return k.Unseal("provider secret", "partner", spoiled) },
		"too short":          func() ([]byte, error) { return k.Unseal("provider secret", "partner", sealed[:5]) },
	} {
		if got, err := f(); !fault.Is(err, fault.Unavailable) || got != nil {
			t.Errorf("%s: %q, %v", why, got, err)
		}
	}
}
