// Package clientauth proves who a client is (RFC 6749 §2.3): by a secret, by an
// assertion it signed (RFC 7523), by the certificate of its connection (RFC 8705
// §2.2), or, for a public one, by nothing. What a client is proven by is judged
// again inside the transaction that acts on it ([Client.Still]), because it may
// have been taken away meanwhile. What those have stored who prove nothing is
// rationed here, too ([Strangers]). Which key a request proves to hold is found out
// by a [Holder].
package clientauth
