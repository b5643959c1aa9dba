// Package dpop reads the proofs with which a client shows that it holds the key its
// token is bound to (RFC 9449), and remembers them, so that none serves twice.
//
// It owns what a proof is made of and whether its signature is right ([Read]), which
// addresses are the same ([SameURL]), and the memory of proofs ([Used]). Whether a
// proof is for the request it came with is the guard's to say.
//
// Promise: a proof is taken once in one process, for as long as it could be good;
// when more come than can be remembered, new ones are refused.
//
// Trust: what a proof says is what its sender says, apart from the key that signed it.
package dpop
