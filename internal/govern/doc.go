// Package govern is who may change what conditional access says, and what would
// come of it: policies, named locations, authentication strengths, authentication
// contexts, and the accounts that all policies spare.
//
//	document (Graph's JSON) ──merge──▶ policy/wire: understood whole, or refused by path
//	    │ what it names exists; nothing names what is deleted
//	    ▼
//	before ─┬─▶ after        two policy.Set of one transaction
//	        ├─ LocksOut      nobody left who could put it right: refused unless forced
//	        ├─ Differs       which live sessions and grants end, are asked, stay
//	        ▼
//	store: document and line policy_changed, in one commit
//
// It promises: every exported method of [Service] asks role.Allowed on its own; a
// document that is not understood whole changes nothing; what a change would do is
// told by the code that judges the change; a write after which no Global
// Administrator could get in is refused unless somebody says that they mean it, and
// that is written down; the same by a group, a role, an account or a method is refused
// by [Watch], whoever writes it. Judged is under the ledger's lock, so that two changes
// do not each leave the other's administrator in.
//
// It leaves to others: reading documents (policy/wire), deciding (policy), gathering
// the facts of one use (internal/access), and making what was handed out be judged
// again (the store's line of each change).
//
// Trust: none in documents; the rows are believed. An answer about what would
// happen is about the rows as they are read: somebody who signs in meanwhile is not
// in it.
package govern
