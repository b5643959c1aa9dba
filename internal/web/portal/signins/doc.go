// Package signins is the log of sign-ins in the browser: who got in where, from
// where, who was refused, and what each policy said.
//
// It owns the list with its filters, the page of one sign-in, the tab on the profile
// of a person, and the links that take all of it along as a file. It promises that
// what the page shows is what the file holds: both ask the log the same question.
//
// It leaves to package review who may read what, to package desk who asks, and to the
// function that writes the file how one is written.
//
// Trust: user agents and names in the log are other people's text, and are escaped.
// An address in the query that is no address of a sign-in finds nothing.
package signins
