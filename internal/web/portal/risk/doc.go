// Package risk is the page of accounts at risk: who they are and why, what is looked
// for, and the tab on a profile.
//
// It owns the pages and the confirmations of confirming, dismissing and switching a
// rule. It promises what package desk promises, and that each reason stands there as
// the sentence that was written when it was found.
//
// It leaves to package watch who may see and do what, and to policies what a risk
// means.
//
// Trust: the sentences hold what browsers and addresses say; they are escaped.
package risk
