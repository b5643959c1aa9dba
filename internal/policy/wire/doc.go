// Package wire reads and writes conditional access policies, named locations,
// authentication strengths and authentication contexts as Microsoft Graph has them,
// and terms of use. Nothing else reads them: what is written, what decides and what
// is shown are the same reading of the same document.
//
// It promises: what it returns was understood whole. A member that is not known, a
// value of another type, two members of one name, something that contradicts
// itself, would never apply or would do nothing, and a name of what does not exist
// are refused, by a fault of kind Invalid with the JSON path of what is wrong: an
// administrator meant something by it, and it would not happen. What is written is
// read again as the same. Documents are bounded in bytes, depth and entries before
// they are looked at.
//
// It refuses the parts of Graph's model that curfew cannot honour, instead of
// keeping them and doing nothing: workload identities, filters for applications,
// risk of insiders, approved and protected applications, custom factors, proxies
// and token protection, places by GPS, tenants of guests. Annotations of OData are
// let through and forgotten. A nested authenticationStrength is its id alone.
//
// It leaves to others: who may change a policy, whether one would lock everybody
// out (policy.Set.LocksOut), and looking up what exists: [Known] asks the caller,
// who answers from the transaction that writes.
//
// Trust: none in the document. Whoever can write policies decides who gets in, and
// can keep everybody out but the accounts that all policies spare.
package wire
