// Package store holds the tables, the ledger, and the bell that rings when the
// ledger grows.
//
// It owns the order in which things happen. Every transaction reads the
// ledger's head before any fact, so that whatever is born in it is born at a
// position no later than the facts it was judged by. Every change of a row that
// carries rights is compared with the row as it was, and the cutoffs that follow
// are appended in the same transaction: no write path can forget them. Data rows
// are locked first, the head last, and what must hold across rows (somebody is
// still Global Administrator, what may be born again, that the actor has not
// been cut meanwhile) is judged after that lock.
//
// Two engines ([engine]), one set of statements: SQLite (one writer, many readers, many
// waiting callers share one commit) and PostgreSQL (READ COMMITTED, one
// connection for a whole transaction; refreshes share a batched statement).
// Nothing is published, streamed or cached before the commit is durable.
//
// The [View] is the ledger merged in memory, exact at a position: on SQLite it
// is always at the head, on PostgreSQL it follows. A transaction that finds the
// view behind its own head reads the lines in between itself.
//
// Lock order: rows of users, groups, apps and grants in order of id; then the
// head. In memory: writer queue, then view, never the other way round.
//
// Trust: whoever controls the database can delete cutoffs and grant rights, but
// cannot make a refresh token or sign an access token: those keys are wrapped
// under a master key that is not here. Losing history (an old copy put back) is
// found by the mark file beside that key, by guards' cursors and by refresh
// tokens newer than their rows, and answered with an era.
package store
