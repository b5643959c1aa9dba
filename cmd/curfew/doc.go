// Command curfew is the whole product in one binary: the server, the demo, and the
// administrator's hands.
//
// This room owns the grammar of the command line (curfew noun verb, and curfew
// revoke noun), what is printed where, and the exit codes. Answers go to stdout,
// talk goes to stderr, so that a pipe carries answers only. A file is a command or
// a group of them: options, flags, run.
//
// What administrators do goes through internal/client over the network, with the
// rights of whoever connected. What runs or repairs a server goes through
// internal/server. Nothing is decided here: the server refuses, we repeat its words.
//
// Trust: arguments, standard input and files are the caller's. What a server
// answers is printed without the control characters that could move a terminal's
// cursor over the truth.
package main
