package odata

import "github.com/curfew-id/curfew/internal/directory"

// Fields that only rows of package graph have.
const (
	FieldDescription directory.Field = "description"
	FieldAssignable  directory.Field = "assignable"
	FieldPrivileged  directory.Field = "privileged"
	FieldPrincipal   directory.Field = "principal"
	FieldRole        directory.Field = "role"
	FieldClient      directory.Field = "client"
	FieldService     directory.Field = "service"
	FieldResource    directory.Field = "resource"
	FieldConsent     directory.Field = "consent"
)

// Groups is the schema of /groups.
var Groups = Schema{
	Entity: "microsoft.graph.group",
	Filter: map[string]Property{
		"id":                 {directory.FieldID, directory.KindID},
		"displayname":        {directory.FieldDisplayName, directory.KindText},
		"description":        {FieldDescription, directory.KindText},
		"createddatetime":    {directory.FieldCreated, directory.KindTime},
		"isassignabletorole": {FieldAssignable, directory.KindBool},
	},
	Search:  []directory.Field{directory.FieldDisplayName, FieldDescription},
	Selects: []string{"id", "displayName", "description", "createdDateTime", "isAssignableToRole", "securityEnabled", "mailEnabled", "mailNickname", "groupTypes"},
}

// Roles is the schema of /directoryRoles. Every role is there from the start, and
// its id is that of its template: there is nothing to activate.
var Roles = Schema{
	Entity: "microsoft.graph.directoryRole",
	Filter: map[string]Property{
		"id": {directory.FieldID, directory.KindID}, "roletemplateid": {directory.FieldID, directory.KindID},
		"displayname": {directory.FieldDisplayName, directory.KindText}, "description": {FieldDescription, directory.KindText},
	},
	Search:  []directory.Field{directory.FieldDisplayName, FieldDescription},
	Selects: []string{"id", "displayName", "description", "roleTemplateId"},
}

// Definitions is the schema of /roleManagement/directory/roleDefinitions.
var Definitions = Schema{
	Entity: "microsoft.graph.unifiedRoleDefinition",
	Filter: map[string]Property{
		"id": {directory.FieldID, directory.KindID}, "templateid": {directory.FieldID, directory.KindID},
		"displayname": {directory.FieldDisplayName, directory.KindText}, "isprivileged": {FieldPrivileged, directory.KindBool},
	},
	Search:  []directory.Field{directory.FieldDisplayName, FieldDescription},
	Selects: []string{"id", "templateId", "displayName", "description", "isBuiltIn", "isEnabled", "isPrivileged", "resourceScopes"},
}

// Assignments is the schema of /roleManagement/directory/roleAssignments.
var Assignments = Schema{
	Entity: "microsoft.graph.unifiedRoleAssignment",
	Filter: map[string]Property{
		"id": {directory.FieldID, directory.KindID}, "principalid": {FieldPrincipal, directory.KindID}, "roledefinitionid": {FieldRole, directory.KindID},
	},
	Selects: []string{"id", "principalId", "roleDefinitionId", "directoryScopeId", "appScopeId", "condition"},
}

// Applications is the schema of /applications. Ours under /curfew/apps can do more
// than Microsoft's can say.
var Applications = Schema{
	Entity: "microsoft.graph.application",
	Filter: map[string]Property{
		"id": {directory.FieldID, directory.KindID}, "appid": {FieldClient, directory.KindText},
		"displayname": {directory.FieldDisplayName, directory.KindText}, "createddatetime": {directory.FieldCreated, directory.KindTime},
	},
	Search: []directory.Field{directory.FieldDisplayName},
	Selects: []string{"id", "appId", "displayName", "createdDateTime", "signInAudience", "isDisabled", "identifierUris", "isFallbackPublicClient", "web", "publicClient", "spa", "api",
		"appRoles", "requiredResourceAccess", "passwordCredentials", "keyCredentials", "tags", "notes"},
}

// Services is the schema of /servicePrincipals.
var Services = Schema{
	Entity: "microsoft.graph.servicePrincipal",
	Filter: map[string]Property{
		"id": {directory.FieldID, directory.KindID}, "appid": {FieldClient, directory.KindText}, "displayname": {directory.FieldDisplayName, directory.KindText},
		"accountenabled": {directory.FieldEnabled, directory.KindBool},
	},
	Search: []directory.Field{directory.FieldDisplayName},
	Selects: []string{"id", "appId", "displayName", "appDisplayName", "accountEnabled", "appRoleAssignmentRequired", "appOwnerOrganizationId", "createdDateTime", "servicePrincipalType", "servicePrincipalNames",
		"signInAudience", "replyUrls", "logoutUrl", "homepage", "appRoles", "oauth2PermissionScopes", "passwordCredentials", "keyCredentials", "tags", "notes"},
}

// Grants is the schema of /oauth2PermissionGrants.
var Grants = Schema{
	Entity: "microsoft.graph.oAuth2PermissionGrant",
	Filter: map[string]Property{
		"clientid": {FieldService, directory.KindID}, "resourceid": {FieldResource, directory.KindID}, "principalid": {FieldPrincipal, directory.KindID}, "consenttype": {FieldConsent, directory.KindText},
	},
	Selects: []string{"id", "clientId", "consentType", "principalId", "resourceId", "scope"},
}

// RoleHolders is the schema of appRoleAssignments and appRoleAssignedTo.
var RoleHolders = Schema{
	Entity: "microsoft.graph.appRoleAssignment",
	Filter: map[string]Property{
		"principalid": {FieldPrincipal, directory.KindID}, "resourceid": {FieldResource, directory.KindID}, "approleid": {FieldRole, directory.KindID},
	},
	Selects: []string{"id", "appRoleId", "createdDateTime", "deletedDateTime", "principalDisplayName", "principalId", "principalType", "resourceDisplayName", "resourceId"},
}

// Audits is the schema of /auditLogs/directoryAudits. It pages, the newest first;
// it does not filter.
var Audits = Schema{Entity: "microsoft.graph.directoryAudit"}
