// Package registry is what applications and resources are in a page: their facts in
// words, and their forms both ways, from the registration to the fields and from
// what was typed back to what the verbs take.
//
// It owns the words of a registration, and what is said beside a field. It promises
// that a form which nobody touched changes nothing: every value is written so that
// reading it gives the same one.
//
// It leaves to package portal who asks, and the page around it; to package manage
// what may be registered by whom. A field is checked here only so that the mistake
// stands beside it.
//
// Trust: what was typed is anybody's. It is parsed here, and escaped where it is
// shown.
package registry
