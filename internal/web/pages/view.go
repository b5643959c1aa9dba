package pages

import (
	"embed"
	"time"

	"github.com/curfew-id/curfew/internal/web/webkit"
)

//go:embed templates/*.html
var files embed.FS

var set = webkit.Parse(files, nil)

// The pages. A handler fills the view and calls Write. Those whose form ends in a
// redirect to an application need webkit.FormMayLeave first: sign-in, password
// change, consent, chooser, sign-out and the form post.
var (
	signInPage         = webkit.NewPage[SignIn](set, "signin")
	ChangePasswordPage = webkit.NewPage[ChangePassword](set, "change-password")
	consentPage        = webkit.NewPage[Consent](set, "consent")
	choosePage         = webkit.NewPage[Choose](set, "choose")
	deviceCodePage     = webkit.NewPage[DeviceCode](set, "device-code")
	deviceConfirmPage  = webkit.NewPage[DeviceConfirm](set, "device-confirm")
	MessagePage        = webkit.NewPage[Message](set, "message")
	signOutPage        = webkit.NewPage[SignOut](set, "sign-out")
	signedOutPage      = webkit.NewPage[SignedOut](set, "signed-out")
	formPostPage       = webkit.NewPage[FormPost](set, "form-post")
	setupPage          = webkit.NewPage[Setup](set, "setup")
)

// Flow is what every page of a sign-in carries: where its form goes and which
// half-finished sign-in it belongs to.
type Flow struct {
	webkit.Frame
	// Action is where the form is posted.
	Action string
	// Flow is the hidden field of that name; empty: left out.
	Flow string
}

// SignIn asks for user name and password (fields username, password, kmsi, flow).
type SignIn struct {
	Flow
	// App is where the person wants to go; empty: just signing in.
	App string
	// UserName as typed, or the login hint.
	UserName string
	// Keep is what was ticked; KeepLife says in words how long it keeps.
	Keep     bool
	KeepLife time.Duration
	// Wrong: the pair did not match. ThrottledUntil, if set, says when to try again.
	Wrong          bool
	ThrottledUntil time.Time
	// Other is a sentence for other refusals ("This account is disabled."), only
	// ever after the right password.
	Other string
	// ChooseURL leads to the account chooser; empty: there is nothing to choose.
	ChooseURL string
	Ways      []Way
	// PasskeyURL is the page that signs in by passkey, PassURL that for a temporary
	// access pass; empty: not offered.
	PasskeyURL, PassURL string
	// ForgotURL is the page that sends a link for a new password; empty: none does.
	ForgotURL string
}

// Way is a form that signs in through another identity provider (field flow).
type Way struct{ Name, Action string }

const wrongPair = "The user name or the password is not right"

// PageTitle is the frame, marked when the form came back.
func (s SignIn) PageTitle() webkit.Frame { return s.Frame.Failing(s.Problem() != nil) }

// Problem is the summary, or nil.
func (s SignIn) Problem() *webkit.Problem {
	item := webkit.ProblemItem{}
	switch {
	case !s.ThrottledUntil.IsZero():
		item.Text = "Too many tries. Try again at " + s.Min(s.ThrottledUntil.Add(time.Minute-time.Nanosecond)) + "."
	case s.Wrong:
		item = webkit.ProblemItem{Field: "password", Text: wrongPair}
	case s.Other != "":
		item.Text = s.Other
	default:
		return nil
	}
	return &webkit.Problem{Title: "Error: sign-in did not work", Items: []webkit.ProblemItem{item}}
}

// UserField is the field username.
func (s SignIn) UserField() webkit.Field {
	return webkit.Field{Name: "username", Label: "User name", Value: s.UserName, Autocomplete: "username",
		InputMode: "email", Required: true, Autofocus: s.UserName == "" && s.Problem() == nil}
}

// PasswordField is the field password.
func (s SignIn) PasswordField() webkit.Field {
	f := webkit.Field{Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password",
		Required: true, Show: true, Max: 1024, Autofocus: s.UserName != "" && s.Problem() == nil}
	if s.Wrong && s.ThrottledUntil.IsZero() {
		f.Error = wrongPair
	}
	return f
}

