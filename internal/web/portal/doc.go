// Package portal is the administrator's side of the browser: users, what is open
// for each of them, the confirmation before an act and the receipt after it.
//
// It owns the routes (handlers.go and its siblings), what becomes of a verb's answer
// in a page (fill_*.go), the view models (view.go, views_records.go), their templates,
// the words of the verbs (words.go; those of the states are package receipt's) and
// the addresses (paths.go). app_acts.go lists what can be done to an application; the words
// and forms of what is registered are package registry's. A view holds facts (instants, counts, states);
// sentences are made from them here, pixels and percents in package figure, so that
// page, live event and text alternative cannot disagree.
//
// Who asks, the frame, the notice of a refusal and the pages that are the same whatever
// they are about are package desk's, which other rooms with pages of the portal share.
//
// It promises: no page shows as done what is not committed; what is left stands
// before what is over; each mutating button is a link to a confirmation page, and
// only its form acts; every page works with scripts off, from 320 px on.
//
// It leaves to the verbs: whether the reader may do or see something. It asks
// role.Allowed only to show beforehand what the verb will say: no button is dead,
// and none is hidden. A template decides nothing about access. Signing in and one's
// own account are package pages'; cross-site posts are webkit.Browser's.
//
// Trust: the cookie is looked up on each request, and every few seconds while a
// receipt is followed; it is the only thing that says who asks. Names, reasons and addresses come from people and may be anything; they
// are escaped, never interpreted.
package portal
