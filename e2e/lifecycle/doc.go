// Package lifecycle tests the table of what ends what, cell by cell, from outside:
// a whole server, real guards that follow its feed, browsers, an administrator's
// API and command line.
//
// It owns the expectations. The grid in grid_test.go is written by hand and knows
// nothing of internal/standing's table but the names of its rows: a row without
// expectations, without a way to bring it about, or without a reason why there is
// none, fails. Every cell uses what was handed out after the event: what must be
// dead is refused, and what must live works.
//
// Trust: none needed; nothing imports it.
package lifecycle
