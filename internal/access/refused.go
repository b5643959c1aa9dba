package access

import (
	"strconv"
	"time"

	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
)

// Refused is what policies refuse, for surfaces: they find it with errors.As behind
// a fault.
type Refused struct {
	// Refusal is the verdict in Entra's words.
	policy.Refusal
	// Decision is Block or Ask; Needs is what must be given in the second case, and
	// Names the same by Graph's names.
	Decision policy.Decision
	Needs    policy.Needs
	Names    []string
	Ruling   *Ruling
}

// Error is for logs.
func (r *Refused) Error() string {
	return "refused by conditional access: " + r.Decision.String() + ", AADSTS" + strconv.Itoa(r.Number)
}

// Place reports whether one of the policies that refused is about places: from
// elsewhere it might not.
func (r *Refused) Place() bool {
	for _, x := range r.Ruling.Explain() {
		p := x.Policy
		if about := len(p.IncludePlaces.IDs)+len(p.ExcludePlaces.IDs) > 0 || p.IncludePlaces.Trusted || p.ExcludePlaces.Trusted; about && x.Applies && len(x.Missing) > 0 {
			return true
		}
	}
	return false
}

// proofs are the needs that a proof which is too old leaves.
const proofs = policy.NeedSignIn | policy.NeedSecond

// refuse makes the fault of a verdict that does not allow.
func (r *Ruling) refuse(u *Use) error {
	at := policy.AtRefresh
	if u.Interactive {
		at = policy.AtAuthorize
	}
	refusal, refused := r.Set.Refuse(&r.Facts, &r.Verdict, at)
	if !refused {
		return nil
	}
	x := &Refused{Refusal: refusal, Decision: r.Decision, Needs: r.Needs, Names: r.Set.Names(r.Needs), Ruling: r}
	kind := fault.Denied
	if r.Decision == policy.Ask && r.Needs&^proofs == 0 {
		kind = fault.Unauthenticated
		x.Text += " " + age(&r.Facts, &r.Limits)
	}
	return fault.Wrap(kind, x.Text, x)
}

// age is what Entra's text of 70043 goes on with: when the proof was given, and for
// how many seconds it serves.
func age(f *policy.Facts, l *policy.Limits) string {
	life, at := l.Frequency, f.AuthTime
	if life == 0 || l.Second != 0 && f.SecondTime.Before(at) {
		life, at = l.Second, f.SecondTime
	}
	if at.IsZero() {
		return "The maximum allowed lifetime for this request is " + strconv.FormatInt(int64(life/time.Second), 10) + "."
	}
	return "It was issued on " + at.UTC().Format("2006-01-02T15:04:05.0000000Z") + " and the maximum allowed lifetime for this request is " + strconv.FormatInt(int64(life/time.Second), 10) + "."
}
