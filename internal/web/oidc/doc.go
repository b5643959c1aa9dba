// Package oidc is what applications and resource servers call: discovery and
// keys, the token endpoint, device authorization, introspection, revocation,
// userinfo and, where it is switched on, registration, in two layouts.
//
//	{base}/{tenant}/oauth2/v2.0/…   as Microsoft lays it out, issuer {base}/{GUID}/v2.0
//	{base}/oauth2/…                 the plain issuer {base}
//
// What a browser visits (authorize, logout, the device page) is in package pages.
//
// It owns the form of requests and answers: parameters read strictly (each once,
// text, bounded), client authentication by Basic or in the body, never both, and
// the one table from kinds of faults to OAuth errors, with the numbers, suberrors
// and ids that Microsoft's libraries look for (errors.go).
//
// It promises: JSON always, also for what is refused; never stored by a cache
// unless public; an internal error is server_error and a loud line in the log; a
// revocation is told without Retry-After, so that no client sits on it.
//
// It leaves to internal/issue every judgement about clients, codes and tokens, and
// to internal/manage who may register an application.
//
// Trust: nothing in a request is believed before internal/issue has judged it.
// Cross-origin reads are open to everybody where no cookie is looked at, which is
// everywhere in this package.
package oidc
