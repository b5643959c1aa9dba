// Package storetest holds the tests every engine of the store must pass, and
// the throwaway databases to run them on.
//
// [Run] takes a function that opens an empty store; the same bodies run on
// SQLite and on PostgreSQL. The interleavings of the traces are made by hooks at
// named places, never by waiting.
package storetest
