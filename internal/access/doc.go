// Package access asks conditional access about one use of a session or a grant: it
// gathers what is known of it, in the transaction in which the answer counts, and
// lets internal/policy decide.
//
//	request, session or grant ──Use──▶ Judge ──▶ Ruling: limits, and what each policy said
//	                                     │
//	             rows of the transaction ┘└──▶ a fault with [Refused] inside
//
// Whatever issues or accepts for a person calls it, each time: authorize, code,
// refresh, device code, exchange, the directory's own API and pages. It is asked
// what is to be reached, not who signs in: a browser session may exist of which a
// password is all that was proven, and opens nothing that policies close.
//
// It promises: the policies are as current as the head of the transaction; without
// policies a use costs nothing that can be measured; what could not be read refuses.
//
// It leaves to others: whether the session or grant is alive (internal/standing),
// what an application does as itself, whom no policy is about, what a person is
// asked in the browser and in which order, and the write paths of policies.
//
// Trust: it believes who calls it about the request (address, agent), and rows about
// everything else.
package access
