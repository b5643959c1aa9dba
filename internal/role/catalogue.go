package role

import (
	"slices"
	"strings"

	"github.com/curfew-id/curfew/internal/directory"
)

// Role is a built-in directory role, under the template GUID that Microsoft
// gave it, so that scripts that name it keep working.
type Role struct {
	ID          directory.RoleID
	Name        string
	Description string
	// Privileged is the published label. It decides nothing: Allowed goes by the
	// matrix, where some labelled roles are easy targets and some unlabelled not.
	Privileged bool
}

// The roles that decide something here, by template GUID.
const (
	UsageSummaryReportsReader     directory.RoleID = "75934031-6c7e-415a-99d7-48dbd49e875e"
	MessageCenterReader           directory.RoleID = "790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b"
	UserExperienceManager         directory.RoleID = "27460883-1df1-4691-b032-3b79643e5e63"
	DirectoryReaders              directory.RoleID = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"
	GuestInviter                  directory.RoleID = "95e79109-95c0-4d8e-aee3-d01accf2d47b"
	ReportsReader                 directory.RoleID = "4a5d8f65-41da-4de4-8968-e035b65339cf"
	SecurityReader                directory.RoleID = "5d6b6bb7-de71-4623-b4af-96380a352509"
	GlobalReader                  directory.RoleID = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
	PasswordAdministrator         directory.RoleID = "966707d0-3269-4727-9be2-8c3a10f19b9d"
	HelpdeskAdministrator         directory.RoleID = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	CloudDeviceAdministrator      directory.RoleID = "7698a772-787b-4ac8-901f-60d6b08affd2"
	IntuneAdministrator           directory.RoleID = "3a2c62db-5318-420d-8d74-23affee5d9d5"
	ExternalIdentityProviderAdmin directory.RoleID = "be2f45a1-457d-42af-a067-6ec1fa63bc45"
	GroupsAdministrator           directory.RoleID = "fdd7a751-b60b-444a-984c-02652fe8fa1c"
	DirectoryWriters              directory.RoleID = "9360feb5-f418-4baa-8175-e2a00bac4301"
	AuthenticationAdministrator   directory.RoleID = "c4e39bd9-1100-46d3-8c65-fb160da0071f"
	UserAdministrator             directory.RoleID = "fe930be7-5e62-47db-91af-98c3a49a38b1"
	CloudAppAdministrator         directory.RoleID = "158c047a-c907-4556-b7ef-446551a6b5f7"
	ApplicationAdministrator      directory.RoleID = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
	ConditionalAccessAdmin        directory.RoleID = "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9"
	SecurityOperator              directory.RoleID = "5f2222b1-57c3-48ba-8ad5-d4759f1fde6f"
	SecurityAdministrator         directory.RoleID = "194ae4cb-b126-40b2-bd5b-6091b380977d"
	PrivilegedAuthAdministrator   directory.RoleID = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"
	PrivilegedRoleAdministrator   directory.RoleID = "e8611ab8-c189-46e8-94e1-60213ab1f814"
	GlobalAdministrator           directory.RoleID = "62e90394-69f5-4237-9190-012177145e10"
)

