// Package signins answers about the log of sign-ins: under Microsoft's names
// (/auditLogs/signIns), and under /curfew what Microsoft has no name for: the same
// list by filters that Graph lacks, and all of it as a stream (JSON lines or CSV).
//
// It promises: a filter that is not understood is refused, never dropped; a stream
// that could not be finished breaks off so that nobody takes it for whole; no cell
// of a CSV file is read as a formula.
//
// It leaves to its neighbours: who calls and how answers are written (package api),
// who may (internal/review), what is kept (internal/store/journal).
//
// Trust: everything in a request is the caller's. What the log has of user agents
// and names is other people's text, written as data only.
package signins
