package account

import (
	"embed"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

var set = webkit.Parse(files, nil)

var accountPage = webkit.NewPage[Account](set, "account")

// Account is somebody's own page.
type Account struct {
	webkit.Frame
	DisplayName, UserName string
	Sessions              []OwnSession
	Grants                []OwnGrant
	// Everywhere is the action of the form that ends all sessions (field keep = 1
	// keeps this one); Password the page that changes the password, Identities that of accounts elsewhere; Portal the
	// portal, for those who may; SignOut signs out; ThemeAction stores the theme
	// (field theme) and KeysAction the shortcuts (field keys = on or off).
	EverywhereAction, PasswordURL, IdentitiesURL, PortalURL, SignOutURL, ThemeAction, KeysAction string
	// Methods are the kinds of what proves who they are beside the password, MethodsURL
	// their page.
	Methods    []string
	MethodsURL string
	Devices    *OwnDevices // nil: browsers are not registered
	// Done is a sentence about what was just done; may be empty.
	Done string
	// Ended is the receipt of a sign-out everywhere, after it; nil: none.
	Ended *Ended
}

// OwnSession is one of the reader's browser sessions.
type OwnSession struct {
	Device, Kind, Address string // Kind: "laptop", "phone" or "globe"
	Born, LastUsed        time.Time
	Current               bool
	EndAction             string // posting ends it; empty: not offered
}

// OwnGrant is one application connected to the reader's account.
type OwnGrant struct {
	App          string
	Since, Used  time.Time
	RemoveAction string // posting withdraws it; empty: not offered
}

// Themes are the buttons of the theme form.
func (a Account) Themes() []struct {
	Value webkit.Theme
	Text  string
	On    bool
} {
	type theme = struct {
		Value webkit.Theme
		Text  string
		On    bool
	}
	return []theme{
		{webkit.System, "As the system", a.Theme == webkit.System},
		{webkit.Light, "Light", a.Theme == webkit.Light},
		{webkit.Dark, "Dark", a.Theme == webkit.Dark},
	}
}
