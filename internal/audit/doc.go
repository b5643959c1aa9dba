// Package audit holds the record of who did what to whom.
//
// A record is written in the transaction of the act it tells of, so that there
// is neither an act without a record nor a record without an act. Refusals are
// recorded too, in a transaction of their own; so are alarms, which tell of
// something seen and not of an act. Records hold names and ids, never a secret, a
// token or a password.
//
// Trust: whoever controls the database can change the past here. Receipts and
// the ledger's numbers make a missing revocation visible; nothing makes a
// missing read visible.
package audit
