// Package account is what somebody does with their own account in the browser: where
// they are signed in and sign out everywhere, which applications have access, the
// password, how pages look, and by what they prove who they are. It also serves the
// steps of a sign-in in which something beside the password is given: a code, a passkey,
// a recovery code, a temporary access pass.
//
//	whatever asks for more ─► /signin/second?next=… ─► a code or a passkey ─► next
//	                               │ has none yet
//	                               └─► set one up ─► use it ─► recovery codes ─► next
//
// Where to go on to is an address of ours, and is judged there as if nobody had ever been
// here: a page of this room decides nothing.
//
// It promises: whose account it is says the session cookie and nothing in the
// request; whatever ends something goes through the verbs that an administrator's
// button goes through; every page works with scripts off, but for passkeys, which
// browsers give to scripts only: those pages say so and name the other ways.
//
// It leaves to package pages, whose server it stands on, who is behind the cookie,
// signing in first, and what an error looks like; to the verbs whether a person may.
//
// Trust: as package pages. The cookie by which a browser is spared the second factor is
// as good as that factor, to who has the password as well; it is a ticket of
// internal/factor, which ends it with any cut of the person.
package account
