// Package receipt is what a receipt says: the states of a promise, what is left and
// until when, who has confirmed, in the order that never changes.
//
// It owns the timeline before and after a cut, too, and the words of the states and endings, which page, table, timeline and live event share.
// It promises that counts never mix, that a guard that closed by itself is not one
// that confirmed, and that no title says success while something lives.
//
// It leaves to package portal where the facts come from and who may see them, to
// package figure how they are drawn.
//
// Trust: names and reasons are shown as they are; the templates escape them.
package receipt
