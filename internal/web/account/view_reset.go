package account

import (
	"fmt"

	"github.com/curfew-id/curfew/internal/web/pages"
	"github.com/curfew-id/curfew/internal/web/webkit"
)

var (
	forgotPage      = webkit.NewPage[Forgot](set, "forgot")
	sentPage        = webkit.NewPage[Sent](set, "sent")
	newPasswordPage = webkit.NewPage[NewPassword](set, "new-password")
	resetPage       = webkit.NewPage[WasReset](set, "was-reset")
)

// Forgot asks whose password is to be reset by mail (field username).
type Forgot struct {
	pages.Flow
	UserName, Error string
}

// PageTitle is the frame, marked when the form came back.
func (f Forgot) PageTitle() webkit.Frame { return f.Frame.Failing(f.Error != "") }

// Fields are its one field.
func (f Forgot) Fields() []webkit.Field {
	return []webkit.Field{{Name: "username", Label: "User name", Value: f.UserName, Autocomplete: "username", InputMode: "email", Error: f.Error, Required: true, Autofocus: f.Error == ""}}
}

// Problem is the summary, or nil.
func (f Forgot) Problem() *webkit.Problem {
	return pages.Problem("Error: nothing was sent", f.Fields())
}

// Sent says that a letter is on its way, if there is somebody to write to.
type Sent struct {
	webkit.Frame
	UserName            string // as typed
	Minutes             int
	AgainURL, SignInURL string
}

// NewPassword sets one by the link of a letter (fields password, password2, flow = the
// link's secret).
type NewPassword struct {
	pages.Flow
	UserName              string
	MinLength             int
	NewError, RepeatError string
}

// PageTitle is the frame, marked when the form came back.
func (n NewPassword) PageTitle() webkit.Frame { return n.Frame.Failing(n.Problem() != nil) }

// Fields are the two fields.
func (n NewPassword) Fields() []webkit.Field {
	return []webkit.Field{
		{Name: "password", Label: "New password", Type: "password", Hint: fmt.Sprintf("At least %d characters", n.MinLength), Autocomplete: "new-password", Error: n.NewError, Required: true, Show: true, Max: 1024, Autofocus: n.NewError+n.RepeatError == ""},
		{Name: "password2", Label: "New password again", Type: "password", Autocomplete: "new-password", Error: n.RepeatError, Required: true, Max: 1024},
	}
}

// Problem is the summary, or nil.
func (n NewPassword) Problem() *webkit.Problem {
	return pages.Problem("Error: the password was not changed", n.Fields())
}

// WasReset says that it is done.
type WasReset struct {
	webkit.Frame
	SignInURL string
}