// KeepCheck is the field kmsi.
func (s SignIn) KeepCheck() webkit.Check {
	return webkit.Check{Name: "kmsi", Label: "Keep me signed in on this device", Checked: s.Keep,
		Hint: "Until " + webkit.Span(s.KeepLife) + " pass without use. Not on a shared computer."}
}

// ChangePassword asks for a new password, during a sign-in or from one's account
// (fields current, password, password2, flow).
type ChangePassword struct {
	Flow
	UserName string
	// Forced: an administrator set the old one and it must be changed now.
	Forced bool
	// MinLength is told before typing.
	MinLength int
	// Errors for each field, sentences without full stop; empty: none.
	CurrentError, NewError, RepeatError string
	// CancelURL is where "Keep the password" leads; empty when Forced.
	CancelURL string
	// Consequence says what ends: "Every other session of yours ends at once."
	Consequence string
}

// PageTitle is the frame, marked when the form came back.
func (c ChangePassword) PageTitle() webkit.Frame { return c.Frame.Failing(c.Problem() != nil) }

// Problem is the summary, or nil.
func (c ChangePassword) Problem() *webkit.Problem {
	return Problem("Error: the password was not changed", c.Fields())
}

// Fields are the three fields; the first is not asked for again when Forced.
func (c ChangePassword) Fields() []webkit.Field {
	bad := c.CurrentError != "" || c.NewError != "" || c.RepeatError != ""
	fields := []webkit.Field{
		{Name: "current", Label: "Password now", Type: "password", Autocomplete: "current-password", Error: c.CurrentError, Required: true, Show: true, Max: 1024, Autofocus: !bad},
		{Name: "password", Label: "New password", Type: "password", Autocomplete: "new-password", Error: c.NewError, Hint: lengthHint(c.MinLength), Required: true, Show: true, Max: 1024},
		{Name: "password2", Label: "New password again", Type: "password", Autocomplete: "new-password", Error: c.RepeatError, Required: true, Max: 1024},
	}
	if c.Forced { // the one now was just typed
		fields = fields[1:]
		fields[0].Autofocus = !bad
	}
	return fields
}

func lengthHint(n int) string {
	return "At least " + webkit.Num(n) + " characters. Any characters, spaces too."
}

// Problem collects the errors of fields into a summary, or nil.
func Problem(title string, fields []webkit.Field) *webkit.Problem {
	p := webkit.Problem{Title: title}
	for _, f := range fields {
		if f.Error != "" {
			p.Items = append(p.Items, webkit.ProblemItem{Field: f.Name, Text: f.Error})
		}
	}
	if p.Items == nil {
		return nil
	}
	return &p
}

// Consent asks whether an application may have what it asks for (buttons decision
// = allow or deny, field flow).
type Consent struct {
	Flow
	App, Publisher string
	// Reviewed: an administrator of the directory has looked at it.
	Reviewed             bool
	DisplayName          string
	UserName             string
	NotYouURL            string // back to the chooser
	Permissions          []Permission
	AccountURL           string // where it can be taken back
	EndsWithin           time.Duration
	EndsWithinAt         string        // the resource where EndsWithin holds; empty: all
	AdminOnlyPermissions []string      // asked for, but only an administrator can allow; shown as not given
	StaysFor             time.Duration // how long it stays connected without use; zero: it does not
}

// Permission is one thing an application wants to do.
type Permission struct {
	Icon     string // "mail", "user", "key"; empty: key
	What     string // "Read your mail"
	Detail   string // one more sentence; may be empty
	Resource string
}

// IconName is the icon, or the key.
func (p Permission) IconName() string {
	if p.Icon == "" {
		return "key"
	}
	return p.Icon
}

// Choose lets somebody pick an account (buttons account = session or "other").
type Choose struct {
	Flow
	App      string
	Accounts []ChooseRow
}

