// Package watch looks at sign-ins and refreshes for what the rules of internal/risk
// find, keeps it, and lets administrators confirm or dismiss it.
//
//	sign-in (inside its transaction) ─┐                    ┌─▶ the account's risk
//	wrong passwords (counted here) ───┤─▶ rules ─▶ findings┤      └─ changed: what the
//	reuse, two networks ──────────────┘                    │         person holds is
//	administrator: confirm · dismiss ──────────────────────┘         judged again
//
// It promises: a risk ends nothing by itself, policies decide what it means; each
// finding says which facts led to it; a session's findings are written in the
// transaction in which it is born, so that its first use is judged by them; a refresh
// that is nothing special costs nothing.
//
// Where no rule about sign-ins is on, the risk of sign-ins is not known; where one is,
// a sign-in at which nothing was found has none. The risk of accounts is computed by
// default, because reuse of a refresh token is looked for: an account about which
// nothing was found has none, and a policy about risk spares it.
//
// It leaves to others: what weighs how much (internal/risk), the rows
// (internal/store/risks), who asks for the risk (internal/access).
//
// Trust: findings are as good as addresses and what browsers say. What is remembered
// of failed sign-ins is this process's: each node counts for itself, a restart
// forgets, and who tries fewer than ten accounts in ten minutes from one address (of
// IPv6: one /64) is not found. Sessions before are those that
// are still in the store, some ninety days.
package watch
