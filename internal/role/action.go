package role

import (
	"slices"

	"github.com/curfew-id/curfew/internal/directory"
)

// Action is something an actor wants to do. Names that begin with
// microsoft.directory are Microsoft's; what Entra has no name for begins with
// curfew.
type Action string

// The actions. Those marked "user" need a Target.
const (
	RevokeSessions  Action = "microsoft.directory/users/invalidateAllRefreshTokens" // user; all of a user's sessions and grants
	RevokeSession   Action = "curfew/sessions/revoke"                               // user; one session, grant or application of a user
	ResetPassword   Action = "microsoft.directory/users/password/update"            // user; by somebody else, without the old one
	ChangePassword  Action = "curfew/users/password/change"                         // user; one's own, with the old one
	DisableUser     Action = "microsoft.directory/users/disable"                    // user
	EnableUser      Action = "microsoft.directory/users/enable"                     // user
	DeleteUser      Action = "microsoft.directory/users/delete"                     // user
	RestoreUser     Action = "microsoft.directory/users/restore"                    // user
	RenameUser      Action = "microsoft.directory/users/userPrincipalName/update"   // user
	UpdateUserPhone Action = "curfew/users/mobilePhone/update"                      // user; phones and other addresses, "sensitive" in the table
	UpdateUser      Action = "microsoft.directory/users/basic/update"               // anybody's ordinary properties
	CreateUser      Action = "microsoft.directory/users/create"
	ReadUsers       Action = "microsoft.directory/users/standard/read" // Target: one user; zero: the list

	AssignRole   Action = "microsoft.directory/roleAssignments/create"
	UnassignRole Action = "microsoft.directory/roleAssignments/delete"
	ReadRoles    Action = "microsoft.directory/roleAssignments/standard/read"

	ReadGroups   Action = "microsoft.directory/groups/standard/read"
	CreateGroup  Action = "microsoft.directory/groups/create" // the four: groups that cannot hold roles
	UpdateGroup  Action = "microsoft.directory/groups/basic/update"
	DeleteGroup  Action = "microsoft.directory/groups/delete"
	UpdateMember Action = "microsoft.directory/groups/members/update"

	CreateRoleGroup Action = "microsoft.directory/groupsAssignableToRoles/create"
	UpdateRoleGroup Action = "microsoft.directory/groupsAssignableToRoles/allProperties/update" // members too
	DeleteRoleGroup Action = "microsoft.directory/groupsAssignableToRoles/delete"

	ReadApps       Action = "microsoft.directory/applications/standard/read" // resources too, here and below
	CreateApp      Action = "microsoft.directory/applications/create"
	UpdateApp      Action = "microsoft.directory/applications/basic/update"
	DeleteApp      Action = "microsoft.directory/applications/delete"
	UpdateAppKeys  Action = "microsoft.directory/applications/credentials/update"            // Target: the application's identity, zero if it has none
	GrantAppRole   Action = "microsoft.directory/servicePrincipals/appRoleAssignedTo/update" // what it holds as itself
	GrantConsent   Action = "microsoft.directory/oAuth2PermissionGrants/create"              // for somebody else or everybody
	RemoveConsent  Action = "microsoft.directory/oAuth2PermissionGrants/delete"              // Target: whose; zero: everybody's
	AssignApp      Action = "curfew/apps/assignments/update"                                 // who is let into an application
	CutApp         Action = "curfew/app/cut"                                                 // end what an application holds, for everybody
	ReadDevices    Action = "microsoft.directory/devices/standard/read"                      // Target: the owner, zero: the list
	DisableDevice  Action = "microsoft.directory/devices/disable"                            // and cut it
	EnableDevice   Action = "microsoft.directory/devices/enable"
	DeleteDevice   Action = "microsoft.directory/devices/delete"
	UpdateDevice   Action = "microsoft.directory/devices/basic/update" // its name
	JudgeDevice    Action = "curfew/devices/compliance/update"         // whether it is compliant
	CutDevice      Action = "curfew/devices/cut"                       // end what is on it
	ReadPolicies   Action = "microsoft.directory/conditionalAccessPolicies/standard/read"
	CreatePolicy   Action = "microsoft.directory/conditionalAccessPolicies/create"
	UpdatePolicy   Action = "microsoft.directory/conditionalAccessPolicies/basic/update"
	DeletePolicy   Action = "microsoft.directory/conditionalAccessPolicies/delete"
	ReadSpared     Action = "curfew/sparedAccounts/read"   // accounts that no policy touches
	UpdateSpared   Action = "curfew/sparedAccounts/update" // each is a way past all policies
	ReadRisk       Action = "microsoft.directory/identityProtection/allProperties/read"
	ReadFindings   Action = "curfew/riskDetections/read"                                  // what was found, as it was found
	UpdateRisk     Action = "microsoft.directory/identityProtection/allProperties/update" // confirm and dismiss
	SetRiskRules   Action = "curfew/riskRules/update"
	ReadAudit      Action = "microsoft.directory/auditLogs/allProperties/read"
	ReadSignIns    Action = "microsoft.directory/signInReports/allProperties/read" // Target: whose; zero: everybody's
	ReadProviders  Action = "microsoft.directory/identityProviders/standard/read"
	UpdateProvider Action = "microsoft.directory/identityProviders/allProperties/update"    // register, change and delete them
	LinkUser       Action = "microsoft.directory/users/identities/update"                   // user; who somebody is at another identity provider
	ReadMethods    Action = "microsoft.directory/users/authenticationMethods/standard/read" // Target: whose
	CreateMethod   Action = "microsoft.directory/users/authenticationMethods/create"        // user; a temporary access pass, by somebody else
	DeleteMethod   Action = "microsoft.directory/users/authenticationMethods/delete"        // user; by somebody else
	CutDirectory   Action = "curfew/directory/cut"                                          // everybody, or everybody but the actor
	ReadKeys       Action = "curfew/keys/read"                                              // signing keys
	UpdateKeys     Action = "curfew/keys/update"                                            // rotate and retire them
	ReadGuards     Action = "curfew/guards/read"
	ReadLedger     Action = "curfew/ledger/read"
	ReadReceipts   Action = "curfew/receipts/read" // Target: whose sessions it is about; zero: all
)

