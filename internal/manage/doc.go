// Package manage reads and changes the directory: users, groups, role
// assignments, applications, resources, consents, and many of them at once from
// a CSV file (Import) or a declarative TOML file (Apply).
//
// It promises: every exported method of [Service] asks role.Allowed on its own,
// with the roles of actor and target as read in the transaction that writes; a
// refused change is written to the audit log; what was said is checked before it
// is stored (names, lengths, redirect URIs, reserved identifiers, passwords); a
// dry run makes every check and writes nothing.
//
// It leaves to others: the cutoffs that follow from a change are the store's,
// found by comparing rows, and never appended here; what a cut ended is counted
// by internal/revoke; hashing is the Hash field's. Revoking without changing
// anything is internal/revoke.
//
// Trust: it believes the surface about who the actor is, and nothing that the
// actor typed. Files are read by internal/manage/manifest.
package manage
