package directory

import (
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/fault"
)

// What may stand in a row. Every refusal here is a fault of kind Invalid.

// CheckText checks a line that people read: printable, at most limit characters. The
// two joiners are let through for the scripts that need them; other invisible
// characters, which turn text around or hide in it, are not.
func CheckText(what, s string, limit int) error {
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

// CheckRequired is [CheckText] for a line that must be there.
func CheckRequired(what, s string, limit int) error {
	if s == "" {
		return invalid(what + " is missing.")
	}
	return CheckText(what, s, limit)
}

// CheckUserName checks a user principal name: local@domain, ASCII as in Entra. A
// colon is not among its characters, so no person takes the name of an
// application's identity, which has one.
func CheckUserName(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok || local == "" || domain == "":
		return invalid("A user name has the form name@domain.")
	case len(local) > 64 || len(s) > 254:
		return invalid("The user name is too long.")
	case strings.Trim(local, localPart) != "" || local[0] == '.' || strings.HasSuffix(local, ".") || strings.Contains(local, ".."):
		return invalid("The part of the user name before the @ may hold letters, digits and ' . - _ ! # ^ ~ + & = and no two dots in a row.")
	}
	return CheckDomain(domain)
}

const (
	// Alphanumeric are the letters and digits of ASCII.
	Alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	localPart    = Alphanumeric + "'.-_!#^~+&="
)

// CheckDomain checks a domain: labels of letters, digits and hyphens.
func CheckDomain(s string) error {
	if len(s) > 253 {
		return invalid("The domain is too long.")
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, Alphanumeric+"-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return invalid("This is no domain: " + fault.Quote(s) + ".")
		}
	}
	return nil
}

// CheckMail checks a mail address; empty is none.
func CheckMail(s string) error {
	if s == "" {
		return nil
	}
	if err := CheckText("The mail address", s, 254); err != nil {
		return err
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return invalid("This is no mail address: " + fault.Quote(s) + ".")
	}
	return nil
}

// oidcScopes mean something at every resource and cannot be a resource's own.
var oidcScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// CheckScope checks the name of a scope or application role: one word that can
// stand behind "resource/" (RFC 6749 §3.3).
func CheckScope(s string) error {
	if s == "" || len(s) > 128 || s[0] == '.' || strings.Trim(s, Alphanumeric+"._-:") != "" {
		return invalid("A scope is named with letters, digits and . _ - : and does not begin with a dot: " + fault.Quote(s) + " is none.")
	}
	if slices.Contains(oidcScopes, s) {
		return invalid("The scope " + fault.Quote(s) + " belongs to OpenID Connect.")
	}
	return nil
}

// Schemes whose URIs run code, or lead to no application.
var badSchemes = []string{"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ftp", "ws", "wss", "mailto", "tel", "sms"}

// CheckRedirectURI checks a redirect or post-logout URI (RFC 9700 §2.1, §4.1): it is
// compared exactly, so it has no wildcard; plain http only to this machine.
func CheckRedirectURI(s string) error {
	bad := func(why string) error { return invalid("The redirect URI " + fault.Quote(s) + " " + why + ".") }
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

func invalid(sentence string) error { return fault.New(fault.Invalid, sentence) }
