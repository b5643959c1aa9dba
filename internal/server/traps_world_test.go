package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/config"
)

// moreApps is what the traps need beside the manifest: a service in the middle that
// acts for people, one that acts as itself, an application that asks for devices.
const moreApps = `
[[user]]
name = "alan@contoso.example"
display_name = "Alan Turing"
password = "correct horse battery"
must_change = true

[[resource]]
id = "api://middle"
name = "Middle"
[[resource.scope]]
name = "Use"
text = "Use the middle"

[[resource]]
id = "api://archive"
name = "Archive"
app_roles = ["Read.All"]

[[app]]
id = "desk"
name = "Desk"
public = true
first_party = true
device_code = true
redirect_uris = ["http://localhost"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }, { resource = "api://middle", scopes = ["Use"] }]

[[app]]
id = "middle"
name = "Middle"
secret = "a-long-secret-for-the-middle"
first_party = true
guards = ["api://middle"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }]

[[app]]
id = "robot"
name = "Robot"
secret = "a-long-secret-for-the-robot"
app_permissions = [{ resource = "api://archive", scopes = ["Read.All"] }]

[[app]]
id = "archive-api"
name = "Archive API"
secret = "a-long-secret-for-the-archive"
guards = ["api://archive", "api://middle"]
`

func startTraps(t *testing.T) *node {
	t.Helper()
	return start(t, "", func(c *config.Config) {
		c.Apply = filepath.Join(filepath.Dir(c.Apply), "traps.toml")
		if err := os.WriteFile(c.Apply, []byte(manifest+moreApps), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// as asks the token endpoint for an application; secret "" is a public one.
func (n *node) as(t *testing.T, client, secret string, form url.Values) (int, tokens) {
	t.Helper()
	form.Set("client_id", client)
	if secret != "" {
		form.Set("client_secret", secret)
	}
	res, text := n.post(t, "/oauth2/token", form)
	var got tokens
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%d %s", res.StatusCode, text)
	}
	return res.StatusCode, got
}

// active is what introspection says to a service about a token.
func (n *node) active(t *testing.T, client, secret, token string) bool {
	t.Helper()
	res, text := n.post(t, "/oauth2/introspect", url.Values{"client_id": {client}, "client_secret": {secret}, "token": {token}})
	var got struct{ Active bool }
	if err := json.Unmarshal([]byte(text), &got); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("introspection: %d %s", res.StatusCode, text)
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("introspection may be kept: %q", res.Header.Get("Cache-Control"))
	}
	return got.Active
}

const mailAPISecret = "a-long-secret-for-the-mail-api"

// graph calls the API as an administrator and wants a status.
func (n *node) graph(t testing.TB, admin, method, path, in string, want int) string {
	t.Helper()
	r, err := http.NewRequest(method, n.base+"/v1.0"+path, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+admin)
	if in != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := n.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text := body(t, res)
	if res.StatusCode != want {
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	return text
}

// press sends the form of a page, with what is filled in.
func (n *node) press(t *testing.T, page string, fill ...string) (*http.Response, string) {
	t.Helper()
	form := url.Values{}
	for _, h := range hiddenRE.FindAllStringSubmatch(page, -1) {
		form.Set(h[1], strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(h[2]))
	}
	for i := 0; i < len(fill); i += 2 {
		form.Set(fill[i], fill[i+1])
	}
	m := actionRE.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form:\n%s", page)
	}
	return n.post(t, m[1], form)
}

// device asks for a code as the desk does; approve allows it in this browser.
func (n *node) device(t *testing.T) (device, user string) {
	t.Helper()
	_, text := n.post(t, "/oauth2/devicecode", url.Values{"client_id": {"desk"}, "scope": {mailScope}})
	var d struct {
		Device string `json:"device_code"`
		User   string `json:"user_code"`
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil || d.Device == "" {
		t.Fatal(text)
	}
	return d.Device, d.User
}

func (n *node) approve(t *testing.T, user string) {
	t.Helper()
	_, page := n.get(t, "/device")
	_, page = n.press(t, page, "user_code", user)
	if res, text := n.press(t, page, "decision", "allow"); res.StatusCode != http.StatusOK || !strings.Contains(text, "Device connected") {
		t.Fatalf("device: %d %s", res.StatusCode, text)
	}
}

// claimOf reads a claim of a token that was just made, without checking it.
func claimOf(t *testing.T, token, name string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var m map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _ := m[name].(string)
	return s
}
