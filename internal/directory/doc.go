// Package directory holds the nouns: users, groups, roles held, applications,
// resources, consents and actors. It has no behaviour beyond parsing and small
// claims about one value. It imports neither the network nor the database and
// reads no clock.
//
// Identity: an object id is random, sortable by time and never used again. A
// name (user name, domain) is a label that may be freed and taken by somebody
// else; nothing that decides about access refers to a name. The one exception is
// the client_id of an application, which other people's software dictates:
// deleting an application appends a cutoff, so that a re-created client_id
// inherits nothing.
package directory
