// Package issue turns sign-ins into grants and grants into tokens, and answers
// whether a token is still good.
//
// Every token is handed out in the same four steps. In one transaction, the
// ledger's head is read, then the facts, then standing judges them, then the
// row that remembers the token's expiry is written. When that is durable, the
// cutoffs are looked at a last time. Only then is anything signed. A token's
// born is the head of that transaction. So a revocation that slips in anywhere
// makes the token dead on arrival or unissued, and every token is in the
// receipt of the revocation or was never handed out.
//
// What is read outside the transaction (the client's registration and secret,
// the resource's scopes) is compared again inside it, or cannot change without
// cutting the grant.
//
// The package trusts keys to keep the signing keys, and its surface to have
// read each parameter once and to tell when the request had arrived.
package issue
