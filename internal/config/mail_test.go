package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/fault"
)

func TestThePasswordOfTheMailServerIsInAFileOrTheEnvironment(t *testing.T) {
	c := config.Default()
	if p, err := c.SMTPPassword(); p != "" || err != nil {
		t.Errorf("%q %v", p, err)
	}
	c.SMTPFile = filepath.Join(t.TempDir(), "smtp")
	if _, err := c.SMTPPassword(); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(c.SMTPFile, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := c.SMTPPassword(); p != "from the file" || err != nil {
		t.Errorf("%q %v", p, err)
	}
	t.Setenv(config.SMTPEnv, "from the environment")
	if p, err := c.SMTPPassword(); p != "from the environment" || err != nil {
		t.Errorf("%q %v", p, err)
	}
}
