// Package recheck judges an access token again for the guard that was shown it, and for
// who introspects it (docs/decisions/0021).
//
//	guard: a doubt covers this token ──▶ Judge ──▶ standing of the grant, person, roles,
//	                                                policies with the address the guard sees
//	       remembers Answer.Judged   ◀──        ◀── admitted until, or refused and why
//
// The same is asked by [Service.Introspect] where introspection finds a token in doubt.
//
// A guard asks once for each token in use after each change of policies, devices or
// risk, so it reads what a refresh reads and writes nothing.
//
// Promises: everything is read on the primary, in one transaction whose head is the
// position that the answer names: no doubt up to there is unanswered. What cannot be
// read is no answer. Nothing is said of a token to whom its resource is not to guard.
//
// It leaves to others: signature, time and cutoffs (internal/issue), what policies say
// (internal/access), when to ask and what a refusal looks like (the guard).
//
// Trust: who asks is believed about the address they see. Whoever has a guard's
// secret can learn whether a token that they hold would pass from any address.
package recheck
