package manage

import (
	"crypto/rand"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
)

// text checks a line that people read: printable, at most limit characters. The
// two joiners are let through for the scripts that need them; other invisible
// characters, which turn text around or hide in it, are not.
func text(what, s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return invalid(what + " is not valid UTF-8.")
	case utf8.RuneCountInString(s) > limit:
		return invalid(what + " is too long.")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' }):
		return invalid(what + " has characters that cannot be printed.")
	case strings.TrimSpace(s) != s:
		return invalid(what + " begins or ends with a space.")
	}
	return nil
}

func required(what, s string, limit int) error {
	if s == "" {
		return invalid(what + " is missing.")
	}
	return text(what, s, limit)
}

// userName checks a user principal name: local@domain, ASCII as in Entra. A
// colon is not among its characters, so no person takes the name of an
// application's identity, which has one.
func userName(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok || local == "" || domain == "":
		return invalid("A user name has the form name@domain.")
	case len(local) > 64 || len(s) > 254:
		return invalid("The user name is too long.")
	case strings.Trim(local, charsLocal) != "" || local[0] == '.' || strings.HasSuffix(local, ".") || strings.Contains(local, ".."):
		return invalid("The part of the user name before the @ may hold letters, digits and ' . - _ ! # ^ ~ + & = and no two dots in a row.")
	}
	return domainName(domain)
}

const (
	charsAlnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	charsLocal = charsAlnum + "'.-_!#^~+&="
)

func domainName(s string) error {
	if len(s) > 253 {
		return invalid("The domain is too long.")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, charsAlnum+"-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return invalid("This is no domain: " + quote(s) + ".")
		}
	}
	return nil
}

func mailAddress(s string) error {
	if s == "" {
		return nil
	}
	if err := text("The mail address", s, 254); err != nil {
		return err
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return invalid("This is no mail address: " + quote(s) + ".")
	}
	return nil
}

// quote shortens what somebody typed, for a sentence. Surfaces escape it.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return "“" + s + "”"
}

// defaultPolicy is that of a service without CheckPassword.
func defaultPolicy(password string) error {
	if n := utf8.RuneCountInString(password); n < 8 || len(password) > 256 {
		return invalid("A password has at least 8 characters and at most 256 bytes.")
	}
	return nil
}

func (s *Service) checkPassword(u *directory.User, password string) error {
	if s.CheckPassword != nil {
		return s.CheckPassword(u, password)
	}
	return defaultPolicy(password)
}

// pick returns n characters of the alphabet (at most 256), each as likely as
// any other.
func pick(alphabet string, n int) string {
	out := make([]byte, 0, n)
	fair := 256 - 256%len(alphabet)
	for buf := make([]byte, 64); len(out) < n; {
		rand.Read(buf) // never fails (crypto/rand)
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// readable leaves out what looks alike: i l o 0 1.
const readable = "abcdefghjkmnpqrstuvwxyz23456789"

// generatePassword makes one to read out on the telephone: 79 bits.
func generatePassword() string {
	s := pick(readable, 16)
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// The identifiers of Microsoft Graph, which nobody registers: tools ask for
// tokens under them, and get tokens for our own API.
const (
	graphURL = "https://graph.microsoft.com"
	graphID  = "00000003-0000-0000-c000-000000000000"
)

func (s *Service) reserved(id string) error {
	low := strings.ToLower(strings.TrimRight(id, "/"))
	u, err := url.Parse(low)
	taken := strings.HasPrefix(low, graphURL) || low == graphID || err == nil && u.Hostname() == "graph.microsoft.com"
	for _, r := range s.Reserved {
		r = strings.ToLower(strings.TrimRight(r, "/"))
		taken = taken || r != "" && (low == r || strings.HasPrefix(low, r+"/"))
	}
	if taken {
		return invalid("The identifier " + quote(id) + " is reserved.")
	}
	return nil
}

// resourceID checks the identifier of a resource: an absolute URI without
// fragment, or a GUID.
func (s *Service) resourceID(id directory.ResourceID) error {
	if !directory.ValidAppID(string(id)) {
		return invalid("The identifier of a resource is 1 to 255 printable ASCII characters without spaces.")
	}
	if _, err := directory.ParseID[directory.Resource](string(id)); err != nil {
		u, err := url.Parse(string(id))
		if err != nil || u.Scheme == "" || u.User != nil || strings.ContainsAny(string(id), "#*\\\"<>") || u.Host == "" && u.Opaque == "" {
			return invalid("The identifier of a resource is an absolute URI without fragment, such as api://mail, or a GUID.")
		}
	}
	return s.reserved(string(id))
}

// oidcScopes mean something at every resource and cannot be a resource's own.
var oidcScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// scopeName checks the name of a scope or application role: one word that can
// stand behind "resource/" (RFC 6749 §3.3).
func scopeName(s string) error {
	if s == "" || len(s) > 128 || s[0] == '.' || strings.Trim(s, charsAlnum+"._-:") != "" {
		return invalid("A scope is named with letters, digits and . _ - : and does not begin with a dot: " + quote(s) + " is none.")
	}
	if slices.Contains(oidcScopes, s) {
		return invalid("The scope " + quote(s) + " belongs to OpenID Connect.")
	}
	return nil
}

// Schemes whose URIs run code, or lead to no application.
var badSchemes = []string{"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ftp", "ws", "wss", "mailto", "tel", "sms"}

// redirectURI checks a redirect or post-logout URI (RFC 9700 §2.1, §4.1): it is
// compared exactly, so it has no wildcard; plain http only to this machine.
func redirectURI(s string) error {
	bad := func(why string) error { return invalid("The redirect URI " + quote(s) + " " + why + ".") }
	if s == "" || len(s) > 2048 {
		return invalid("A redirect URI has 1 to 2,048 characters.")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\\\"<>^`{|}", r) }) {
		return bad("has characters that no URI has")
	}
	if strings.Contains(s, "#") {
		return bad("has a fragment")
	}
	if strings.Contains(s, "*") {
		return bad("has a wildcard; redirect URIs are compared exactly")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return bad("is not absolute")
	}
	switch host := u.Hostname(); {
	case u.User != nil:
		return bad("has a user name in it")
	case u.Scheme == "https" && host == "", u.Scheme == "http" && host == "":
		return bad("has no host")
	case u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1":
		return bad("is plain http to another machine; use https")
	case slices.Contains(badSchemes, u.Scheme):
		return bad("has a scheme that leads to no application")
	}
	return nil
}

// tokenLife checks the life of access tokens; zero is the default.
func tokenLife(d time.Duration) error {
	if d != 0 && (d < 10*time.Minute || d > time.Hour) {
		return invalid("Access tokens live between 10 minutes and one hour: longer ones would need proof, at each issue, that a guard stands there.")
	}
	return nil
}
