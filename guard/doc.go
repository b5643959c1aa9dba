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
// # Chains
//
// A service that acts for a person exchanges the token it was shown for one of
// its own (RFC 8693, on-behalf-of). The new token has a grant of its own and
// says what that was made from, so that ending one ends all that came of it:
//
//	gid   the token's own grant
//	gids  the grants above, nearest first; at most [cutoff.MaxChain]
//	act   who acts (RFC 8693 §4.1): sub is the client_id of the application that
//	      holds the token, act inside it the one before, and so on: one more
//	      than there are gids
//
// RFC 8693 calls all but the outermost actor information. Here each of them
// decides: a cutoff of a grant above, of an application on the way, or of the
// person in it, covers the token. A chain that cannot be read (too long, a gap,
// another actor than client_id) is refused.
//
// # Bound tokens
//
// A token whose cnf claim names a key is taken only from whoever proves with the
// request that they hold it: by a DPoP proof (RFC 9449 §7), for which the guard
// must know the address its clients use (Config.URL), or by the certificate of
// the TLS connection (RFC 8705 §3), for which the guard must be where TLS ends.
// A bound token without its proof, a proof beside a token that is not bound, and
// a cnf this guard does not understand are refused. Proofs are remembered for as
// long as they could be repeated, in this process; several instances that must
// not take one proof twice between them set DemandNonce and no common secret.
//
// # Metadata
//
// With a URL the guard publishes where tokens for the resource come from (RFC
// 9728), and every refusal names the place. A client that knows nothing but the
// address finds its way to the issuer.
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
