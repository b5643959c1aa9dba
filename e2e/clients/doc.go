// Package clients is a module of its own: other people's clients, unmodified and
// at pinned versions, against a running curfew serve --tls local. It knows
// curfew as they do, from outside: the binary, built from this checkout and run
// as a process, and the public guard package.
//
//	world     the server, people who fill in its pages, an API behind a guard
//	standard  go-oidc and x/oauth2
//	msal      MSAL Go
//	js        openid-client, msal-node and the Graph client, on Node.js
//	azure     azidentity and azcore
//	graph     msgraph-sdk-go, which takes minutes to compile
//
// Everywhere the same story: sign in, renew, call an API, an administrator
// revokes over the Graph API, everything old is refused, the client understands
// the challenge as far as it can, and signing in within the same second works
// while what is old stays dead.
//
// What the clients cannot be told but by their options (trust in the local CA, no
// question to login.microsoftonline.com) is set in these tests as an
// application would. Nothing here trusts the network beyond loopback.
package clients
