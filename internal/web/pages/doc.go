// Package pages is the side of the browser that everybody sees: signing in,
// changing a password, letting an application in, choosing an account, entering a
// device's code, signing out. One's own account is package account's, on the server
// and the frame of this one.
//
// It owns the view models (view.go), their templates and the handlers behind them
// (handlers*.go): the authorization and end-session endpoints, whose answer to an
// application may need several pages first. Each step reads and judges the whole
// request again; what comes back from a browser in a hidden field or an address is
// under a MAC and proves nothing about anybody but what was asked and shown.
//
//	authorize ─► sign in ─► choose ─► consent ─► code ─► the application
//	    ▲           │           │          │
//	    └── 303 ◄───┴───────────┴──────────┘  each step goes back to the same request
//
// The names of form fields
// are an interface that scripts and tests rely on: username, password, kmsi,
// current, password2, decision, account, user_code, flow, name, and on the account's
// pages theme, keys, keep.
// So are the ids of the buttons, sign-in, change, allow, deny, sign-out and go-on, and
// that a field's id is f- and its name (docs/conformance.md).
//
// It promises: every page works with scripts off; a form that comes back keeps
// what was typed, except passwords; a wrong user name and a wrong password read
// the same.
//
// It leaves to internal/signin who somebody is, and to internal/issue what an
// application gets.
//
// Trust: names of applications and publishers, and the login hint, come from
// people outside the directory; they are escaped and shown as what they are.
package pages
