// Package desk is what the rooms of the portal share: who is behind the cookie, the
// frame and navigation, the notice of a refusal, and the pages that are the same
// whatever they are about: a thing, a list of things, a form, a confirmation.
//
//	cookie ──► Visit ──► a room's handler ──► verb ──► view ──► page
//	   │                      └──► error ──► sign in | refused | error page
//	   └── no role: a way to the own account, and to applications that one owns
//
// It promises: no page is served to who is not signed in, or holds no role and is no
// owner; a handler that returns an error has answered nothing; what is not done is
// shown again with what was typed. It owns the addresses that more than one room
// links to, and the navigation.
//
// It leaves to the rooms what a page says, and to the verbs who may see or do it.
// It asks role.Allowed only to show beforehand what the verb will say: no button is
// dead, and none is hidden.
//
// Trust: the cookie is looked up on each request; it is the only thing that says who
// asks. Names, reasons and addresses come from people and may be anything; they are
// escaped, never interpreted.
package desk
