// Package guardtest is an issuer and a feed for other people's tests.
//
// A [Server] is one process's worth of curfew: it mints access tokens with the
// claims a test chooses, publishes its keys, keeps a ledger that [Server.Cut]
// appends to, and answers the feed (registration, snapshot, long-poll, stream)
// as the real server does, checking client credentials too. It can be told to
// misbehave: to fall silent, to delay, to lag, to lose and double lines, to
// forget whom it knows, to change keys.
//
//	srv := guardtest.New(t)
//	g := srv.Guard(t)
//	token := srv.Token(guardtest.Token{User: ada, Scopes: []string{"Mail.Read"}})
//	srv.Cut(cutoff.Cutoff{Scope: cutoff.User, ID: ada, Reach: cutoff.Everything})
//
// [New] listens on a loopback port. [NewPiped] needs no network at all and works
// inside a testing/synctest bubble, where hours pass in microseconds.
//
// It leaves to the real server everything that decides whether somebody should
// have a token: it judges nobody. Trust: its keys are made for one test and its
// client secret is public; nothing it signs is worth anything elsewhere.
package guardtest
