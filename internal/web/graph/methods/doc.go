// Package methods answers about how people prove who they are beside the password:
// under Microsoft's names /users/{user}/authentication with passwordMethods,
// softwareOathMethods, fido2Methods and temporaryAccessPassMethods; under /curfew the
// reset of all of somebody's methods, which Microsoft has no single call for.
//
// It promises: no secret is written but a new pass, once; recovery codes, which Graph
// does not know, are listed under a type of ours, by how many are left; whoever asks
// for the methods of one kind finds no other there.
//
// It leaves to its neighbours: who calls and how answers are written (package api),
// who may, and what ends by it (internal/factor). Registering one's own is not for
// tokens: it takes a fresh proof in a browser.
//
// Trust: everything in a request is the caller's.
package methods
