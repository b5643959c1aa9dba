// Package relay carries the ledger to its readers and says who has it.
//
// It owns the feed (what a guard process asks and is answered), the register of
// guard processes, the receipts made of what they acknowledged, and the views of
// what is still open: exposure of a user, guards, ledger, overview.
//
// A guard process asks "what is after my cursor?". Asking acknowledges: the
// cursor says that everything up to it has been applied.
//
//	register ──► ask without cursor: snapshot ──► ask after=C1 ──► ask after=C2 …
//	                       ▲                            │
//	                       └── position unknown, or at ─┘
//	                           or below the newest era
//
// Promises: an answer contains everything up to its head, and says how old the
// node's view may be as of an instant no later than its lines were read. Nothing is
// acknowledged but what was given to that process, under a mark that the ledger
// still has: a position of a lost history confirms nothing. A receipt says
// "confirmed" only of an acknowledgement; of a silent guard it says until when it
// may go on, by its own limit; of a place nobody guards, when its tokens expire.
// An answer rendered for one guard is shared by all that ask the same.
//
// It leaves to its neighbours: cutting and counting (package revoke), the wire
// (package web/feed), words and layout (package web/portal).
//
// Lock order: register, then hub, then the store's view. Watchers have a lock of
// their own, taken last.
//
// Trust: a guard is believed about itself only. It can claim to have applied what
// it was given and did not apply; it cannot acknowledge a position it was not
// given, another process's position, or invent a future, because a cursor carries
// a MAC over directory, process, position and mark. Whoever holds a client's secret
// can register processes for the resources that this client may guard, and so
// delay a receipt's completion or read which ids were cut, never why or by whom.
package relay
