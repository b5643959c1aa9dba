// Package wire reads answers of the feed, and says what is wrong with one.
//
// It owns the form of an answer ([Answer], [Read]) and what may be asked of any
// ([Answer.Check]); what follows from one is the guard's. A snapshot is merged while it
// is read, so that a large one is never held twice.
//
// Promise: a line that arrived whole and cannot be understood is told from one that
// was cut off on the way ([ErrUnreadable]); nothing is skipped but members of the
// answer itself that are not known.
//
// Trust: it believes the server about what is cut, never about its own past: a head
// that went backwards, a line beyond the head and an answer to another question are
// errors.
package wire
