// Package deliver tells other people's servers what the ledger says: that
// somebody is signed out.
//
// The ledger is the outbox. Each recipient, an application with a back-channel
// logout address, has a durable cursor of its own: everything up to it was
// confirmed, or given up and kept as a dead letter. So one that is down holds up
// nobody, a restart forgets nothing, and a thousand recipients cost a revocation
// nothing: whom a line concerns is asked after it is durable.
//
//	line of the ledger ─► concerned? ─► claim ─► notices of the line ─► POST
//	                                      ▲                               │
//	                                      │      200, 204: cursor moves   │
//	                                      │      400: dead letter, go on  │
//	                                      └───── else: wait, longer each time,
//	                                             after a day: dead letter, go on
//
// Delivery is at least once and in order for each recipient. A crash between the
// answer and the cursor sends a notice again, never not at all. Each attempt has a
// fresh jti: an application that remembers those it has seen would answer a
// repeated one with 400, though it had done what was asked.
//
// What a notice says is decided when it is sent, from the rows as they are then. A
// line that ends a user's sessions becomes one notice with sub alone, which ends
// whatever the application holds for them; but once they have signed in there
// again, a notice that comes late would end the new session too, so it names the
// sessions it means, one notice for each sid. Those whose rows are swept by then
// are over by themselves. Which line makes which notice (DESIGN §7, column "other"):
//
//	user                 every application of the user: sub, or each sid
//	session              every application of the session: sid
//	user in application  that application: sub, or each sid
//	application          that application, user by user (disabling keeps the row; deleting
//	                     it takes the address away, and nobody is told)
//	directory, era       every application, user by user
//	grant                that application, sid, if it has no other living grant of that
//	                     session; not when its client gave it back or used it twice: that
//	                     client knows, and a token returned is not a sign-out
//	tokens only          nobody: the browser sessions stay (roles, permissions, secrets)
//
// Consent withdrawn is user in application. Signing out spares refresh tokens
// with offline_access here, and the notice is the same for sign-out and revocation:
// an application that asked for offline_access is expected to keep it at the one, and
// finds it dead after the other (OpenID Connect Back-Channel Logout 1.0 §2.7). A
// session that ends by itself has no line and makes no notice.
//
// Several nodes share the work by a claim in the recipient's row: its column next is
// the instant before which nobody else tries, for a lease as for a wait. A node that
// lost its lease cannot move the cursor; what it sent meanwhile is sent twice.
//
// Trust: an application is believed about itself. The address was written by
// whoever may register applications, and is asked through package egress. The answer
// is read for its status only, and for a code of one word.
package deliver
