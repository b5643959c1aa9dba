// Package deed does one thing on somebody's behalf, in one transaction.
//
// It owns what verbs have in common when they change something: the actor with the
// roles of this moment, the reason, the dry run that is undone, the refusal that is
// on record, and the receipt of what ended. It decides nothing: which role an act
// needs is asked by the verb, with [Step.Allow].
//
// What it promises: a dry run leaves nothing behind, not even an audit record; a
// refusal is on record though the transaction is undone; what was committed is
// answered with its receipt, whether or not it could be counted.
package deed
