package audit

import (
	"time"

	"github.com/curfew-id/curfew/cutoff"
)

// Record is one line of the audit log.
type Record struct {
	ID        int64 // grows with time; assigned by the store
	At        time.Time
	Action    string // Microsoft's activity name where there is one: "Disable account"
	Result    Result
	Actor     Party
	Target    Party
	Whose     string     // id of the user whose session or grant the target is: their records list it too
	Pos       cutoff.Pos // ledger line of the same transaction, 0 when there is none
	Reason    string     // as given by the actor
	Changes   []Change
	IP        string
	Request   string // correlation id
	Client    string // client_id through which the actor acted
	Receipt   string
	Elaborate string // one sentence more, such as the refusal
}

// Result of the act.
type Result string

// The results.
const (
	Success Result = "success"
	Failure Result = "failure"
	Refused Result = "refused"
)

// Party is who acted or was acted upon.
type Party struct {
	Kind string `json:"kind"` // user, app, group, role, session, grant, directory, operator, system
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Change is one property before and after. Values are for people to read.
type Change struct {
	Property string `json:"property"`
	Old      string `json:"old,omitempty"`
	New      string `json:"new,omitempty"`
}
