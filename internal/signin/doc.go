// Package signin proves who somebody is, and keeps the browser sessions that
// follow from it.
//
// It owns passwords (argon2id, a bounded pool, throttling before any hashing),
// the session cookie, the change of one's own password, its reset by a link in a
// mail, and the one-time set-up of the first Global Administrator.
//
//	user name, password ──► throttle ──► hash, outside any transaction
//	      ▲                                │ the same row, the same version?
//	      └── start over ◄── changed ──────┤
//	                                       ├─► must change ─► ticket ─► new password ─┐
//	                                       ├─► reprove a live session                 │
//	                                       └─► new session, born at the head ◄────────┘
//
// It promises: what was proven outside a transaction is compared again inside
// it, so a password reset between the two leaves nothing; a session is born at
// the head that was read before its facts, so a revocation that slips in between
// makes it dead on arrival. A wrong name, a wrong password and an account that
// cannot sign in get one answer, after the same work. That an account is disabled
// is told only to who knew its password.
//
// It leaves to others: what a session may do (internal/role), how sessions end
// (internal/revoke, the store's row diff), and cookies on the wire (surfaces).
//
// Storms: all cores but one may hash at once, and one of those places only people
// who hold a role may take, so that who came to revoke need not wait behind a
// crowd. With one or two cores there is one ordinary place, and the reserved one
// is on top. Each hash runs on one core; the others are for refreshes and feeds.
// Waiting is bounded in number and in time; who does not fit is told when to come
// again. The price: during a storm somebody who holds a role is answered sooner,
// and that can be measured from outside.
//
// Trust: whoever controls the database can plant a password hash or a session
// row, and so sign in as anybody; they learn neither passwords nor cookie values,
// of which only hashes are stored. Whoever holds a cookie is that person until
// the session ends. The throttling of tries lives in this process: several nodes
// together allow as many times more, and a restart forgets. That of changes of the
// password, each of which ends sessions, is internal/revoke's and in the database.
package signin