// ChooseRow is one account in this browser. Value is what its button sends.
type ChooseRow struct {
	Value, DisplayName, UserName string
	SignedIn                     bool
}

// DeviceCode asks for the code that a device shows (field user_code).
type DeviceCode struct {
	Flow
	Code  string // as typed, or from the address
	Error string
}

// PageTitle is the frame, marked when the form came back.
func (d DeviceCode) PageTitle() webkit.Frame { return d.Frame.Failing(d.Error != "") }

// Fields is the field user_code.
func (d DeviceCode) Fields() []webkit.Field {
	return []webkit.Field{{Name: "user_code", Label: "Code", Hint: "It stands on the screen of the other device.", Error: d.Error,
		Value: d.Code, Required: true, Autofocus: d.Error == "", Autocomplete: "off", Mono: true, Max: 32}}
}

// Problem is the summary, or nil.
func (d DeviceCode) Problem() *webkit.Problem {
	return Problem("Error: this code does not work", d.Fields())
}

// DeviceConfirm asks whether the device is the reader's (buttons decision = allow
// or deny; fields user_code, flow).
type DeviceConfirm struct {
	Flow
	App, Code             string
	DisplayName, UserName string
	// From is the address that asked; Asked when.
	From  string
	Asked time.Time
}

// Message is a page that only says something: signed out, device connected,
// not allowed.
type Message struct {
	webkit.Frame
	Heading, Text string
	Next          webkit.Link
	// NotOver is what is still open after a sign-out; may be empty.
	NotOver string
}

// SignedOut is where a sign-out ends. Frames are the addresses at which applications
// of the session sign the person out in this browser; each origin must be allowed
// by webkit.FramesFrom.
type SignedOut struct {
	Message
	Frames []LogoutFrame
}

// LogoutFrame is the front-channel logout address of one application.
type LogoutFrame struct{ App, URL string }

// SignOut asks before signing out (button decision = allow; fields of Hidden).
type SignOut struct {
	Flow
	DisplayName, UserName string
	App                   string // which asked for it; may be empty
	// Grants of this session that end with it.
	Apps    []string
	KeepURL string // "Stay signed in"; empty: not offered
}

// FormPost carries an answer to an application by a form that submits itself; with
// scripts off there is a button. Call webkit.FormMayLeave before writing it.
type FormPost struct {
	webkit.Frame
	// Action is the redirect URI: http or https, already matched.
	Action string
	App    string
	Fields []Pair
}

// Pair is one parameter of an answer.
type Pair struct{ Name, Value string }

// Setup makes the first Global Administrator (fields name, username, password,
// password2, flow = the one-time token).
type Setup struct {
	Flow
	Name, UserName                                  string
	MinLength                                       int
	NameError, UserNameError, NewError, RepeatError string
}

// PageTitle is the frame, marked when the form came back.
func (s Setup) PageTitle() webkit.Frame { return s.Frame.Failing(s.Problem() != nil) }

// Fields are the four fields.
func (s Setup) Fields() []webkit.Field {
	bad := s.NameError+s.UserNameError+s.NewError+s.RepeatError != ""
	return []webkit.Field{
		{Name: "name", Label: "Your name", Value: s.Name, Autocomplete: "name", Error: s.NameError, Required: true, Autofocus: !bad},
		{Name: "username", Label: "User name", Hint: "Such as grace@" + s.Directory, Value: s.UserName, Autocomplete: "username", InputMode: "email", Error: s.UserNameError, Required: true},
		{Name: "password", Label: "Password", Type: "password", Hint: lengthHint(s.MinLength), Autocomplete: "new-password", Error: s.NewError, Required: true, Show: true, Max: 1024},
		{Name: "password2", Label: "Password again", Type: "password", Autocomplete: "new-password", Error: s.RepeatError, Required: true, Max: 1024},
	}
}

// Problem is the summary, or nil.
func (s Setup) Problem() *webkit.Problem {
	return Problem("Error: nothing was set up", s.Fields())
}
