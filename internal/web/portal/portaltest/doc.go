// Package portaltest is a house to see the portal's pages in: contoso.example with its
// people, store and verbs, all real, served on loopback.
//
// It owns the people, applications and guards that the tests of several rooms share,
// and the browser that reads a page and holds it to the rules. It leaves to a room
// what its pages say. Only tests import it.
//
// Trust: it listens on loopback, for the length of a test.
package portaltest
