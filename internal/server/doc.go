// Package server puts the house together: it is the only package that knows
// every room. Wiring happens once, in order: construct, connect, listen.
package server
