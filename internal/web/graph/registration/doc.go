// Package registration answers under Microsoft's names about applications: what is
// registered (/applications), what is in use (/servicePrincipals), what people and
// administrators consented to (/oauth2PermissionGrants), and who holds a role where
// (appRoleAssignments). Graph divides these nouns otherwise than we do; the catalog
// is where the two meet:
//
//	application        an application, with the resource that is part of its registration
//	service principal  an application's identity, or a resource that stands alone
//
// It promises: ids are the same every time, and none of a resource that was deleted
// names the one that took its identifier; a secret is written once; a property that is
// not kept is refused by its name, unless it says what is so anyway; what one request
// changes is changed together or not at all.
//
// It leaves to its neighbours: who calls and how answers are written (package api),
// who may, and what ends with what is taken away (the verbs, the store's row diff).
//
// Trust: everything in a request is the caller's; an id that it brings back is looked
// up again among what the caller may see.
package registration
