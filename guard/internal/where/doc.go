// Package where says where a request comes from.
//
// It owns the address of a client, straight or behind proxies ([Remote], [Behind]).
//
// Promise: what cannot be read is not known, and never somebody's word for it.
//
// Trust: the proxies that are named are believed about who spoke to them.
package where
