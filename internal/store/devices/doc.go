// Package devices is the part of the store that is about devices: their rows, and
// what follows from a change of one, by comparing the row with what it was.
//
// It leaves to internal/store the transaction, the ledger, and what is bound to a
// device (sessions and grants); to internal/device who may change what.
//
// Trust: as internal/store. Whoever can write these rows says that devices are
// compliant, and by replacing a key becomes one.
package devices
