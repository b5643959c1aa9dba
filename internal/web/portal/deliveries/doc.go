// Package deliveries is the page of what other people's servers are told, and of what
// they could not be told.
//
// It owns the list of recipients and dead letters, and the confirmations of the three
// verbs on them. It promises what package desk promises; its words are package
// registry's. It leaves to package deliver who may see and do what.
//
// Trust: see package desk. What a recipient answered is shown as text.
package deliveries
