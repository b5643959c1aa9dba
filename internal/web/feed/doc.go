// Package feed is the wire of the feed: three calls on one path.
//
//	POST   /feed                    a guard process registers
//	GET    /feed?process&after&…    it asks; or, accepting text/event-stream, listens
//	DELETE /feed?process            it says goodbye
//
// It owns the form of requests and answers: client authentication by HTTP Basic
// (RFC 6749 §2.3.1, both parts form-urlencoded first) on every call, strict
// parameters (unknown or repeated ones are refused, and a body has no members but
// those we know), JSON errors, deadlines for each write.
//
// It promises: nothing is stored by a proxy; a reader that does not read is
// dropped; an internal error is 500 and a loud line in the log, never the caller's
// mistake.
//
// It leaves to package relay what is answered, and to whoever wires it how a
// client's secret is verified.
//
// Trust: a caller is nobody until its secret was verified, for each call; the
// address it asks from is written down and believed in nothing.
package feed
