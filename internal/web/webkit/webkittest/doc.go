// Package webkittest checks pages in tests: [Check] reads the HTML as a strict and
// grumpy browser would, [Shots] takes pictures of it with a real one.
//
// It owns the rules every page obeys (balanced, labelled, no inline script or
// style, nothing dangling, not too large). It leaves to the tests of a page what
// the page says. Only tests import it.
//
// Trust: it runs the Chromium it finds, on a loopback server of its own, without
// its sandbox, and shows it only pages made by the tests.
package webkittest
