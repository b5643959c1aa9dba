// Package policies is the administrator's side of conditional access in the browser:
// policies in plain words, what they did and would do, named locations, the accounts
// that all policies spare, and what if.
//
//	list ──► policy ──► Turn on | Report only | Turn off | Delete ──► confirmation with what ends
//	  │         └──► its document as JSON, to change it
//	  └──► new policy: from a template, or from a document
//	what if: a sign-in | a change ──► which policies, which outcome; what ends, what stays
//
// It promises: what a change would do is told, in numbers, before the button that does
// it, by the verb that does it; a document that is refused is shown again as it was
// typed, with the path of what is wrong; nothing here switches a policy on that
// somebody has not seen the consequences of.
//
// It leaves to package govern who may do it, what a document may say and what would
// come of it; to package desk who asks.
//
// Trust: names in documents come from people; they are escaped. A document that is
// typed is judged by govern alone.
package policies
