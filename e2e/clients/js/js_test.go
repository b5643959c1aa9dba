// Package js_test runs openid-client, msal-node and the Graph client for
// JavaScript, on Node.js.
package js_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/e2e/clients/world"
)

func TestMain(m *testing.M) { world.Main(m) }

const oldest = 20 // what msal-node demands

// missing says why the JavaScript clients cannot run here, or "".
func missing() string {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " not found"
		}
	}
	out, err := exec.Command("node", "--version").Output()
	var major int
	if _, scan := fmt.Sscanf(string(out), "v%d.", &major); err != nil || scan != nil || major < oldest {
		return fmt.Sprintf("node %s is older than %d", strings.TrimSpace(string(out)), oldest)
	}
	return ""
}

// TestJavaScript installs what package-lock.json pins, in a folder of its own, and
// runs every *.test.mjs. One server for all, one file after the other: they revoke
// the same people.
func TestJavaScript(t *testing.T) {
	if why := missing(); why != "" {
		if os.Getenv("CURFEW_CI") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	dir := t.TempDir()
	for _, pattern := range []string{"package*.json", ".npmrc", "*.mjs"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, dir, 5*time.Minute, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")

	w := world.Start(t)
	cert, key := world.Certificate()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	admin := w.Admin(t)
	clock := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hours, _ := strconv.Atoi(r.FormValue("hours"))
		w.Age(t, admin, r.FormValue("user"), time.Duration(hours)*time.Hour)
	}))
	defer clock.Close()
	out := run(t, dir, 5*time.Minute, []string{
		"CURFEW_CLOCK=" + clock.URL,
		"CURFEW_BASE=" + w.Base, "CURFEW_AUTHORITY=" + w.Tenant, "CURFEW_ISSUER=" + w.Issuer, "CURFEW_API=" + w.API, "CURFEW_ADMIN=" + admin,
		"CURFEW_PASSWORD=" + world.Password, "CURFEW_SITE_SECRET=" + world.Secret, "CURFEW_ROBOT_SECRET=" + world.RobotPass, "CURFEW_MAIL_API_SECRET=" + world.MailAPIPass,
		"CURFEW_VAULT_KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), fmt.Sprintf("CURFEW_VAULT_THUMBPRINT=%x", sha256.Sum256(cert.Raw)),
		"NODE_EXTRA_CA_CERTS=" + w.CAFile,
	}, "node", "--test", "--test-concurrency=1", "--test-reporter=tap")
	t.Log("\n" + out)
	// A runner that found no files is content, too.
	for _, want := range []string{"openid-client, plain issuer", "openid-client, tenant issuer", "openid-client, device flow", "openid-client, as itself",
		"openid-client, pushed requests and DPoP", "openid-client, private_key_jwt", "openid-client, token exchange", "openid-client, sign-out",
		"msal-node, public client", "msal-node, device code", "msal-node, confidential client, secret", "msal-node, confidential client, certificate", "msal-node, on behalf of", "msal-node, as itself", "msal-node, policies",
		"microsoft-graph-client"} {
		if !strings.Contains(out, " - "+want+"\n") {
			t.Errorf("%s did not run", want)
		}
	}
	if !strings.Contains(out, "\n# skipped 0\n") || !strings.Contains(out, "\n# todo 0\n") || !strings.Contains(out, "\n# fail 0\n") {
		t.Error("not every test ran to its end")
	}
}

func run(t *testing.T, dir string, limit time.Duration, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
	return string(out)
}
