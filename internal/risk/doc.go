// Package risk are the rules by which a sign-in, or an account, is found to be at
// risk: what each looks at, what it weighs, and what the weights come to. There is no
// model and no score that nobody can explain: a finding is a rule, a weight and a
// sentence with the facts in it.
//
//	sign-in ─┬─ impossible travel ─┐
//	         ├─ new network        ├─▶ findings ─▶ weights of different rules added
//	         ├─ new program        │               ─▶ none, low, medium, high
//	         └─ password spray ────┘
//	refresh ─── reuse, two networks ─┘
//
// It promises: the same facts give the same findings; a rule that is off finds
// nothing; a rule counts once however often it is met; what is not known (an address
// without a place, somebody's first sign-in) is not found.
//
// It leaves to others: who keeps findings, and who takes them back (internal/watch);
// what follows from a risk (policies, and nothing else).
//
// Trust: addresses are where the last proxy stands, programs what they say they are,
// places what the operator's database says. Each of these rules is wrong about
// somebody every day; that is why all but one are off until an administrator who
// knows the people switches them on.
package risk
