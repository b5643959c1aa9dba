package standing

import "github.com/curfew-id/curfew/cutoff"

// Event is something that happens to people, applications or the directory: a
// row of the [Table]. Its name is also that of the setting that widens it.
type Event string

// The events. Each write path that causes one takes its cutoffs from the Table.
const (
	UserRevoked      Event = "user_revoked"
	EveryoneRevoked  Event = "everyone_revoked"
	UserDisabled     Event = "user_disabled"
	UserDeleted      Event = "user_deleted"
	PasswordReplaced Event = "password_changed"
	PasswordGiven    Event = "password_reset"
	RoleRemoved      Event = "role_removed"
	UserUnassigned   Event = "assignment_removed"
	RightsGiven      Event = "rights_added"
	UserEnabled      Event = "user_enabled"
	SessionSignedOut Event = "signed_out"
	SessionRevoked   Event = "session_revoked"
	GrantRevoked     Event = "grant_revoked"
	GrantReturned    Event = "grant_returned"
	GrantReused      Event = "grant_reused"
	UserAppRevoked   Event = "user_app_revoked"
	DeviceRevoked    Event = "device_revoked"
	DeviceTurnedOff  Event = "device_disabled"
	DeviceGone       Event = "device_deleted"
	DeviceReported   Event = "device_lost"
	DeviceTurnedOn   Event = "device_enabled"
	DeviceJudged     Event = "device_compliance_changed"
	UserWithdrew     Event = "consent_withdrawn"
	AdminWithdrew    Event = "admin_consent_withdrawn"
	ClientRevoked    Event = "app_revoked"
	ClientDisabled   Event = "app_disabled"
	ClientDeleted    Event = "app_deleted"
	ClientNarrowed   Event = "app_permission_removed"
	IdentityReplaced Event = "app_identity_replaced"
	CredentialGone   Event = "app_secret_removed"
	ClientChanged    Event = "app_changed"
	KeysTimed        Event = "keys_changed"
	KeyStolen        Event = "key_dropped"
	SettingChanged   Event = "setting_changed"
	HistoryGone      Event = "history_lost"
	ProviderGone     Event = "provider_disabled"
	UserUnlinked     Event = "unlinked"
	LoggedOutThere   Event = "provider_logout"
	ProviderAltered  Event = "provider_changed"
	UserLinked       Event = "linked"
	PolicyChanged    Event = "policy_changed"
	Concerned        Event = "policy_concerns"
	RiskChanged      Event = "risk_changed"
	FactorAdded      Event = "method_added"
	FactorGiven      Event = "method_given"
	FactorRemoved    Event = "method_removed"
	FactorReset      Event = "method_reset"
)

// Whose says whose artefacts a part of a row is about.
type Whose uint8

// Whose they are.
const (
	Everybodys   Whose = iota + 1
	TheUsers           // a person's, or a service account's
	TheSessions        // of one browser session, and what ends with it
	GivenInIt          // the grants with offline_access that were given in that session
	TheGrants          // of one grant, and what was made from it
	TheApps            // of one application, whoever's
	TheUsersIn         // of one user in one application
	TheIdentitys       // the tokens that an application has as itself
	TheDevices         // what is bound to one device
)

// Part is one cutoff of a row.
type Part struct {
	Whose Whose
	Reach cutoff.Reach
}

// Row says what one event ends.
type Row struct {
	Event Event
	Text  string // the event, for people
	Cause Cause  // on the line of the ledger
	Ends  []Part // none: the line ends nothing; of reach judge: it puts in doubt
	// Spares: the session in which it is done, and the grants given in it that are
	// still good, are born again, the session under a new cookie value.
	Spares bool
}

// A row's cutoffs by themselves, for short.
var (
	nobody     []Part
	everything = []Part{{TheUsers, cutoff.Everything}}
	onDevice   = []Part{{TheDevices, cutoff.Everything}, {GivenInIt, cutoff.Everything}}
)

