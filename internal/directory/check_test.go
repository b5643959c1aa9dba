package directory_test

import (
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

func TestUserName(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"ada@contoso.example": true, "a.b-c_d!e#f^g~h'i+j@x": true, "guest_x#EXT#@contoso.example": true, strings.Repeat("a", 64) + "@x.y": true,
		"": false, "ada": false, "@x": false, "ada@": false, "a@b@c": false, "a b@x": false, "a:b@x": false, "app:mail": false, "ä@x": false, "a\x00@x": false,
		".a@x": false, "a.@x": false, "a..b@x": false, "a@-x": false, "a@x..y": false, "a@x-": false, " a@x": false, "a@x\n": false, "a<b@x": false,
		strings.Repeat("a", 65) + "@x.y": false, "a@" + strings.Repeat("x", 64): false, "a@" + strings.Repeat("x.", 130) + "y": false,
	} {
		if err := directory.CheckUserName(s); (err == nil) != ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestRedirectURI(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		"https://mail.contoso.example/cb?x=1": true, "http://localhost": true, "http://localhost:8400/cb": true, "http://127.0.0.1/": true, "http://[::1]:1/cb": true,
		"com.contoso.mail:/cb": true, "msalc4c4://auth": true, "urn:ietf:wg:oauth:2.0:oob": true,
		"": false, "/cb": false, "mail.contoso.example/cb": false, "https:///cb": false, "http://mail.contoso.example/cb": false, "http://localhost.evil.example/": false,
		"https://x/#": false, "https://x/cb#f": false, "https://*.contoso.example/": false, "https://x/*": false, "https://u@x/": false, "https://x/ y": false, "https://x/\n": false,
		"javascript:alert(1)": false, "JavaScript:alert(1)": false, "data:text/html,x": false, "vbscript:x": false, "file:///etc/passwd": false, "blob:https://x/1": false,
		"https://x\\@y/": false, "https://ä.example/": false, "https://x/" + strings.Repeat("a", 2048): false,
	} {
		if err := directory.CheckRedirectURI(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	for scope, ok := range map[string]bool{"Mail.Read": true, "mail:read": true, "": false, ".default": false, "openid": false, "offline_access": false, "a/b": false, "a b": false, "ä": false} {
		if err := directory.CheckScope(scope); (err == nil) != ok {
			t.Errorf("%q: %v", scope, err)
		}
	}
}