// catalogue is in order of power, least first. That order is ours; it only
// sorts what a refusal proposes.
var catalogue = []Role{
	{UsageSummaryReportsReader, "Usage Summary Reports Reader", "Reads usage summaries, no details of users.", false},
	{MessageCenterReader, "Message Center Reader", "Reads service announcements.", false},
	{UserExperienceManager, "User Experience Success Manager", "Reads product feedback and adoption reports.", false},
	{DirectoryReaders, "Directory Readers", "Reads users, groups, applications and devices.", false},
	{GuestInviter, "Guest Inviter", "Invites guests. Reads the directory.", false},
	{ReportsReader, "Reports Reader", "Reads sign-ins, the audit log and receipts.", false},
	{"cf1c38e5-3621-4004-a7cb-879624dced7c", "Application Developer", "Registers applications in systems that let few do it. Here it reads the directory.", true},
	{"422218e4-db15-4ef9-bbe0-8afb41546d79", "Attribute Provisioning Reader", "Reads how security attributes are provisioned. Here it reads the directory.", true},
	{SecurityReader, "Security Reader", "Reads policies, sign-ins, the audit log, the ledger and guards.", true},
	{GlobalReader, "Global Reader", "Reads everything a Global Administrator can, changes nothing.", true},
	{"69091246-20e8-4a56-aa4d-066075b2a7a8", "Teams Administrator", "Manages Teams. Here it reads the directory.", false},
	{"29232cdf-9323-42fd-ade2-1d097af3e4de", "Exchange Administrator", "Manages Exchange. Here it reads the directory.", false},
	{"f28a1f50-f6e7-4571-818b-6a12f2af6b6c", "SharePoint Administrator", "Manages SharePoint. Here it reads the directory.", false},
	{"ecb2c6bf-0ab6-418e-bd87-7986f8d63bbe", "Attribute Provisioning Administrator", "Sets how security attributes are provisioned. Here it reads the directory.", true},
	{"aaf43236-0c0d-4d5f-883a-6955382ac081", "B2C IEF Keyset Administrator", "Manages keys of custom sign-in journeys. Here it reads the directory.", true},
	{"25a516ed-2fa0-40ea-a2d0-12923a21473a", "Authentication Extensibility Administrator", "Manages extensions of sign-in. Here it reads the directory.", true},
	{ExternalIdentityProviderAdmin, "External Identity Provider Administrator", "Registers other identity providers through which people sign in. Links nobody.", true},
	{"8329153b-31d0-4727-b945-745eb3bc5f31", "Domain Name Administrator", "Manages domain names. Here it reads the directory.", true},
	{"59d46f88-662b-457b-bceb-5c3809e5908f", "Lifecycle Workflows Administrator", "Manages joiner and leaver workflows. Here it reads the directory.", true},
	{"db506228-d27e-4b7d-95e5-295956d6615f", "Agent ID Administrator", "Manages identities of agents. Here it reads the directory.", true},
	{"4ba39ca4-527c-499a-b93d-d9b492c50246", "Partner Tier1 Support", "Deprecated by Microsoft. Gives nothing here but reading the directory.", true},
	{"e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8", "Partner Tier2 Support", "Deprecated by Microsoft. Gives nothing here but reading the directory.", true},
	{"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2", "Hybrid Identity Administrator", "Manages synchronisation with other directories. Here it reads the directory.", true},
	{"0526716b-113d-4c15-b2c8-68e3c22b9f80", "Authentication Policy Administrator", "Manages how people may prove who they are. Here it reads the directory.", false},
	{PasswordAdministrator, "Password Administrator", "Resets passwords and revokes sessions of people without a role and of Password Administrators.", true},
	{HelpdeskAdministrator, "Helpdesk Administrator", "Resets passwords and revokes sessions of people without a role, of small roles and of Helpdesk Administrators. Disables nobody.", true},
	{CloudDeviceAdministrator, "Cloud Device Administrator", "Enables, disables and deletes devices.", true},
	{IntuneAdministrator, "Intune Administrator", "Manages devices.", true},
	{GroupsAdministrator, "Groups Administrator", "Manages groups that cannot hold roles.", false},
	{DirectoryWriters, "Directory Writers", "Creates users and groups and changes ordinary properties. Meant for applications.", true},
	{AuthenticationAdministrator, "Authentication Administrator", "Resets, revokes, disables and deletes people without a role, of small roles and Authentication Administrators.", true},
	{UserAdministrator, "User Administrator", "Manages users and groups; acts on people without a role, of small roles, and on Helpdesk, Groups and User Administrators.", true},
	{CloudAppAdministrator, "Cloud Application Administrator", "Manages applications, their secrets and consents.", true},
	{ApplicationAdministrator, "Application Administrator", "Manages applications, their secrets and consents.", true},
	{ConditionalAccessAdmin, "Conditional Access Administrator", "Manages conditional access policies.", true},
	{SecurityOperator, "Security Operator", "Reads everything about security.", true},
	{SecurityAdministrator, "Security Administrator", "Reads everything about security and manages conditional access policies.", true},
	{PrivilegedAuthAdministrator, "Privileged Authentication Administrator", "Resets, revokes, disables and deletes anybody, Global Administrators included.", true},
	{PrivilegedRoleAdministrator, "Privileged Role Administrator", "Gives and takes roles, manages role-assignable groups and what applications may do as themselves.", true},
	{GlobalAdministrator, "Global Administrator", "May do everything.", true},
}

// All returns every role, least powerful first.
func All() []Role { return slices.Clone(catalogue) }

// Find returns the role with this id, in either case.
func Find(id directory.RoleID) (Role, bool) {
	if i := power(id); i >= 0 {
		return catalogue[i], true
	}
	return Role{}, false
}

// FindName returns the role with this display name, ignoring case and outer
// space. It guesses nothing: "Global Admin" is no role.
func FindName(name string) (Role, bool) {
	name = strings.TrimSpace(name)
	i := slices.IndexFunc(catalogue, func(r Role) bool { return strings.EqualFold(r.Name, name) })
	if i < 0 {
		return Role{}, false
	}
	return catalogue[i], true
}

// power is the place of a role in the catalogue; -1 if it is not there.
func power(id directory.RoleID) int {
	return slices.IndexFunc(catalogue, func(r Role) bool { return strings.EqualFold(string(r.ID), string(id)) })
}

func nameOf(id directory.RoleID) string {
	if r, ok := Find(id); ok {
		return r.Name
	}
	return "a role that is not known here (" + string(id) + ")"
}
