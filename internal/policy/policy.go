package policy

import (
	"net/netip"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
)

// Policy is one conditional access policy. It can only take away: it applies
// where all its conditions hold, and then blocks, demands or limits.
type Policy struct {
	ID       string // lower-case GUID; empty before it is stored
	Template string // templateId of whoever made it; decides nothing
	Name     string
	State    State
	Created  time.Time
	Modified time.Time

	Include, Exclude Who // who; exclusion wins
	Apps             Apps
	Clients          ClientTypes // required; may be [AllClients]
	// What follows limits the policy; zero: any.
	IncludePlatforms, ExcludePlatforms Platforms
	IncludePlaces, ExcludePlaces       Places
	Device                             *DeviceFilter
	SignInRisk, UserRisk               Risks
	Flows                              Flows

	Grant   *Grant   // nil: demands nothing
	Session *Session // nil: limits nothing
}

// State says whether a policy decides.
type State uint8

// The states.
const (
	On         State = iota + 1
	Off              // it is not even looked at
	ReportOnly       // what it would have said is written down beside the verdict
)

// Who names people.
type Who struct {
	All, None bool
	AnyGuest  bool // GuestsOrExternalUsers
	Users     []directory.UserID
	Groups    []directory.GroupID
	Roles     []directory.RoleID
	Guests    GuestKinds
}

// Guest is what kind of guest somebody is; zero: a member of the directory. A
// directory row says so, so that it is always known.
type Guest uint8

// GuestKinds is a set of them: bit n-1 is the kind n.
type GuestKinds uint8

// Apps is what somebody signs in to: applications, or an action, or what a
// resource protects by an authentication context. A policy has one kind of them.
type Apps struct {
	All, None bool     // of includeApplications
	Include   []string // client_ids and resources
	Exclude   []string
	Actions   Actions
	Contexts  Contexts
}

// Action is what a person does with their own account.
type Action uint8

// The actions; zero: none, an application is signed in to.
const (
	RegisterSecurityInfo Action = iota + 1
	RegisterDevice
)

// Actions is a set of them: bit n-1 is the action n.
type Actions uint8

// MaxContext is the highest number of an authentication context: c1 to c99.
const MaxContext = 99

// Contexts is a set of authentication contexts, by number.
type Contexts [2]uint64

// Add puts c1 to c99 into the set.
func (c *Contexts) Add(n int) { c[n/64] |= 1 << (n % 64) }

// Has reports whether the set has the context.
func (c *Contexts) Has(n int) bool { return c[n/64]>>(n%64)&1 == 1 }

// ClientType is what kind of program signs in; zero: not known.
type ClientType uint8

// The client types. curfew itself meets only the first two.
const (
	Browser ClientType = iota + 1
	Native
	ActiveSync
	ActiveSyncSupported
	OtherClient
)

// ClientTypes is a set of them: bit n-1 is the type n.
type ClientTypes uint8

// AllClients is any of them, and those that are not known.
const AllClients ClientTypes = 1 << 5

// Platform is the operating system that the program says it runs on; zero: it
// says none that is known.
type Platform uint8

// The platforms.
const (
	Android Platform = iota + 1
	IOS
	Windows
	WindowsPhone
	MacOS
	Linux
)

// Platforms is a set of them: bit n-1 is the platform n.
type Platforms uint8

// AllPlatforms is any of them, and those that are not known.
const AllPlatforms Platforms = 1 << 6

// Places are named locations, by id.
type Places struct {
	All, Trusted bool
	IDs          []string
}

// DeviceFilter picks devices by a rule, see [ParseRule]. Exclude: the policy
// spares those that the rule fits; else it applies to them only.
type DeviceFilter struct {
	Exclude bool
	Rule    string
}

// Risk is how likely it is that somebody else is at the keys; zero: nobody has
// computed it.
type Risk uint8

// The risks.
const (
	NoRisk Risk = iota + 1
	LowRisk
	MediumRisk
	HighRisk
)

// Risks is a set of them: bit n-1 is the risk n. Empty: whatever the risk.
type Risks uint8

// Flow is how a sign-in came to this program from another; zero: not known.
type Flow uint8

// The flows.
const (
	NoFlow Flow = iota + 1 // it did not: the person signed in where the tokens went
	DeviceCode
	AuthTransfer
)

// Flows is a set of them: bit n-1 is the flow n. Empty: whatever the flow.
type Flows uint8

// Grant is what must be given before access is: all of it, or any of it.
type Grant struct {
	Any      bool // OR; else AND
	Block    bool // nothing helps; stands alone
	Controls Needs
	Strength string   // id of an authentication strength
	Terms    []string // ids of terms of use
}

// Needs is a set of demands. The bits above the named ones are authentication
// strengths and terms of use of one [Set], which names them: [Set.Names].
type Needs uint64

