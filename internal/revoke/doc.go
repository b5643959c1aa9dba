// Package revoke is the one way in for taking access away: the button, the
// Graph call, the command line, sign-out, a refresh token used twice. What
// follows from a change of a row (disable, password, roles) is appended by the
// store's own diff of that row and does not come through here; nothing else
// writes cutoffs.
//
// A revocation is one transaction: cutoff, ledger line, audit record, receipt.
// It costs the same for a user with one token and one with 100,000. What was
// ended and what is still out there is counted afterwards and written to the
// receipt; the answer does not wait longer than it takes to count one user's
// rows, and the cut is durable before the counting begins.
//
// Every method takes the actor and refuses on its own, judged inside the
// transaction by the roles held at that moment.
//
// A line wakes every guard, so what people do to what is their own comes with an
// allowance (pace.go). It is kept in the database: all nodes share it, and a
// restart forgets nothing. Verbs that append such lines without coming through
// here ask Pace first.
package revoke
