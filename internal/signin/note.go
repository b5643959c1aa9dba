package signin

import (
	"errors"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store/journal"
)

// Numbers of the sign-in log, as administrators search for them (Entra's).
const (
	wrongPassword = 50126
	wrongName     = 50034
	disabled      = 50057
	throttled     = 50053
	mustChange    = 50055
	over          = 50173
	wrongSecond   = 500121
	notBelieved   = 50012
)

// perNote is how often a sign-in that was not even looked at is written down, for
// one account from one address: whoever is throttled does not fill the log.
var perNote = rate{1, time.Minute}

// note writes a sign-in down. number is 0 where it succeeded; u is nil for a name
// that is nobody's, which is not kept: people type passwords there.
func (s *Service) note(flow string, u *directory.User, x *grant.Session, a Attempt, number int, err error) {
	if s.Journal == nil {
		return
	}
	e := &journal.Entry{Kind: journal.Interactive, Flow: flow, IP: a.IP, Program: policy.Browser, Agent: agent(a.Agent), Request: a.Request, Error: number}
	if u != nil {
		e.User, e.UserName, e.Display = u.ID, u.Name, u.DisplayName
	}
	if x != nil {
		e.Session, e.Device, e.Methods = x.ID, x.Device, x.AMR
	}
	if err != nil {
		e.Reason = fault.Public(err)
		var d *standing.Dead
		switch errors.As(err, &d); {
		case number != 0:
		case d != nil && d.Has(standing.Disabled):
			e.Error = disabled
		case d != nil && (d.Has(standing.Deleted) || d.Has(standing.Unknown)):
			e.Error = wrongName
		case d != nil:
			e.Error = over
		case fault.Is(err, fault.Limited):
			if e.Error = throttled; !s.Limits.note.take(network(a.IP), s.now()).IsZero() {
				return
			}
		default:
			e.Error = journal.Number(fault.KindOf(err))
		}
	}
	s.Journal.Add(e)
}
