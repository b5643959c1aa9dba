// Package account is what somebody does with their own account in the browser: where
// they are signed in and sign out everywhere, which applications have access, the
// password, how pages look.
//
// It promises: whose account it is says the session cookie and nothing in the
// request; whatever ends something goes through the verbs that an administrator's
// button goes through; every page works with scripts off.
//
// It leaves to package pages, whose server it stands on, who is behind the cookie,
// signing in first, and what an error looks like; to the verbs whether a person may.
//
// Trust: as package pages.
package account
