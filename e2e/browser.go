package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// Chromium returns the path of a Chromium browser to drive. Where none is
// installed the test is skipped, or fails when CURFEW_CI=1.
func Chromium(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CURFEW_CI") == "1" {
		tb.Fatal("Chromium not found")
	}
	tb.Skip("Chromium not found (apt-get install chromium)")
	return ""
}
