// Package proof reads what others sign: client assertions (RFC 7523), DPoP
// proofs (RFC 9449), and the statements of other identity providers (ID tokens,
// logout tokens, orders to revoke).
//
// It owns the form of a signed JWT and of the keys that may have signed it. Each
// caller names the algorithms, types, issuer and audience it takes ([Want]); what
// is not named is refused. There is no default that accepts.
//
// It promises: nothing is told of a statement that was not verified, but for
// [Peek], which says so; symmetric algorithms and "none" are refused whoever
// names them; a header with crit, or a JSON object that names a member twice, is
// refused (two readers might see two statements); everything has a limit of size
// before it is parsed.
//
// It leaves to its callers where keys come from, how long they are kept, and
// whether a statement was seen before (jti): those need a network, a clock and a
// store, and this package is pure.
//
// Trust: a statement is worth what its key is worth. Whoever chooses the [Keys]
// chooses whom to believe; a key, certificate or address named in the
// statement's own header is never used, except the key of a DPoP proof, which
// proves possession and nobody's name.
package proof
