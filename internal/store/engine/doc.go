// Package engine is the connection to a database: SQLite or PostgreSQL, its
// pools, prepared statements, transactions, the commit that many writers share,
// and the migrator. It knows no table.
//
// It promises that what [DB.Transact] or [Queue.Submit] returned without an error
// is committed (and, unless [Config.Relaxed], durable), that an error for which
// that is not known says so ([ErrUnknown]), and that errors of the two engines
// which callers branch on have one name here. What is written in a transaction,
// and what follows from it, is for the rooms above: store and its journal.
//
// SQLite: one process owns the file (a lock beside it), one writer, a bounded
// number of readers, each of which keeps its statements prepared. PostgreSQL: READ
// COMMITTED, one connection for a whole transaction, and a pool for each kind of
// caller, so that none waits for another's.
//
// Trust: an engine that answers "committed" and forgets is not found here. What
// can be asked (fsync, synchronous_commit, whether it is a standby) is asked at
// start.
package engine
