package account

import (
	"fmt"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

var (
	methodsPage = webkit.NewPage[Methods](set, "methods")
	methodPage  = webkit.NewPage[OneMethod](set, "method")
	appPage     = webkit.NewPage[App](set, "app")
	passkeyPage = webkit.NewPage[Passkey](set, "passkey")
	codesPage   = webkit.NewPage[Codes](set, "codes")
	secondPage  = webkit.NewPage[Second](set, "second")
	setUpPage   = webkit.NewPage[SetUp](set, "set-up")
	entryPage   = webkit.NewPage[Entry](set, "entry")
	passPage    = webkit.NewPage[Pass](set, "pass")
)

var kindWords = map[directory.MethodKind]string{
	directory.MethodTOTP: "Authenticator app", directory.MethodPasskey: "Passkey",
	directory.MethodCodes: "Recovery codes", directory.MethodPass: "Temporary access pass",
}

var kindIcons = map[directory.MethodKind]string{
	directory.MethodTOTP: "phone", directory.MethodPasskey: "key", directory.MethodCodes: "list", directory.MethodPass: "star",
}

// useWords are the headings of the pages on which something is used.
var useWords = map[string]string{
	wayCode: "Enter the code", wayPasskey: "Use your passkey", wayRecovery: "Use a recovery code", wayPass: "Use a temporary access pass",
}

const wrongCode = "The code is not right, or it was used already"

// Methods is the page of what proves who somebody is beside the password.
type Methods struct {
	webkit.Frame
	UserName string
	Rows     []MethodRow
	Codes    bool // there are recovery codes
	// Refused says why methods cannot be changed now, ProveURL where to prove who one
	// is; empty: they can, or that does not help.
	Refused, ProveURL string
	Done              string
}

// MethodRow is one method.
type MethodRow struct {
	Kind, Name, Icon, State string
	Added, Used             time.Time // Used is zero: never
	URL                     string    // of its page; empty: it has none
}

// OneMethod renames and removes one (field name).
type OneMethod struct {
	pages.Flow
	Row                   MethodRow
	Renames               bool
	Name, NameError       string
	RemoveAction, BackURL string
}

// PageTitle is the frame, marked when the form came back.
func (m OneMethod) PageTitle() webkit.Frame { return m.Frame.Failing(m.NameError != "") }

// Fields is the field name.
func (m OneMethod) Fields() []webkit.Field {
	return []webkit.Field{{Name: "name", Label: "Name", Value: m.Name, Error: m.NameError, Autocomplete: "off", Max: 64}}
}

// Problem is the summary, or nil.
func (m OneMethod) Problem() *webkit.Problem {
	return pages.Problem("Error: the name was not changed", m.Fields())
}

// App registers an authenticator app (fields code, name, flow).
type App struct {
	pages.Flow
	Picture              Picture
	Secret               string // in groups, to be typed
	Name                 string
	CodeError, NameError string
	CancelURL            string
}

// PageTitle is the frame, marked when the form came back.
func (a App) PageTitle() webkit.Frame { return a.Frame.Failing(a.CodeError+a.NameError != "") }

// Fields are the two fields.
func (a App) Fields() []webkit.Field {
	return []webkit.Field{codeField("The code that the app shows now", "", a.CodeError),
		{Name: "name", Label: "Name", Hint: "To know it by, such as Work phone. May stay empty.", Value: a.Name, Error: a.NameError, Autocomplete: "off", Max: 64}}
}

func codeField(label, hint, problem string) webkit.Field {
	return webkit.Field{Name: "code", Label: label, Hint: hint, Error: problem, Autocomplete: "one-time-code", InputMode: "numeric", Required: true, Mono: true, Max: 64, Autofocus: problem == ""}
}

// Problem is the summary, or nil.
func (a App) Problem() *webkit.Problem {
	return pages.Problem("Error: the app was not added", a.Fields())
}

// Passkey makes a passkey (field name; the script fills ticket and response).
type Passkey struct {
	pages.Flow
	Name             string
	Error, NameError string // Error is about the passkey, not about a field
	CancelURL        string
}

// PageTitle is the frame, marked when the form came back.
func (p Passkey) PageTitle() webkit.Frame { return p.Frame.Failing(p.Error+p.NameError != "") }

// Fields is the field name.
func (p Passkey) Fields() []webkit.Field {
	return []webkit.Field{{Name: "name", Label: "Name", Hint: "To know it by: the device or key that holds it.", Value: p.Name, Error: p.NameError, Autocomplete: "off", Max: 64}}
}

// Problem is the summary, or nil.
func (p Passkey) Problem() *webkit.Problem {
	return summary("Error: the passkey was not added", p.Error, p.Fields())
}

// summary is the errors of fields and one that is about none of them.
func summary(title, general string, fields []webkit.Field) *webkit.Problem {
	p := pages.Problem(title, fields)
	if general == "" {
		return p
	}
	if p == nil {
		p = &webkit.Problem{Title: title}
	}
	p.Items = append(p.Items, webkit.ProblemItem{Text: general + "."})
	return p
}

// Codes offers recovery codes, or shows new ones.
type Codes struct {
	pages.Flow
	UserName string
	Has      bool // there are some already
	Left     int
	Codes    []string
	GoOnURL  string
}

// Second asks for a second factor in one way (fields code, way, remember, flow; of a
// passkey the script fills ticket and response).
type Second struct {
	pages.Flow
	App, DisplayName, UserName string
	NotYouURL                  string
	Way                        string
	With                       string // the ways that are enough; empty: all
	Error                      string
	Until                      time.Time // when the next try is let through; zero: now
	Others                     []webkit.Link
	RememberLife               time.Duration // zero: not offered
	Remember                   bool
}

// PageTitle is the frame, marked when the form came back.
func (s Second) PageTitle() webkit.Frame { return s.Frame.Failing(s.Problem() != nil) }

// Passkey reports whether it is a passkey that is asked for.
func (s Second) Passkey() bool { return s.Way == wayPasskey }

// Field is the field code.
func (s Second) Field() webkit.Field {
	f := codeField("Code", "Six digits, from the authenticator app. Each is good once.", s.Error)
	switch s.Way {
	case wayRecovery:
		f.Label, f.Hint, f.InputMode, f.Autocomplete = "Recovery code", "One of the codes that you printed or kept. It is used up by this.", "text", "off"
	case wayPass:
		f.Label, f.Hint, f.InputMode, f.Autocomplete = "Pass", "An administrator gave it to you.", "text", "off"
	}
	if !s.Until.IsZero() {
		f.Error, f.Autofocus = "", false
	}
	return f
}

// Problem is the summary, or nil.
func (s Second) Problem() *webkit.Problem {
	const title = "Error: that did not work"
	switch {
	case !s.Until.IsZero():
		return tooMany(title, s.Clock, s.Until)
	case s.Passkey():
		return summary(title, s.Error, nil)
	}
	return pages.Problem(title, []webkit.Field{s.Field()})
}

func tooMany(title string, c webkit.Clock, until time.Time) *webkit.Problem {
	return &webkit.Problem{Title: title, Items: []webkit.ProblemItem{{Text: "Too many tries. Try again at " + c.Min(until.Add(time.Minute-time.Nanosecond)) + "."}}}
}

// RememberCheck is the field remember.
func (s Second) RememberCheck() webkit.Check {
	return webkit.Check{Name: "remember", Label: "Don't ask again on this browser", Checked: s.Remember, Hint: "For " + webkit.Span(s.RememberLife) + ". Not on a shared computer."}
}

// SetUp is where somebody who must give a second factor and has none sets one up.
type SetUp struct {
	pages.Flow
	App, DisplayName, UserName string
	Apps                       bool   // an authenticator app is enough
	PasskeyURL                 string // empty: a passkey is not
	NotYouURL                  string
}

// Entry signs in by passkey alone (field flow; the script fills ticket and response).
type Entry struct {
	pages.Flow
	App, Error, BackURL string
}

// PageTitle is the frame, marked when the form came back.
func (e Entry) PageTitle() webkit.Frame { return e.Frame.Failing(e.Error != "") }

// Problem is the summary, or nil.
func (e Entry) Problem() *webkit.Problem {
	return summary("Error: sign-in did not work", e.Error, nil)
}

// Pass signs in by a temporary access pass (fields username, pass, flow).
type Pass struct {
	pages.Flow
	App, UserName, Error string
	Until                time.Time
	BackURL              string
}

// PageTitle is the frame, marked when the form came back.
func (p Pass) PageTitle() webkit.Frame { return p.Frame.Failing(p.Problem() != nil) }

// Fields are the two fields.
func (p Pass) Fields() []webkit.Field {
	return []webkit.Field{
		{Name: "username", Label: "User name", Value: p.UserName, Autocomplete: "username", InputMode: "email", Required: true, Autofocus: p.UserName == "" && p.Error == ""},
		{Name: "pass", Label: "Temporary access pass", Hint: "An administrator gave it to you.", Error: p.Error, Type: "password", Autocomplete: "off", Required: true, Show: true, Max: 100},
	}
}

// Problem is the summary, or nil.
func (p Pass) Problem() *webkit.Problem {
	const title = "Error: sign-in did not work"
	if !p.Until.IsZero() {
		return tooMany(title, p.Clock, p.Until)
	}
	return pages.Problem(title, p.Fields())
}

// Picture is a QR code as the path of its dark squares, each one unit wide, in a box of
// Size units with the white border that readers need (ISO/IEC 18004 §5.3.8).
type Picture struct {
	Size int
	Path string
}

const quiet = 4

func draw(text string) (Picture, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return Picture{}, err
	}
	var b strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			n := 0
			for x+n < c.Size && c.Black(x+n, y) {
				n++
			}
			if n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, n, n)
				x += n
			}
		}
	}
	return Picture{Size: c.Size + 2*quiet, Path: b.String()}, nil
}

// grouped is a key in groups of four, as it is typed.
func grouped(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
