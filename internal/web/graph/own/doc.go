// Package own is the part of the API that Microsoft has no names for, under
// /v1.0/curfew/: exposure, sessions, grants, receipts, guards, the ledger,
// deliveries, signing keys, registrations by client_id, import and apply. Its JSON
// speaks the words of the house, in camelCase; members are only ever added.
//
// It promises: what is not understood is refused; what has been done is told as
// done, even when its receipt cannot be shown; a hash is never written.
//
// It leaves to its neighbours: who calls, and how answers and faults are written
// (package api), who may (the verbs).
//
// Trust: everything in a request is the caller's. Whoever may no longer look is
// sent nothing more, on a stream that was open before as well.
package own
