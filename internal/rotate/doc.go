// Package rotate is an administrator's hand on the signing keys: list them,
// rotate them ahead of time, take one out of use, drop those that somebody else
// may hold.
//
// It owns who may do so, the audit of it and the order of things: keys are made
// before the transaction, because that is slow, and who asks is judged before it
// and again inside it. Dropping keys ends every grant and access token in the
// transaction that removes them (decision 0007).
//
// It leaves to internal/keys what a key is, when the next one takes over and how
// nodes learn of it, and to internal/revoke the cutoff and its receipt.
//
// Trust: it believes the actor that the surface identified, and nothing else. It
// sees no private key but as package keys wraps it.
package rotate
