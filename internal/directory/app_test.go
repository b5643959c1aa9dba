package directory

import (
	"net/url"
	"strings"
	"testing"
)

func TestMatchRedirect(t *testing.T) {
	t.Parallel()
	app := &App{
		RedirectURIs: []string{
			"https://mail.contoso.example/cb",
			"https://mail.contoso.example/cb?tenant=1",
			"http://localhost",
			"http://localhost/cb",
			"http://127.0.0.1/cb?x=1",
			"http://[::1]:8400/cb",
			"com.contoso.mail:/cb",
			"urn:ietf:wg:oauth:2.0:oob",
			"://broken",
		},
		PostLogoutURIs: []string{"https://mail.contoso.example/bye", "http://localhost/bye"},
	}
	for uri, want := range map[string]bool{
		"https://mail.contoso.example/cb":          true,
		"https://mail.contoso.example/cb?tenant=1": true,
		"com.contoso.mail:/cb":                     true,
		"urn:ietf:wg:oauth:2.0:oob":                true,
		// exactly means exactly
		"https://mail.contoso.example/cb/":         false,
		"https://mail.contoso.example/CB":          false,
		"https://mail.contoso.example/cb?":         false,
		"https://mail.contoso.example/cb?tenant=2": false,
		"https://mail.contoso.example/cb#":         false,
		"https://mail.contoso.example/cb#x":        false,
		"https://mail.contoso.example:443/cb":      false,
		"https://MAIL.contoso.example/cb":          false,
		"https://u@mail.contoso.example/cb":        false,
		"https://mail.contoso.example.evil/cb":     false,
		"https://mail.contoso.example/cb/../evil":  false,
		"https://mail.contoso.example/%63b":        false,
		"http://mail.contoso.example/cb":           false,
		" https://mail.contoso.example/cb":         false,
		"https://mail.contoso.example/cb\n":        false,
		"com.contoso.mail:/cb2":                    false,
		"":                                         false,
		"://broken#":                               false,
		// loopback: any port, nothing else
		"http://localhost":                     true,
		"http://localhost/":                    true,
		"http://localhost:51004":               true,
		"http://localhost:51004/":              true,
		"http://localhost:1/cb":                true,
		"http://127.0.0.1:51004/cb?x=1":        true,
		"http://127.0.0.1/cb?x=1":              true,
		"http://[::1]:51004/cb":                true,
		"http://[::1]/cb":                      true,
		"https://localhost/cb":                 false,
		"http://localhost:1/cb/":               false,
		"http://localhost:1/CB":                false,
		"http://localhost:1/cb?x=1":            false,
		"http://localhost:1/cb#x":              false,
		"http://localhost:1/cb#":               false,
		"http://localhost:1/%63b":              false,
		"http://localhost:1/x%2f..%2fcb":       false,
		"http://localhost:1/x/../cb":           false,
		"http://localhost:1//cb":               false,
		"http://localhost:1/cb%2f":             false,
		"http://localhost:1%2fcb":              false,
		"http://localhost:port/cb":             false,
		"http://localhost:@evil.example/cb":    false,
		"http://localhost@evil.example/cb":     false,
		"http://evil@localhost:1/cb":           false,
		"http://evil:pw@localhost:1/cb":        false,
		"http://@localhost:1/cb":               false,
		"http://localhost.evil.example/cb":     false,
		"http://localhost.:1/cb":               false,
		"http://LOCALHOST:1/cb":                false,
		"http://127.0.0.1.evil.example/cb?x=1": false,
		"http://127.0.0.1:1/cb":                false,
		"http://127.0.0.2:1/cb?x=1":            false,
		"http://127.1:1/cb?x=1":                false,
		"http://2130706433:1/cb?x=1":           false,
		"http://0177.0.0.1:1/cb?x=1":           false,
		"http://localhost\\@evil.example/cb":   false,
		"http://localhost:1\\cb":               false,
		"http:localhost/cb":                    false,
		"http:///localhost/cb":                 false,
		"//localhost/cb":                       false,
		"http://[::1%25eth0]:1/cb":             false,
		"http://[::ffff:127.0.0.1]:1/cb?x=1":   false,
		"http://[0:0:0:0:0:0:0:1]:1/cb":        false,
		"http://127.0.0.1:1/cb?x=1&y=2":        false,
		"http://localhost:1/cb\r\nX: y":        false,
		"http://[::1]:1/":                      false,
		// of another list
		"https://mail.contoso.example/bye": false,
	} {
		if got := app.MatchRedirect(uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
	for uri, want := range map[string]bool{
		"https://mail.contoso.example/bye": true,
		"http://localhost:7/bye":           true,
		"https://mail.contoso.example/cb":  false,
		"http://localhost/cb":              false,
	} {
		if got := app.MatchPostLogout(uri); got != want {
			t.Errorf("after sign-out, %q: %v", uri, got)
		}
	}
	if new(App).MatchRedirect("http://localhost/") || new(App).MatchPostLogout("") {
		t.Error("an application without any redirect URI matches one")
	}
}

// Whatever is let through leads to a registered host with a registered path.
func FuzzMatchRedirect(f *testing.F) {
	for _, s := range []string{"http://localhost:1/cb", "http://u@localhost/cb", "http://127.0.0.1.evil/cb", "https://mail.contoso.example/cb", "http://localhost\\@e/cb"} {
		f.Add(s)
	}
	app := &App{RedirectURIs: []string{"https://mail.contoso.example/cb", "http://localhost/cb"}}
	f.Fuzz(func(t *testing.T, s string) {
		if !app.MatchRedirect(s) || s == app.RedirectURIs[0] {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() != "localhost" || u.Path != "/cb" || u.User != nil || u.Fragment != "" || u.RawQuery != "" || u.Scheme != "http" || strings.Contains(s, "#") {
			t.Fatalf("%q goes through", s)
		}
	})
}

func TestValidAppID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"mail-web": true, "0123abcd-4567-89ef-0123-456789abcdef": true, "https://x/y?z#~!": true, strings.Repeat("a", 255): true,
		"": false, strings.Repeat("a", 256): false, "a b": false, "a\tb": false, "a\x7f": false, "ä": false, "a\n": false, "\x00": false,
	} {
		if got := ValidAppID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
