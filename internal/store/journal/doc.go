// Package journal is the sign-in log: who got in where, from where, by what, who
// was refused, and what the policies said each time.
//
// It is apart from the ledger and the directory, in a file of its own
// (signins.db, SQLite) or in tables of its own with a few connections of its own
// (PostgreSQL): it grows with use, is swept, and nothing is ever decided by it.
//
//	Add ──▶ queue (bounded) ──▶ batches of 500, or every 250 ms ──▶ signins
//	  │ full: counted, logged once ──────────▶ one entry that says how many  ├─▶ tallies
//	  └ what policies did: once for all that were judged alike ──▶ applied ──┘
//
// It promises: [Journal.Add] never waits for the database and never fails a
// sign-in; what did not fit is counted, and the log itself says so in an entry of
// kind [Gap]; after a clean stop everything that was added is written, or the
// process log says how much is not. Counts of a policy's outcomes are exact for
// what was written, and cost what a day has of different judgements, not what it
// has of sign-ins.
//
// What can be lost: the process killed, what was added in the last 250 ms (more
// while the database is slow, at most 8,192 entries). The machine's power cut: on
// SQLite what was written since the last checkpoint, at most two megabytes, some
// five thousand sign-ins, because commits here are not synced one by one; on
// PostgreSQL the last second. A revocation is never in this file and is never lost
// so.
//
// A list is read in steps: one call looks at no more than [Step] entries, and what
// it returns may be fewer than were asked for, with a cursor to go on. Only the
// filter by user has an index.
//
// It leaves to others: what an entry says (issue, signin), who may read
// (internal/review), Graph's names (internal/web/graph/signins).
//
// Trust: whoever controls this database can lie about sign-ins, invent them and
// take them away; nothing here is signed, and no decision about access rests on
// it. The entries hold people's names, addresses and habits: the file is as
// private as the directory's own. What was typed as a user name is not kept when
// it is nobody's: people type passwords there.
package journal
