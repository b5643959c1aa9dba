// Package cutoff says what is dead, and from when.
//
// A cutoff is the sentence "whatever belongs to scope:id and was born before
// position Pos is dead". Positions are numbers of the ledger, handed out in
// commit order; they are the only clock revocation uses. Wall-clock time never
// decides anything here, so there is no skew and no same-second hole.
//
// The package owns three things: the position ([Pos]), the cutoff and its form
// on the wire ([Cutoff], [Line]), and the [Set] that merges cutoffs and answers
// the one question everybody asks: what is the latest position that covers this
// artefact? An artefact born before it is dead.
//
// A cutoff of reach [Judge] says less: what was born before it must be judged again
// by the server before it is accepted. Nothing dies of it. It is merged, carried
// and forgotten like the others, and asked for apart ([Set.Judge]).
//
// Merging keeps the larger position. It is commutative, idempotent and
// monotone, so lines may arrive twice, late or out of order and do no harm.
// Nothing can be taken out of a set again: nothing is ever un-cut. What may be
// forgotten (because no artefact that old can exist) is forgotten by building a
// new set with a higher floor, and the floor covers what was forgotten.
//
// Trust: a set believes what it is given. Whoever can add to it can refuse
// everybody (a denial of service), never admit anybody. Whoever can withhold
// lines can delay a revocation until the holder's own staleness limit closes.
//
// The package is public because guards in other people's programs use it. It
// depends on the standard library only.
package cutoff
