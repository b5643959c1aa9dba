package grant

import "slices"

// How a person proved who they are, in amr (RFC 8176 where it has a word).
const (
	AMRPassword  = "pwd"
	AMROTP       = "otp"  // software one-time password
	AMRPasskey   = "fido" // with user verification: two factors by itself
	AMRPass      = "tap"  // temporary access pass, good once
	AMRPassMulti = "tapm" // the same, good more than once
	AMRRecovery  = "rc"   // recovery code
	// AMRFederated stands before what another identity provider says of itself:
	// whatever follows it was not seen here.
	AMRFederated = "fed"
	// AMRBoth says in tokens that two factors were given.
	AMRBoth = "mfa"
)

func split(amr []string) (ours, theirs []string) {
	if i := slices.Index(amr, AMRFederated); i >= 0 {
		return amr[:i], amr[i:]
	}
	return amr, nil
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// Added is the amr of a session in which more methods were given.
func Added(had, more []string) []string {
	ours, theirs := split(had)
	return append(union(ours, more), theirs...)
}

// Reproved is the amr of a session whose person has proved again who they are: what
// was given here on top of it stays, each with its own time.
func Reproved(had, now []string) []string {
	before, _ := split(had)
	ours, theirs := split(now)
	return append(union(ours, before), theirs...)
}
