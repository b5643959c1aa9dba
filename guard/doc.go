// Package guard protects an HTTP service with tokens that can be taken away.
//
// A [Guard] verifies curfew's access tokens locally and follows the feed of
// cutoffs, so that a token that was revoked is refused within milliseconds,
// however long it would still be valid. It owns the view of the feed, the
// issuer's keys, a cache of tokens it has verified, and the long-lived requests
// that registered to be cut ([Hold]). What the caller of a live token may do is
// left to the program; [Guard.Require] and [Guard.RequireACR] cover the two
// questions the token itself answers.
//
//	g, err := guard.New(guard.Config{
//		Issuer: "https://login.contoso.example", Audience: "api://mail",
//		ClientID: "mail", ClientSecret: secret, Name: "mail-1",
//	})
//	go g.Run(ctx)
//	http.Handle("/", g.Middleware(g.Require("Mail.Read")(mail)))
//
// # Promises
//
// A token is accepted only if its signature, type, issuer, audience and times
// are right, if it says at which ledger position it was born, and if no cutoff
// covers that. A guard that cannot vouch for its view of the feed any more
// (nothing heard for MaxStaleness, a line it does not understand, not running)
// refuses everything with 503 and says since when. Doubt closes.
//
//	         register        snapshot          ask (long-poll)
//	start ──────────▶ known ──────────▶ fresh ◀───────────────┐
//	                    ▲                 │  answered: renews ─┘
//	   unknown process  │                 │ MaxStaleness passed, or a line
//	   ─────────────────┘                 ▼ that cannot be read
//	                                    closed ──▶ answered: fresh again
//
// A stream runs ahead of the long-poll. It is only speed: it moves no cursor,
// acknowledges nothing and renews no age. A line lost on it comes again with
// the next answer, because every ask names the cursor of the last answer.
//
// Ages are the larger of monotonic and wall-clock time: on a machine that was
// suspended the monotonic clock stood still, and on one whose clock was set
// back the wall clock did.
//
// # Trust
//
// Whoever controls the issuer's feed or keys can admit anybody, as with any
// token verifier. Whoever can only delay or drop what comes over the network
// can close the guard, never open it. Whoever can read the process's memory has
// the tokens it was shown: the cache holds them in full, because a cache keyed
// by anything less lets one token pass for another.
//
// The package depends on cutoff and the standard library only; deps.txt lists
// every package it pulls in, and a test compares.
package guard
