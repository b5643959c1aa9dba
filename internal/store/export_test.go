package store

// Plain runs a statement on the transaction's own connection, for tests that
// make the engine itself fail.
func (tx *Tx) Plain(q string) error { return tx.plain(q) }

// Waiting is how many writers are queued (SQLite).
func (db *DB) Waiting() int {
	db.queue.mu.Lock()
	defer db.queue.mu.Unlock()
	return len(db.queue.urgent) + len(db.queue.normal)
}

// Readers is how many connections read (SQLite).
func (db *DB) Readers() int { return cap(db.readers) }

// Prepared is how many statements the idle reader with the most of them keeps (SQLite).
func (db *DB) Prepared() (n int) {
	for range len(db.readers) {
		c := <-db.readers
		n = max(n, len(c.stmts))
		db.readers <- c
	}
	return n
}
