package journal

import (
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
)

// Kind is what sort of sign-in an entry is about.
type Kind uint8

// The kinds.
const (
	Interactive Kind = iota + 1 // a person was asked for something
	Silent                      // a program used what a person had given it
	Service                     // an application signed in as itself
	Gap                         // no sign-in: Missing of them are not written down
)

// ID is the id of an entry. It begins with its time: later ones are larger.
type ID = directory.ID[Entry]

// Entry is one sign-in, refused or not.
type Entry struct {
	ID   ID        // set by Add
	At   time.Time // to the millisecond; zero: when it was added
	Kind Kind
	// Flow is how: password, provider, code, refresh, device, client_credentials,
	// exchange, session.
	Flow string

	User              directory.UserID // zero: nobody that exists
	UserName, Display string           // as they were then
	App               directory.AppID
	AppName           string
	Resource          directory.ResourceID
	ResourceName      string

	IP            string
	Country, City string            // of IP, where known: two letters, a name
	Program       policy.ClientType // zero: not known
	Agent         string            // the program in plain words: "Firefox on Linux"
	Request       string            // correlation id

	Error  int    // the number told to the client (AADSTS); 0: success
	Reason string // the sentence told to the client

	Applied *Applied // what the policies did; nil: none was asked

	Device               directory.DeviceID
	Compliant            policy.Tri
	Trust                policy.Trust
	SignInRisk, UserRisk policy.Risk
	Session              directory.SessionID
	Grant                directory.GrantID
	Token                string   // jti of the access token; empty: none was given
	Methods              []string // amr

	Missing int64 // of a Gap
}

// Status is what all policies together did to a sign-in, in Graph's words.
type Status uint8

// The statuses; zero: no policy was asked.
const (
	NotApplied Status = iota + 1
	Passed            // every policy that applied was satisfied
	Failed            // one blocked, or asked for something
)

// Status of an entry.
func (e *Entry) Status() Status {
	if e.Applied == nil {
		return 0
	}
	return e.Applied.Status
}

// Applied is what the policies of a set did to one sign-in, and to all that were
// judged like it. It never changes and is shared.
type Applied struct {
	Status   Status
	Policies []Result // in the order of their ids; those that are off left out

	id  int64 // of the doc
	doc string
}

// Result is what one policy did.
type Result struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Outcome policy.Outcome `json:"outcome"`
	Demands []string       `json:"demands,omitempty"` // grant controls
	Limits  []string       `json:"limits,omitempty"`  // session controls
}

// Number is what a refusal of a kind is told by when nothing more is known about
// it: one of Entra's.
func Number(k fault.Kind) int {
	switch k {
	case fault.Unauthenticated:
		return 7000215
	case fault.Denied:
		return 65004
	case fault.Revoked:
		return 50173
	case fault.Limited:
		return 50196
	case fault.Unavailable:
		return 90033
	case fault.Internal:
		return 50000
	}
	return 9002313
}
