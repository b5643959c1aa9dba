// Package grant holds the two things a sign-in leaves behind, and the rule by
// which one of them is renewed.
//
// A [Session] is one browser signed in. A [Grant] is one application's standing
// permission to get access tokens for one user: a family of refresh tokens, of
// which exactly one generation is current.
//
//	          use of g: rotate                 use of g+1
//	issue g ───────────────────► g+1 current ────────────► g+2 current …
//	             ▲        │
//	             └────────┘ g again, within the retry window and before
//	                        g+1 was used: the same answer, counted
//	older than that: reuse → the grant is cut
//	newer than current: history was lost → an era begins
//
// A strict application has no retry: g again is reuse. A bound one, whose client
// proves a key, and whatever was made from another grant (see [Link]) has no
// successor: g stays current.
//
// A refresh token is computed, not stored: key id, grant id, generation and a
// MAC over them. So a retry gets the same successor, storage does not grow with
// use, and reuse is found however long ago the generation was current.
//
// A retry is answered whoever makes it. What makes a thief likely, another
// network than the first use's or retries in generation after generation, is an
// [Alarm]: for people, and bounded.
//
// The package is pure. It trusts its caller to hold the grant's row locked
// between reading and writing, and to have authenticated the client before.
package grant
