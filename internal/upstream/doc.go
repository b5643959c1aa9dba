// Package upstream asks other identity providers: who they are (discovery), what
// keys they sign with, and, for a code, whom they say has signed in.
//
// It owns what is on the wire between this directory as a client and an OpenID
// provider: the metadata, the authorization request, the exchange of the code and
// the checks of an ID token and a logout token. All of RFC 9700 that concerns a
// client is here or in internal/federate: PKCE with S256 and a nonce always, an
// explicit list of algorithms, the issuer compared to the byte (in the metadata, in
// the answer, in every token), a redirect URI for each provider.
//
// It promises: what [Client.Redeem] and [Client.Logout] return was signed by a key
// that the provider publishes, for this client, now; every address, also those that
// the metadata names, is asked through internal/egress only; a provider is asked
// for its metadata and keys at most once in so long, whoever sends what.
//
// It leaves to internal/federate who somebody is here, what is remembered of a
// sign-in, and what ends.
//
// Trust: a provider is believed about its own subjects and nothing else. Whoever
// controls its metadata address (TLS is what protects it) is that provider. Keys
// that it has taken back are believed for up to five minutes, and while it cannot be
// asked for up to an hour.
package upstream
