// Package demo is curfew in one process, to be seen working: a server with people
// in its directory, two applications with guards and one without, in a temporary
// folder and on loopback only.
//
// Run either waits for somebody with a browser, or plays the story by itself: every
// row it prints is a promise that was tried against the running server as others
// would try it, from outside, and ErrBroken says that one did not hold. Applications
// and their pages are small on purpose: what they do right is done by the public
// package guard.
//
// Trust: passwords and secrets are made for one run and die with the folder. Plain
// http, and a browser that fills in every form it is shown, are for here only.
package demo
