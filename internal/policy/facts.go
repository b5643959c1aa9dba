package policy

import (
	"net/netip"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Facts are what is known of one sign-in, or of one use of a session or a grant.
// A zero field that a request brings along (program, platform, address, device,
// risk, flow) means that it is not known, and never helps: see [Set.Decide].
type Facts struct {
	Now time.Time

	// Who, as read from the directory in the same transaction.
	User   directory.UserID
	Guest  Guest
	Groups []directory.GroupID // at least those that policies name, see [Set.Groups]
	Roles  []directory.RoleID  // directory.Held.Roles

	// What. Client asks; Resource is what its tokens are for, empty where it only
	// wants to know who somebody is. A policy that includes either applies. A
	// policy excludes by what is reached, Resource if there is one: a client that
	// is excluded opens no resource that is not.
	Client   directory.AppID
	Resource directory.ResourceID
	Action   Action
	Contexts Contexts // authentication contexts asked for, or held by the tokens

	// How.
	Program  ClientType
	Platform Platform
	Address  netip.Addr // the zero Addr: it could not be read
	Country  Country
	Device   Device
	Flow     Flow

	// Risk of this sign-in, and of the account.
	SignInRisk, UserRisk Risk

	// Proof.
	Methods    Methods   // given in this session
	AuthTime   time.Time // when the person last proved who they are; zero: never
	SecondTime time.Time // when they last gave a second factor; zero: never
	// PasswordChanged: since the account was found to be at risk.
	PasswordChanged bool
	Terms           []string // of use, accepted, by id

	// Registered are the methods that the person could give. They decide nothing;
	// they choose between controls of which one is enough, and between "give" and
	// "register first".
	Registered Methods
}

// Decision is what a verdict comes to. The zero Decision blocks.
type Decision uint8

// The decisions, strictest first.
const (
	Block Decision = iota
	Ask            // not before what [Verdict.Needs] says is given
	Allow
)

// String returns the decision's word.
func (d Decision) String() string { return [...]string{"block", "ask", "allow"}[d] }

// Limits are what the policies that applied say about what comes after. The
// shortest and strictest of each wins.
type Limits struct {
	Frequency   time.Duration // oldest proof that will do; zero: any
	Second      time.Duration // the same for the second factor
	Until       time.Time     // when the first of them is over, from these facts; zero: never
	Persistent  Persistence
	AppEnforced bool
	Continuous  Continuity
}

// Verdict is what the policies say of one set of facts. The zero Verdict blocks.
// It refers to the [Set] that gave it.
type Verdict struct {
	Decision Decision
	Needs    Needs // of Ask: all of these, "or" resolved
	Limits   Limits
	// Report is the decision if the report-only policies were all there are.
	Report Decision

	applied set // on and report-only alike
	unmet   set // of these: block, or something is not given
	ruled   [conditions]set
	unsure  [conditions]set // of applied: it might not apply if more were known
}

// Where the numbered demands begin among the bits of [Needs], and groups of bits.
const (
	firstStrength = 8
	firstTerms    = 32

	strengthBits Needs = 1<<firstTerms - 1<<firstStrength
	termBits     Needs = 1<<64 - 1<<firstTerms
	deviceBits         = NeedCompliantDevice | NeedHybridDevice
)
