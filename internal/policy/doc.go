// Package policy is conditional access: what policies say about one sign-in, or
// about one use of a session or a grant. It is pure: it knows no clock, no
// network, no database and no JSON (that is policy/wire).
//
//	[]Policy, World ──Compile──▶ Set ──Decide(Facts)──▶ Verdict ──Explain──▶ []Result
//	                              │                        └──Refuse──▶ Entra's codes
//	                              ├──Differs(another Set)  what a change would do
//	                              ├──LocksOut(admins)      whether anybody is left
//	                              └──Here(Facts)         whether it hangs on the address
//
// How a verdict comes about:
//
//	every policy that is on or only reports
//	   │ users, groups, roles, guests   not included, or excluded ──▶ ruled out: users
//	   │ applications, actions, contexts                          ──▶ application …
//	   │ program · platform · place · device · risks · flow       ──▶ clientApps …
//	   ▼ all hold: it applies            (not known counts as holding, see Set.Decide)
//	on ─────────────────────────────────────┐      report only ──▶ the same, beside:
//	   │ any blocks ──▶ Block               │                      Verdict.Report
//	   │ "and" not given ──▶ all of it      │
//	   │ "or", nothing given ──▶ one of it  ├──▶ Ask, with Needs
//	   │ proof older than a frequency       │
//	   ▼                                    │
//	Allow ◀── nothing is needed ────────────┘   and Limits, the strictest of each
//
// A set holds at most [MaxPolicies]: a set of policies is four machine words, a
// condition is a look-up of the policies that a value lets pass, and a verdict keeps
// for each condition those that it ruled out. So deciding allocates nothing, and
// explaining costs only who asks. Decide runs at every refresh; a Set is made anew
// when a policy, a location or a strength changes, and shared.
//
// It promises: one policy more never loosens; report-only never changes a verdict;
// who is excluded is not touched by that policy, and who is spared by none; the
// order of policies means nothing; knowing less is never less strict; what does not
// hang on the address is decided alike from every one. Each is a test.
//
// It leaves to others: reading what stands in Facts, in the transaction in which
// the verdict counts; who may change policies; what a person is asked, and in which
// order; having tokens judged again (internal/recheck); everything about applications that act as
// themselves, whom no policy here is about.
//
// Trust: it believes its Facts. Program, platform and the absence of a device are
// claims of whoever asks, and are used so that a false one gains least: what is not
// said helps nobody, but a browser that claims another platform is believed. Who
// can write policies, locations or the list of spared accounts decides who gets in.
//
// Against Entra's behaviour, on purpose: no check is deferred to the next
// interaction (browsers and confidential clients are judged at each use), an
// unrecognised device is not "without attributes" but unknown, and so are an
// unreadable address, an unknown platform and a risk that nobody computes. Page 0018
// of docs/decisions says why.
package policy
