// Package again is how a guard has a token judged again: the question it puts to the
// issuer's introspection endpoint (RFC 7662), and the answer.
//
// It owns the form of both and nothing else: when to ask, how often, and what a
// refusal is called are the guard's.
//
//	POST introspect   token=… &judge=POS &address=IP      POS: what the guard must know
//	{"active":true,"judged":HEAD,"jti":…,"exp":…}         judged by what stood at HEAD
//	{"active":false,"judged":HEAD,"refused":"step_up"}    or "policy", or "revoked"
//
// Promise: an answer is taken only if it is about the token that was asked for, and
// if what it was judged by is no older than what the guard knows.
//
// Trust: whoever answers can admit the token, as who issued it could.
package again
