// Package review reads the log of sign-ins for people who may: lists, single
// entries, and everything at once for other systems. What each policy did day by
// day is told by internal/govern.
//
// It promises that nobody reads what they may not: everybody their own sign-ins,
// whoever may read sign-in reports everybody's; who asks is judged again for every
// page of an export.
//
// It leaves to internal/store/journal what is kept and how it is found, to issue
// and signin what is written, and to surfaces how it is shown.
//
// Trust: it believes the actor that the surface identified. What the log says is
// as true as the database it is in.
package review