// The demands.
const (
	NeedMFA Needs = 1 << iota
	NeedCompliantDevice
	NeedHybridDevice // domainJoinedDevice
	NeedPasswordChange
	NeedSignIn // the proof is too old: password or passkey, and second factor, again
	NeedSecond // only the second factor is
)

// Session limits what comes after.
type Session struct {
	Frequency  *Frequency
	Persistent Persistence
	// AppEnforced tells the application to limit what it shows.
	AppEnforced bool
	Continuous  Continuity
	// NoResilience is kept for whoever wrote it. curfew never prolongs a session
	// because something is down, so both values mean the same.
	NoResilience *bool
}

// Frequency is how old a proof of who somebody is may be.
type Frequency struct {
	Every bool          // each time; [Grace] keeps that from being several times in a row
	Life  time.Duration // else: whole hours or days
	// Secondary: of the second factor only.
	Secondary bool
}

// Grace is for how long a proof serves where one is asked for every time
// (reference: five minutes, so that nobody is asked twice in a row), and how far
// ahead another node's clock may be.
const Grace = 5 * time.Minute

// Persistence says whether browser sessions outlive the browser.
type Persistence uint8

// The modes; zero: the person chooses. Never wins.
const (
	Always Persistence = iota + 1
	Never
)

// Continuity says how tokens are judged between two issues.
type Continuity uint8

// The modes; zero: as usual. The strictest wins: the last.
const (
	NotContinuous  Continuity = iota + 1 // short tokens, no checks by guards
	StrictLocation                       // no leniency where the guard sees another address than the server
	StrictEnforcement
)

// Location is a named location: addresses or countries.
type Location struct {
	ID, Name          string
	Created, Modified time.Time

	Trusted bool // only of addresses
	Ranges  []netip.Prefix

	Countries []Country
	Unknown   bool // addresses of which the database knows no country are in it
}

// Country is an ISO 3166-1 alpha-2 code, in capitals. Zero: it was not looked up,
// or there is no database.
type Country [2]byte

// Nowhere: the address was looked up, and the database knows no country for it.
var Nowhere = Country{'-', '-'}

// String returns the two letters.
func (c Country) String() string { return string(c[:]) }

// Method is one way to prove who one is, under Graph's names.
type Method uint8

// The methods. curfew itself has the first five, and recovery codes.
const (
	Password Method = iota
	SoftwareOTP
	Passkey   // fido2: with user verification, two factors in one
	PassOnce  // temporary access pass
	PassMulti // the same, good more than once
	HardwareOTP
	SMS
	Voice
	Mail
	AuthenticatorPush
	DevicePush
	Hello
	CertificateSingle
	CertificateMulti
	FederatedSingle
	FederatedMulti
	QRCode
	// RecoveryCode stands in for a second factor. No strength can name it.
	RecoveryCode
)

// Methods is a set of them: bit n is the method n.
type Methods uint32

// Set makes one of methods.
func (m Method) Set() Methods { return 1 << m }

// Strength says which combinations of methods are strong enough.
type Strength struct {
	ID, Name, Description string
	Created, Modified     time.Time
	BuiltIn               bool
	Combinations          []Methods
}

// meets reports whether one of the combinations has been given whole.
func (s *Strength) meets(given Methods) bool {
	for _, c := range s.Combinations {
		if given&c == c {
			return true
		}
	}
	return false
}

// BuiltInStrengths are Microsoft's three, under its ids: multifactor,
// passwordless, phishing-resistant. The control "mfa" asks for the first, or for
// a password and a recovery code.
func BuiltInStrengths() []Strength {
	resistant := []Methods{Hello.Set(), Passkey.Set(), CertificateMulti.Set()}
	passwordless := append(resistant[:3:3], DevicePush.Set())
	multi := append(passwordless[:4:4], PassOnce.Set(), PassMulti.Set(), FederatedMulti.Set())
	for _, second := range []Method{AuthenticatorPush, SoftwareOTP, HardwareOTP, SMS, Voice} {
		multi = append(multi, Password.Set()|second.Set(), FederatedSingle.Set()|second.Set())
	}
	const prefix = "00000000-0000-0000-0000-00000000000"
	return []Strength{
		{ID: prefix + "2", Name: "Multifactor authentication", BuiltIn: true, Combinations: multi},
		{ID: prefix + "3", Name: "Passwordless MFA", BuiltIn: true, Combinations: passwordless},
		{ID: prefix + "4", Name: "Phishing-resistant MFA", BuiltIn: true, Combinations: resistant},
	}
}

var mfa = BuiltInStrengths()[0]

// TwoFactors reports whether methods are what the control "mfa" asks for: the
// first built-in strength, or a password and a recovery code.
func TwoFactors(m Methods) bool {
	const spare = Methods(1<<Password | 1<<RecoveryCode)
	return m&spare == spare || mfa.meets(m)
}

// Context is an authentication context: a number that a resource asks for.
type Context struct {
	Number            int // 1 to [MaxContext]
	Name, Description string
	Available         bool // applications may ask for it
}
