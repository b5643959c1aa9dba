// Package role decides who may do what to whom: the directory roles, the
// actions, and the published matrix of which administrator may act on which.
//
// It owns Allowed, which every verb asks before it does anything, and the
// sentence that portal, Graph, SCIM and command line show instead of a dead
// button. It promises that a further role of the actor never takes anything
// away and that a further role of the target never opens anything.
//
// It leaves to others: rules across rows ("the last Global Administrator" is the
// store's), how fresh a proof must be (cutting the directory: the verb's), and
// reading the roles that it decides on.
//
// Trust: it believes the Actor and the Held it is given. Both must come from the
// transaction that writes, or a role taken away a moment ago still acts. Whoever
// can write role assignments decides everything here.
//
// Doubt closes. A role not in the catalogue gives its holder nothing and makes
// the holder a target of the top tier. An action not in the table is refused to
// all but the operator and curfew itself.
//
// Where Microsoft's pages contradict each other, the matrix "Who can reset
// passwords" and the table "Who can perform sensitive actions" win over the
// action lists of single roles: Password Administrator may revoke sessions
// (matrix) though its list lacks the action; Security Operator and Directory
// Writers may not revoke, disable or rename (no column) though their lists have
// it. One role of the actor must suffice for all roles of the target: two halves
// do not add up, as reported from the field.
package role
