// Package policy is conditional access: what policies say about one sign-in, or
// about one use of a session or a grant.
package policy
