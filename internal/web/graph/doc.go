// Package graph is the Microsoft Graph surface: the paths, query options, JSON
// shapes and error codes that scripts and SDKs written for Entra ID expect, and
// beside them, under /v1.0/curfew/, what Microsoft has no names for. It identifies
// the caller, parses the request, calls one verb and renders the answer. It
// decides nothing: who may do what is the verb's.
//
//	bearer token ──► issue.Actor ──► parse (package odata) ──► verb ──► JSON
//	                     └─ cut ──► 401 with a claims challenge
//
// It promises: what is not understood is refused, never passed over (a query
// option, a property, a parameter), with one exception: nothing in a request keeps
// revokeSignInSessions from revoking. A dry run that is asked for in words unknown
// here does nothing. Every kind of fault has one status and code. What has been
// done is told as done, even when its receipt cannot be shown.
//
// It leaves to its neighbours: reading bodies and query options strictly (package
// odata), who may (package role, through the verbs), cutting and counting.
//
// Trust: everything in a request is the caller's. Bodies are bounded packed and
// unpacked. What the caller typed comes back only inside JSON strings. Any origin
// may ask, because no request carries who asks by itself: there are no cookies.
package graph
