// Package e2e holds the tests that drive the whole of curfew from outside: the
// real binary, real HTTP on loopback, a real browser, other people's clients.
//
// It owns nothing the product uses and nothing imports it. It promises that
// every wait is bounded and that whatever it starts it ends. What one room
// promises alone is tested in that room.
//
// Trust: it runs what it finds under the name chromium in PATH.
package e2e
