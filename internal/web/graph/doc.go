// Package graph is the Microsoft Graph surface: the paths, query options, JSON
// shapes and error codes that scripts and SDKs written for Entra ID expect. It
// parses the request, calls one verb and renders the answer. It decides nothing:
// who may do what is the verb's.
//
// It promises: what is not understood is refused, never passed over (a query
// option, a property, a parameter), with one exception: nothing in a request keeps
// revokeSignInSessions from revoking. A dry run that is asked for in words unknown
// here does nothing.
//
// It leaves to its neighbours: who calls, and how answers and faults are written
// (package api); what Microsoft has no names for (package own); reading query
// options and bodies strictly (package odata); who may (package role, through the
// verbs), cutting and counting.
//
// Trust: everything in a request is the caller's. What the caller typed comes back
// only inside JSON strings.
package graph
