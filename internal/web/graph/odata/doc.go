// Package odata reads the query options of a request ($filter, $search, $select,
// $orderby, $top, $count, $skiptoken), once, into the plain data of package
// directory, which the store translates into SQL.
//
// Where Graph is an eventual index, this is a transaction: filters that Graph
// answers only with ConsistencyLevel: eventual and $count=true are answered
// without them. What is not supported is refused, never ignored: a filter that is
// dropped would list everybody.
//
// It leaves to package graph which address takes which options, and to the verbs
// who may ask.
//
// Trust: everything in a request is the caller's. Limits on length, nesting and
// number of terms are checked before anything is built from it. What the caller
// typed comes back in sentences only where it looks like the name of a property.
package odata
