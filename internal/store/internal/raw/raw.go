// Package raw holds the key to a transaction's own statements. Go lets nobody
// import it but the rooms below internal/store, so that SQL stays there although
// not all of it fits into one room.
//
// Trust: who has a [Key] can do with the database what a transaction can.
package raw

// Key opens [github.com/curfew-id/curfew/internal/store.Tx.SQL]. Its field keeps
// others from writing one down without its name.
type Key struct{ _ struct{} }
