// Package standing answers one question for everything that was handed out: is
// this still good?
//
// [Check] lists every cause for which a session, a code or a grant is no longer
// good, not the first one. Whatever issues or accepts asks it: code exchange,
// refresh, device codes, client credentials, introspection, userinfo, cookies,
// the portal. Deleting rows is housekeeping and never the mechanism.
//
// [Table] says what each event ends. The row diffs of the store and internal/revoke
// take their cutoffs from it, and
//
// The package is pure; it trusts its caller to have read the ledger's head
// before the facts, in the same transaction.
package standing