// Permissions of our own API that the rules name more than once.
const (
	asUser  = "Directory.AccessAsUser.All" // delegated only: whatever the person may
	dirRW   = "Directory.ReadWrite.All"
	userRW  = "User.ReadWrite.All"
	roleRW  = "RoleManagement.ReadWrite.Directory"
	selfGet = "User.Read"
	selfPut = "User.ReadWrite"
)

// rule is what an action takes.
type rule struct {
	to string             // how a sentence says it: "To … you need"
	by []directory.RoleID // roles that may, least powerful first
	// person: the action is on a user, who must be named, and the matrix decides.
	person bool
	// secret: the Target, if there is one, is an application's identity, and the
	// action lets the actor become it.
	secret bool
	// service: roles that may too when the target is an application's identity.
	service []directory.RoleID
	// self: delegated permissions for acting on oneself. Not nil: everyone may.
	self []string
	// scopes: delegated permissions, any of which will do (and asUser always).
	scopes []string
	// app: permissions of an application acting as itself. Nil: no application may.
	app []string
	// owner: whoever owns the application may too, without a role.
	owner bool
	// takes: it takes an account over or away. An application needs roleRW as well
	// when the target is privileged.
	takes bool
}

var (
	resetters = []directory.RoleID{PasswordAdministrator, HelpdeskAdministrator, AuthenticationAdministrator, UserAdministrator, PrivilegedAuthAdministrator, GlobalAdministrator}
	sensitive = []directory.RoleID{AuthenticationAdministrator, UserAdministrator, PrivilegedAuthAdministrator, GlobalAdministrator}
	appAdmins = []directory.RoleID{CloudAppAdministrator, ApplicationAdministrator, GlobalAdministrator}
	appOnly   = []directory.RoleID{CloudAppAdministrator, ApplicationAdministrator}
	grouping  = []directory.RoleID{GroupsAdministrator, DirectoryWriters, UserAdministrator, GlobalAdministrator}
	groupEnd  = []directory.RoleID{GroupsAdministrator, UserAdministrator, GlobalAdministrator}
	roleRoles = []directory.RoleID{PrivilegedRoleAdministrator, GlobalAdministrator}
	devices   = []directory.RoleID{CloudDeviceAdministrator, IntuneAdministrator, GlobalAdministrator}
	policies  = []directory.RoleID{ConditionalAccessAdmin, SecurityAdministrator, GlobalAdministrator}
	policyEye = []directory.RoleID{SecurityReader, GlobalReader, ConditionalAccessAdmin, SecurityOperator, SecurityAdministrator, GlobalAdministrator}
	riskEye   = []directory.RoleID{SecurityReader, GlobalReader, SecurityOperator, SecurityAdministrator, GlobalAdministrator}
	auditors  = []directory.RoleID{ReportsReader, SecurityReader, GlobalReader, SecurityOperator, SecurityAdministrator, GlobalAdministrator}
	auditApps = []directory.RoleID{ReportsReader, SecurityReader, GlobalReader, CloudDeviceAdministrator, CloudAppAdministrator, ApplicationAdministrator, SecurityOperator, SecurityAdministrator, GlobalAdministrator}
	// whoever can cut something, to see what became of it
	receiptEye = []directory.RoleID{ReportsReader, SecurityReader, GlobalReader, PasswordAdministrator, HelpdeskAdministrator, CloudDeviceAdministrator, IntuneAdministrator,
		AuthenticationAdministrator, UserAdministrator, CloudAppAdministrator, ApplicationAdministrator, SecurityOperator, SecurityAdministrator,
		PrivilegedAuthAdministrator, PrivilegedRoleAdministrator, GlobalAdministrator}
	readers = directoryReaders()

	revokeScopes = []string{"User.RevokeSessions.All", userRW, dirRW}
	readScopes   = []string{"User.Read.All", "Directory.Read.All", userRW, dirRW}
	groupScopes  = []string{"Group.ReadWrite.All", dirRW}
	appScopes    = []string{"Application.ReadWrite.All", dirRW}
	logScopes    = []string{"AuditLog.Read.All", "Directory.Read.All", dirRW}
	policyWrite  = []string{"Policy.ReadWrite.ConditionalAccess"}
	roleScopes   = []string{roleRW}
	methodRoles  = []directory.RoleID{AuthenticationAdministrator, PrivilegedAuthAdministrator, GlobalAdministrator}
	methodEye    = []string{"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}
)

// directoryReaders is every role of the catalogue but the three that see no
// users: in Entra administrators' roles inherit from Directory Readers.
func directoryReaders() []directory.RoleID {
	var ids []directory.RoleID
	for _, r := range catalogue[power(DirectoryReaders):] {
		ids = append(ids, r.ID)
	}
	return ids
}

// same is a rule whose delegated and application permissions are the same.
func same(to string, by []directory.RoleID, scopes []string) rule {
	return rule{to: to, by: by, scopes: scopes, app: scopes}
}

func onPerson(to string, by []directory.RoleID, scopes ...string) rule {
	return rule{to: to, by: by, person: true, scopes: scopes, app: scopes, takes: true}
}

var rules = map[Action]rule{
	// Revoking takes nothing over: the person signs in again. So an application
	// that may revoke may revoke anybody, as on Graph; responding to an attack on
	// an administrator is what it is for.
	RevokeSessions: {to: "revoke sessions", by: resetters, person: true, service: appOnly, self: []string{selfPut}, scopes: revokeScopes, app: revokeScopes},
	RevokeSession:  {to: "revoke a session", by: resetters, person: true, service: appOnly, self: []string{selfPut}, scopes: revokeScopes, app: revokeScopes},
	ResetPassword:  onPerson("reset the password", resetters, "User-PasswordProfile.ReadWrite.All", userRW),
	ChangePassword: {to: "change the password", person: true, self: []string{"User-PasswordProfile.ReadWrite.All"}},
	DisableUser:    withService(onPerson("disable the account", sensitive, "User.EnableDisableAccount.All", userRW, dirRW)),
	EnableUser:     withService(onPerson("enable the account", sensitive, "User.EnableDisableAccount.All", userRW, dirRW)),
	// Directory.ReadWrite.All deletes no users and resets no passwords on Graph.
	DeleteUser:      withService(onPerson("delete the user", sensitive, "User.DeleteRestore.All", userRW)),
	RestoreUser:     withService(onPerson("restore the user", sensitive, "User.DeleteRestore.All", userRW)),
	RenameUser:      onPerson("change the user name", sensitive, "User.ManageIdentities.All", userRW, dirRW),
	UpdateUserPhone: onPerson("change the phone number", sensitive, userRW, dirRW),
	UpdateUser: same("change the user", []directory.RoleID{DirectoryWriters, AuthenticationAdministrator, UserAdministrator,
		PrivilegedAuthAdministrator, GlobalAdministrator}, []string{userRW, dirRW}),
	CreateUser: same("create users", []directory.RoleID{DirectoryWriters, UserAdministrator, GlobalAdministrator}, []string{userRW, dirRW}),
	ReadUsers:  {to: "read users", by: readers, self: []string{selfGet, selfPut}, scopes: readScopes, app: readScopes},

	AssignRole:   same("assign roles", roleRoles, roleScopes),
	UnassignRole: same("remove roles", roleRoles, roleScopes),
	ReadRoles: {to: "read role assignments", by: readers, self: []string{selfGet, selfPut},
		scopes: []string{"RoleManagement.Read.Directory", roleRW, "Directory.Read.All", dirRW},
		app:    []string{"RoleManagement.Read.Directory", roleRW, "Directory.Read.All", dirRW}},

	ReadGroups: {to: "read groups", by: readers,
		scopes: []string{"Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", dirRW},
		app:    []string{"Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", dirRW}},
	CreateGroup:     same("create groups", grouping, groupScopes),
	UpdateGroup:     same("change groups", grouping, groupScopes),
	DeleteGroup:     same("delete groups", groupEnd, []string{"Group.ReadWrite.All"}),
	UpdateMember:    same("change the members of groups", grouping, []string{"GroupMember.ReadWrite.All", "Group.ReadWrite.All", dirRW}),
	CreateRoleGroup: same("create role-assignable groups", roleRoles, roleScopes),
	UpdateRoleGroup: same("change role-assignable groups", roleRoles, roleScopes),
	DeleteRoleGroup: same("delete role-assignable groups", roleRoles, roleScopes),

	ReadApps:  owned(same("read applications", readers, []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", dirRW})),
	CreateApp: same("create applications", appAdmins, appScopes),
	UpdateApp: owned(same("change applications", appAdmins, appScopes)),
	DeleteApp: same("delete applications", appAdmins, []string{"Application.ReadWrite.All"}),
	UpdateAppKeys: {to: "change the application's secrets", by: appAdmins, secret: true, owner: true, takes: true,
		scopes: []string{"Application.ReadWrite.All"}, app: []string{"Application.ReadWrite.All"}},
	GrantAppRole: same("grant permissions to an application", roleRoles, []string{"AppRoleAssignment.ReadWrite.All"}),
	GrantConsent: same("consent for others", []directory.RoleID{CloudAppAdministrator, ApplicationAdministrator, PrivilegedRoleAdministrator, GlobalAdministrator},
		[]string{"DelegatedPermissionGrant.ReadWrite.All"}),
	RemoveConsent: {to: "remove the consent", by: []directory.RoleID{UserAdministrator, CloudAppAdministrator, ApplicationAdministrator, PrivilegedRoleAdministrator, GlobalAdministrator},
		self: []string{selfPut}, scopes: []string{"DelegatedPermissionGrant.ReadWrite.All", dirRW}, app: []string{"DelegatedPermissionGrant.ReadWrite.All", dirRW}},
	AssignApp: owned(same("assign people to an application", []directory.RoleID{UserAdministrator, CloudAppAdministrator, ApplicationAdministrator, GlobalAdministrator},
		[]string{"AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.All", dirRW})),
	CutApp: same("cut an application", appAdmins, appScopes),

	ReadDevices: {to: "read devices", by: readers, self: []string{selfGet, selfPut},
		scopes: []string{"Device.Read.All", "Directory.Read.All", dirRW}, app: []string{"Device.Read.All", "Directory.Read.All", dirRW}},
	// A device that is lost is its owner's to disable; whether it may come back is not.
	DisableDevice: own(same("disable devices", devices, []string{"Device.ReadWrite.All", dirRW})),
	EnableDevice:  same("enable devices", devices, []string{"Device.ReadWrite.All", dirRW}),
	DeleteDevice:  own(same("delete devices", devices, []string{"Device.ReadWrite.All"})),
	UpdateDevice:  own(same("change devices", devices, []string{"Device.ReadWrite.All", dirRW})),
	JudgeDevice:   same("say whether devices are compliant", devices, []string{"Device.ReadWrite.All"}),
	CutDevice:     own(same("revoke what is on a device", devices, []string{"Device.ReadWrite.All", dirRW})),

	ReadPolicies: same("read policies", policyEye, []string{"Policy.Read.All", "Policy.ReadWrite.ConditionalAccess"}),
	CreatePolicy: same("create policies", policies, policyWrite),
	UpdatePolicy: same("change policies", policies, policyWrite),
	DeletePolicy: same("delete policies", policies, policyWrite),
	// Who they are is worth something to an attacker, and no application needs it.
	ReadSpared:   {to: "see which accounts policies spare", by: []directory.RoleID{GlobalAdministrator}},
	UpdateSpared: {to: "change which accounts policies spare", by: []directory.RoleID{GlobalAdministrator}},

	// Entra's columns of Identity Protection. What a rule looks for is part of what policies
	// mean, and not an operator's to change.
	ReadRisk:     same("read who is at risk", riskEye, []string{"IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"}),
	ReadFindings: same("read what was found", riskEye, []string{"IdentityRiskEvent.Read.All"}),
	UpdateRisk:   same("confirm or dismiss a risk", []directory.RoleID{SecurityOperator, SecurityAdministrator, GlobalAdministrator}, []string{"IdentityRiskyUser.ReadWrite.All"}),
	SetRiskRules: same("change what is looked for", []directory.RoleID{SecurityAdministrator, GlobalAdministrator}, policyWrite),

	ReadAudit:   same("read the audit log", auditApps, logScopes),
	ReadSignIns: {to: "read sign-ins", by: auditApps, self: []string{selfGet, selfPut}, scopes: logScopes, app: logScopes},
	ReadProviders: same("read identity providers", []directory.RoleID{GlobalReader, ExternalIdentityProviderAdmin, SecurityOperator, SecurityAdministrator, GlobalAdministrator},
		[]string{"IdentityProvider.Read.All", "IdentityProvider.ReadWrite.All"}),
	UpdateProvider: same("change identity providers", []directory.RoleID{ExternalIdentityProviderAdmin, GlobalAdministrator}, []string{"IdentityProvider.ReadWrite.All"}),
	// Whoever links somebody can become them, by an account elsewhere.
	LinkUser: onPerson("link the user to another identity provider", sensitive, "User.ManageIdentities.All", userRW),
	ReadMethods: {to: "read authentication methods", by: []directory.RoleID{GlobalReader, AuthenticationAdministrator, PrivilegedAuthAdministrator, GlobalAdministrator},
		self: []string{"UserAuthenticationMethod.Read"}, scopes: methodEye, app: methodEye},
	// Whoever gives somebody a pass, or takes the second factor away, comes closer to
	// being them.
	CreateMethod: onPerson("give a temporary access pass", methodRoles, "UserAuthenticationMethod.ReadWrite.All"),
	DeleteMethod: onPerson("take authentication methods away", methodRoles, "UserAuthenticationMethod.ReadWrite.All"),
	// Nobody proves anew who an application is, so none cuts the directory; and of
	// delegated permissions only the one that says so plainly.
	CutDirectory: {to: "cut the directory", by: []directory.RoleID{GlobalAdministrator}},
	ReadKeys:     same("read signing keys", auditors[1:], logScopes),
	// As above: no application, and no delegated permission but the plain one.
	UpdateKeys:   {to: "change signing keys", by: []directory.RoleID{GlobalAdministrator}},
	ReadGuards:   same("read guards", receiptEye, logScopes),
	ReadLedger:   same("read the ledger", auditors, logScopes),
	ReadReceipts: {to: "read receipts", by: receiptEye, self: []string{selfGet, selfPut}, scopes: slices.Concat(logScopes, revokeScopes), app: slices.Concat(logScopes, revokeScopes)},
}

// own lets everyone do it to what is theirs.
func own(r rule) rule {
	r.self = []string{selfPut}
	return r
}

// owned lets the application's owners do it too.
func owned(r rule) rule {
	r.owner = true
	return r
}

// withService adds the administrators of applications, for applications' own
// identities.
func withService(r rule) rule {
	r.service = appOnly
	return r
}

// Actions returns every action, sorted by name.
func Actions() []Action {
	out := make([]Action, 0, len(rules))
	for a := range rules {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// ActionsOf returns what a role may do to somebody or something, sorted by name:
// the allowedResourceActions of its definition. On whom, the matrix decides.
func ActionsOf(id directory.RoleID) []Action {
	return slices.DeleteFunc(Actions(), func(a Action) bool { return !slices.Contains(rules[a].by, id) })
}
