package directory

// OwnAPI is the directory's own API as registrations, consents and grants name
// it. On the wire its tokens' aud is {public URL}/graph, and requests may also
// ask for it by GraphAlias.
const OwnAPI ResourceID = "curfew"

// The directory's own pages, as policies and the log of sign-ins name them; they are
// reached through OwnAPI, and nobody can register them.
const (
	OwnPortal  AppID = "curfew-portal"  // the administrator's
	OwnAccount AppID = "curfew-account" // everybody's own
)

// GraphAlias is the name under which tools ask for the API of this form. It
// stands in requests only: nobody can register it and no token carries it.
const GraphAlias = "https://graph.microsoft.com"

// GlobalRevocation is the permission for the endpoint of Global Token Revocation,
// and for nothing else.
const GlobalRevocation = "token.revoke.global"

// OwnResource is the directory's own API, with Microsoft's names for what it allows.
func OwnResource() *Resource {
	r := &Resource{ID: OwnAPI, Name: "curfew directory"}
	for _, x := range []Scope{
		{Name: "openid", Text: "Sign you in"},
		{Name: "profile", Text: "See your name and user name"},
		{Name: "email", Text: "See your mail address"},
		{Name: "phone", Text: "See your mobile number"},
		{Name: "User.Read", Text: "See your own profile"},
		{Name: "User.ReadWrite", Text: "Change your own profile"},
		{Name: "User.ReadBasic.All", Text: "See everyone's name and address", AdminOnly: true},
		{Name: "User.Read.All", Text: "See everyone's profile", AdminOnly: true},
		{Name: "User.ReadWrite.All", Text: "Change everyone's profile", AdminOnly: true},
		{Name: "User.RevokeSessions.All", Text: "Revoke everyone's sessions", AdminOnly: true},
		{Name: GlobalRevocation, Text: "Revoke everyone's sessions on the order of another system", AdminOnly: true},
		{Name: "User.EnableDisableAccount.All", Text: "Disable and enable accounts", AdminOnly: true},
		{Name: "User.ManageIdentities.All", Text: "Change everyone's user name, and who they are elsewhere", AdminOnly: true},
		{Name: "UserAuthenticationMethod.Read", Text: "See how you can prove who you are"},
		{Name: "UserAuthenticationMethod.Read.All", Text: "See how everyone can prove who they are", AdminOnly: true},
		{Name: "UserAuthenticationMethod.ReadWrite.All", Text: "Take away how people prove who they are, and give temporary access passes", AdminOnly: true},
		{Name: "IdentityProvider.Read.All", Text: "See other identity providers", AdminOnly: true},
		{Name: "IdentityProvider.ReadWrite.All", Text: "Change other identity providers", AdminOnly: true},
		{Name: "Directory.Read.All", Text: "See the whole directory", AdminOnly: true},
		{Name: "Directory.ReadWrite.All", Text: "Change the whole directory", AdminOnly: true},
		{Name: "Directory.AccessAsUser.All", Text: "Do in the directory whatever you may do", AdminOnly: true},
		{Name: "Group.Read.All", Text: "See all groups", AdminOnly: true},
		{Name: "Group.ReadWrite.All", Text: "Change all groups", AdminOnly: true},
		{Name: "RoleManagement.Read.Directory", Text: "See who holds which role", AdminOnly: true},
		{Name: "RoleManagement.ReadWrite.Directory", Text: "Give and take roles", AdminOnly: true},
		{Name: "Application.Read.All", Text: "See all applications", AdminOnly: true},
		{Name: "Application.ReadWrite.All", Text: "Change all applications", AdminOnly: true},
		{Name: "Policy.Read.All", Text: "See the conditional access policies", AdminOnly: true},
		{Name: "Policy.ReadWrite.ConditionalAccess", Text: "Change the conditional access policies", AdminOnly: true},
		{Name: "IdentityRiskyUser.Read.All", Text: "See whose account is at risk, and why", AdminOnly: true},
		{Name: "IdentityRiskyUser.ReadWrite.All", Text: "Confirm and dismiss the risk of accounts", AdminOnly: true},
		{Name: "IdentityRiskEvent.Read.All", Text: "See what was found about sign-ins and accounts", AdminOnly: true},
		{Name: "AuditLog.Read.All", Text: "Read the audit log", AdminOnly: true},
	} {
		r.Scopes = append(r.Scopes, x)
		if x.AdminOnly {
			r.AppRoles = append(r.AppRoles, x.Name)
		}
	}
	for _, c := range Claims {
		r.Scopes = append(r.Scopes, Scope{Name: InUserinfo + c.Name, Text: c.text}, Scope{Name: InIDToken + c.Name, Text: c.text})
	}
	return r
}