// Table is DESIGN §7, for people and for service accounts alike: what the store's
// row diffs and internal/revoke cut when something happens. docs/lifecycle.md is
// printed from it.
var Table = []Row{
	{Event: UserRevoked, Text: "sessions revoked, by an administrator, by the person or by an identity provider", Cause: Revoked, Ends: everything},
	{Event: EveryoneRevoked, Text: "everyone revoked", Cause: Revoked, Ends: []Part{{Everybodys, cutoff.Everything}}},
	{Event: UserDisabled, Text: "account disabled", Cause: Disabled, Ends: everything},
	{Event: UserDeleted, Text: "account deleted", Cause: Deleted, Ends: everything},
	{Event: PasswordReplaced, Text: "own password changed", Cause: PasswordChanged, Ends: everything, Spares: true},
	{Event: PasswordGiven, Text: "password reset by an administrator, or by a link in a mail", Cause: PasswordReset, Ends: everything},
	{Event: FactorAdded, Text: "authenticator, passkey or recovery codes added by the person", Cause: MethodAdded, Ends: nobody},
	{Event: FactorGiven, Text: "temporary access pass given by an administrator", Cause: MethodAdded, Ends: nobody},
	{Event: FactorRemoved, Text: "own authenticator, passkey or recovery codes removed or replaced", Cause: MethodRemoved, Ends: everything, Spares: true},
	{Event: FactorReset, Text: "authenticator, passkey, recovery codes or temporary access pass taken away by an administrator", Cause: MethodReset, Ends: everything},
	{Event: RoleRemoved, Text: "role removed, or a group that gives it or that a policy names", Cause: RightsRemoved, Ends: []Part{{TheUsers, cutoff.Tokens}}},
	{Event: UserUnassigned, Text: "no longer assigned to an application, directly or by a group", Cause: RightsRemoved, Ends: []Part{{TheUsersIn, cutoff.Tokens}}},
	{Event: RightsGiven, Text: "role, assignment or group added", Cause: RightsAdded, Ends: nobody},
	{Event: UserEnabled, Text: "account enabled", Cause: Enabled, Ends: nobody},
	{Event: SessionSignedOut, Text: "signed out in the browser", Cause: SignedOut, Ends: []Part{{TheSessions, cutoff.Everything}}},
	{Event: SessionRevoked, Text: "one browser session revoked", Cause: Revoked, Ends: []Part{{TheSessions, cutoff.Everything}, {GivenInIt, cutoff.Everything}}},
	{Event: GrantRevoked, Text: "one grant revoked", Cause: Revoked, Ends: []Part{{TheGrants, cutoff.Everything}}},
	{Event: GrantReturned, Text: "refresh token given back by its own application (RFC 7009)", Cause: Revoked, Ends: []Part{{TheGrants, cutoff.Everything}}},
	{Event: GrantReused, Text: "old refresh token or code used again", Cause: Reused, Ends: []Part{{TheGrants, cutoff.Everything}}},
	{Event: UserAppRevoked, Text: "one application revoked for one user", Cause: Revoked, Ends: []Part{{TheUsersIn, cutoff.Everything}}},
	{Event: DeviceRevoked, Text: "what is on one device revoked", Cause: Revoked, Ends: onDevice},
	{Event: DeviceTurnedOff, Text: "device disabled", Cause: DeviceDisabled, Ends: onDevice},
	{Event: DeviceGone, Text: "device deleted", Cause: DeviceDeleted, Ends: onDevice},
	{Event: DeviceReported, Text: "device reported lost, by its owner or an administrator", Cause: DeviceLost, Ends: onDevice},
	{Event: DeviceTurnedOn, Text: "device enabled", Cause: DeviceAltered, Ends: nobody},
	{Event: DeviceJudged, Text: "device found compliant, or not, or neither any more", Cause: DeviceAltered, Ends: []Part{{TheDevices, cutoff.Judge}}},
	{Event: UserWithdrew, Text: "consent withdrawn or narrowed, a person's", Cause: ConsentWithdrawn, Ends: []Part{{TheUsersIn, cutoff.Everything}}},
	{Event: AdminWithdrew, Text: "consent withdrawn or narrowed, the administrators'", Cause: ConsentWithdrawn, Ends: []Part{{TheApps, cutoff.Everything}}},
	{Event: ClientRevoked, Text: "one application revoked for everybody", Cause: Revoked, Ends: []Part{{TheApps, cutoff.Everything}}},
	{Event: ClientDisabled, Text: "application disabled", Cause: AppDisabled, Ends: []Part{{TheApps, cutoff.Everything}}},
	{Event: ClientDeleted, Text: "application deleted", Cause: AppDeleted, Ends: []Part{{TheApps, cutoff.Everything}, {TheIdentitys, cutoff.Everything}}},
	{Event: ClientNarrowed, Text: "permission taken from an application, or assignment or consent now demanded", Cause: AppNarrowed, Ends: []Part{{TheApps, cutoff.Tokens}}},
	{Event: IdentityReplaced, Text: "application given another identity, or none", Cause: AppNarrowed, Ends: []Part{{TheIdentitys, cutoff.Everything}}},
	{Event: CredentialGone, Text: "secret or key of an application removed", Cause: SecretRemoved, Ends: []Part{{TheIdentitys, cutoff.Tokens}}},
	{Event: ClientChanged, Text: "application or resource changed otherwise; secret or key added", Cause: AppChanged, Ends: nobody},
	{Event: KeysTimed, Text: "signing keys rotated", Cause: KeysChanged, Ends: nobody},
	{Event: SettingChanged, Text: "setting changed", Cause: SettingsChanged, Ends: nobody},
	{Event: KeyStolen, Text: "signing key dropped", Cause: KeyDropped, Ends: []Part{{Everybodys, cutoff.Tokens}}},
	{Event: ProviderGone, Text: "identity provider disabled, deleted or given another client id: each session that came through it", Cause: ProviderDisabled, Ends: []Part{{TheSessions, cutoff.Everything}, {GivenInIt, cutoff.Everything}}},
	{Event: UserUnlinked, Text: "person unlinked from an identity provider: each session of theirs that came through it", Cause: Unlinked, Ends: []Part{{TheSessions, cutoff.Everything}, {GivenInIt, cutoff.Everything}}},
	{Event: LoggedOutThere, Text: "logged out at the identity provider, which says so: each session that came through that one", Cause: SignedOut, Ends: []Part{{TheSessions, cutoff.Everything}}},
	{Event: ProviderAltered, Text: "identity provider registered, enabled or changed otherwise", Cause: ProviderChanged, Ends: nobody},
	{Event: UserLinked, Text: "person linked to an identity provider", Cause: Linked, Ends: nobody},
	{Event: PolicyChanged, Text: "conditional access policy, or what policies refer to, changed", Cause: PoliciesChanged, Ends: []Part{{Everybodys, cutoff.Judge}}},
	{Event: Concerned, Text: "role given, or group joined, that a conditional access policy names", Cause: RightsAdded, Ends: []Part{{TheUsers, cutoff.Judge}}},
	{Event: RiskChanged, Text: "risk of an account found, confirmed, dismissed or remediated", Cause: RiskAltered, Ends: []Part{{TheUsers, cutoff.Judge}}},
	{Event: HistoryGone, Text: "history lost: a backup restored", Cause: HistoryLost, Ends: []Part{{Everybodys, cutoff.Everything}}},
}

