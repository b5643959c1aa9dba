// Package federation is where browsers leave for other identity providers and come
// back, where those send their logout tokens, and where people link their accounts.
//
// It owns the addresses below /federation/{provider}/ (one redirect URI for each
// provider), the cookie that binds a sign-in to the browser in which it was begun,
// and the page /account/identities.
//
// It promises: a sign-in begins with a form of this site only; what a provider is
// sent in an address never shows up in a page or a log; every page works with
// scripts off.
//
// It leaves to internal/federate who somebody is and what ends, and to
// internal/web/pages the sign-in page and where people go on to.
//
// Trust: the query of the callback comes from anybody. It means something only with
// the state of a sign-in that this browser began, once. The cookie says nothing by
// itself; who takes it from a browser can end a sign-in that was begun there, and
// has that browser's session cookie as well.
package federation
