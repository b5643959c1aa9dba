// Package client is the CLI's hands: an HTTP client of our admin API.
//
// It owns how a person connects to a server from a terminal (authorization code
// with PKCE on a loopback address, RFC 8252, or a device code, RFC 8628), where
// the credentials of connections lie, when they are refreshed, and the typed
// calls of the commands.
//
// Promises: a refresh token is presented by one process at a time and its
// successor is on disk before the access token is used. A call that changes
// something is sent once; when its answer is lost the error says so ([Lost]) and
// claims nothing. Every call is bounded in time and in bytes read. Credentials go
// to the connected address only: redirects are not followed, and plain http is
// for loopback addresses.
//
// It leaves words, tables and exit codes to cmd/curfew, and every decision about
// who may do what to the server.
//
// Trust: the server is believed about everything but where to send credentials.
// Whoever can read the configuration directory can act as the connected person
// until that grant is revoked; the directory is 0700 and its files are 0600.
// Whoever can write there can name another server for the next connection, but
// gets no credential by it: tokens lie in the same file as the address they are for.
package client
