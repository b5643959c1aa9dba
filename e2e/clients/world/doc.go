// Package world starts what a client needs around it: curfew serve as a real
// process with a directory of contoso.example, an API that guards itself with
// the public guard package, people with browsers that keep cookies and fill in
// forms, and an administrator who revokes over the Graph API.
//
// It promises that everything listens on loopback only, and ends with the test.
// It trusts the binary that it built from the checkout; a browser fills in
// passwords on no other pages than that server's.
package world