// RowOf returns the row of an event. An event without one ends everything: what
// the table does not know cannot be said to spare anything.
func RowOf(e Event) Row {
	for _, r := range Table {
		if r.Event == e {
			return r
		}
	}
	return Row{Event: e, Cause: Revoked, Ends: []Part{{Everybodys, cutoff.Everything}}}
}

// Victim names what an event happened to. What is not there, or dead already, is
// left empty and gets no cutoff.
type Victim struct {
	User     string // object id
	App      string // client_id
	Identity string // object id of the application's own identity
	Session  string
	Grants   []string
	Device   string
}

// Cuts are the row's cutoffs for one victim.
func (r Row) Cuts(v Victim) []cutoff.Cutoff {
	var cuts []cutoff.Cutoff
	add := func(s cutoff.Scope, id string, reach cutoff.Reach) {
		if id != "" || s == cutoff.All {
			cuts = append(cuts, cutoff.Cutoff{Scope: s, ID: id, Reach: reach})
		}
	}
	for _, p := range r.Ends {
		switch p.Whose {
		case Everybodys:
			add(cutoff.All, "", p.Reach)
		case TheUsers:
			add(cutoff.User, v.User, p.Reach)
		case TheSessions:
			add(cutoff.Session, v.Session, p.Reach)
		case GivenInIt, TheGrants:
			for _, id := range v.Grants {
				add(cutoff.Grant, id, p.Reach)
			}
		case TheApps:
			add(cutoff.App, v.App, p.Reach)
		case TheUsersIn:
			add(cutoff.UserApp, cutoff.UserAppID(v.User, v.App), p.Reach)
		case TheDevices:
			add(cutoff.Device, v.Device, p.Reach)
		case TheIdentitys:
			add(cutoff.User, v.Identity, p.Reach)
		}
	}
	return cuts
}

// Has reports whether the row ends something that is whose.
func (r Row) Has(w Whose) bool {
	for _, p := range r.Ends {
		if p.Whose == w {
			return true
		}
	}
	return false
}
