// Package manifest reads the files that many changes come from: a manifest in
// TOML, which says what the directory is to be, and a sheet in CSV, which lists
// users.
//
// It promises: what it returns was checked as far as that can be done without the
// directory; every refusal is a fault of kind Invalid that names the line; what
// is larger than the limits is refused before it is read whole; nothing that it
// returns or refuses prints a password or secret.
//
// It leaves to internal/manage who may do what the file says, and doing it.
//
// Trust: none in the file. It may name environment variables and files only
// through the lookups of [Options], so that a manifest that came over the network
// reads neither.
package manifest
