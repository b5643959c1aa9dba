// Package risks is the part of the store that is about risk: which rules are looked
// for, what they found, and what it comes to for each account. When that changes, it
// appends the line by which what the person holds is judged again.
//
// It leaves to internal/risk what findings come to, to internal/watch who finds and
// who takes back.
//
// Trust: as internal/store. Whoever can delete these rows makes an account look safe.
package risks
