// Package keys makes, keeps and uses the directory's keys.
//
// There is one master key, in a file or the environment, never in the database.
// From it every other secret is derived (HKDF-SHA-256, one label for each
// purpose) or wrapped under it: the signing keys stand in the database as
// AES-256-GCM boxes whose additional data is the key id, so that one row cannot
// be passed off as another.
//
// A database alone therefore yields no token: not a refresh token (their MAC key
// is derived), not a cursor, and not an access token (their signing keys are
// wrapped). Whoever has the master key and the database has everything.
//
// Signing is our own short path over crypto/ecdsa: a fixed header, one SHA-256,
// one signature. A library spends more time on the header than on the curve.
package keys
