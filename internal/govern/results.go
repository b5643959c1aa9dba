package govern

import (
	"context"
	"slices"
	"time"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Results are what a policy did with the sign-ins of the last days, as the log of
// sign-ins counted them when they were: a policy that only reports would have done
// so, one that is on did.
type Results struct {
	Policy *Document
	Since  time.Time // the first instant that is counted, UTC
	Days   []Day     // each of them, oldest first, those without a sign-in too
	Total  Counts
	// Kept: there is a log. Without one nothing is known.
	Kept bool
	// Lost are sign-ins that this process could not write down: the counts are that
	// much too small at most.
	Lost int64
}

// Day is what the policy did on one day.
type Day struct {
	Day time.Time // its first instant, UTC
	Counts
}

// Counts are sign-ins by what the policy did, or, if it only reported, would have
// done. Silent of them were renewals and other uses without a person.
type Counts struct {
	Satisfied, Asked, Refused, NotApplied int64
	Reported, Silent                      int64
}

func (c *Counts) add(x journal.Count) {
	switch x.Outcome {
	case policy.Success, policy.ReportSuccess:
		c.Satisfied += x.N
	case policy.ReportInterrupted:
		c.Asked += x.N
	case policy.Failure, policy.ReportFailure:
		c.Refused += x.N
	default:
		c.NotApplied += x.N
	}
	if slices.Contains([]policy.Outcome{policy.ReportSuccess, policy.ReportInterrupted, policy.ReportFailure, policy.ReportNotApplied}, x.Outcome) {
		c.Reported += x.N
	}
	if x.Kind == journal.Silent {
		c.Silent += x.N
	}
}

// maxDays bounds how far back is asked.
const maxDays = 366

// Results says what a policy, by id or name, did in the last days, today included.
// Kinds: Denied, Invalid, NotFound, Conflict (several of that name), Unavailable.
func (s *Service) Results(ctx context.Context, actor directory.Actor, ref string, days int) (*Results, error) {
	if days < 1 || days > maxDays {
		return nil, fault.New(fault.Invalid, "The number of days is 1 to 366.")
	}
	r := &Results{Kept: s.Journal != nil}
	err := s.read(ctx, actor, func(c *step) error {
		if err := c.allow("", audit.Party{}, role.ReadPolicies, role.Target{}); err != nil {
			return err
		}
		w, err := c.world()
		if err != nil {
			return err
		}
		r.Since = c.Now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-days)
		r.Policy, err = w.find(Policy, ref)
		return err
	})
	if err != nil || !r.Kept {
		return r, err
	}
	all, err := s.Journal.Results(ctx, r.Policy.ID(), r.Since)
	if err != nil {
		return nil, err
	}
	for n := range days {
		r.Days = append(r.Days, Day{Day: r.Since.AddDate(0, 0, n)})
	}
	for _, x := range all {
		if i := int(x.Day.Sub(r.Since) / (24 * time.Hour)); i >= 0 && i < days {
			r.Days[i].add(x)
			r.Total.add(x)
		}
	}
	r.Lost = s.Journal.Lost()
	return r, nil
}
