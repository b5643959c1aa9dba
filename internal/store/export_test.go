package store

// Plain runs a statement on the transaction's own connection, for tests that
// make the engine itself fail.
func (tx *Tx) Plain(q string) error { return tx.plain(q) }

// Waiting is how many writers are queued (SQLite).
func (db *DB) Waiting() int { return db.queue.Waiting() }

// Readers is how many connections read (SQLite).
func (db *DB) Readers() int { n, _ := db.engine.Idle(); return n }

// Prepared is how many statements the idle reader with the most of them keeps (SQLite).
func (db *DB) Prepared() int { _, n := db.engine.Idle(); return n }
