// Package access answers about conditional access: under Microsoft's names policies,
// named locations, authentication contexts and strengths, terms of use, and what the
// policies would do with a sign-in (evaluate); under /curfew what Microsoft has no
// name for: what a change would do, and the accounts that all policies spare.
//
// It promises: documents are written as they are stored, by policy/wire; what is
// refused in one is told with its JSON path; a dry run (Curfew-Dry-Run) tells what
// would end, by the code that does the writing; forcing (Curfew-Force) is said in so
// many words or not at all.
//
// It leaves to its neighbours: who calls and how answers are written (package api),
// who may, what a document means and what would come of it (internal/govern).
//
// Trust: everything in a request is the caller's.
package access
