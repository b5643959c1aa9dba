// Package api is what every address under /v1.0/ shares, Microsoft's and our own:
// it identifies the caller, brings addresses into one form, reads bodies and
// headers, and writes answers and faults. Packages graph and own hold the
// handlers.
//
//	bearer token ──► issue.Actor ──► handler ──► verb ──► JSON
//	                     └─ cut ──► 401 with a claims challenge
//
// It promises: a handler runs only once somebody is identified; every kind of
// fault has one status and code; what has been done is told as done.
//
// It leaves to its neighbours: reading query options and bodies strictly (package
// odata), what an address means (packages graph and own), who may (the verbs).
//
// Trust: everything in a request is the caller's. Bodies are bounded packed and
// unpacked. Any origin may ask, because no request carries who asks by itself:
// there are no cookies.
package api
