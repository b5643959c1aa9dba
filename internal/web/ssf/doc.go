// Package ssf is where other systems order what they know: that everything of a
// person must end.
//
// It owns the endpoint of Global Token Revocation
// (draft-parecki-oauth-global-token-revocation): who may ask is identified here, by
// an access token of ours or by the signed word of a linked identity provider; who
// may end whose is judged by package revoke.
//
//	204  it is done: durable here, on its way to every guard
//	400  the request cannot be read, or names its subject in no format taken here
//	401  who asks is not proven, or has asked with this token before
//	403  who asks may not
//	404  nobody here is meant; for an identity provider: nobody who is linked to it
//	422  it cannot be done as asked
//	429  too much at once
//
// Trust: an application with the permission for this may sign everybody out, over
// and over, and do nothing else. An identity provider may do so to the people who are
// linked to it. Both can ask who is here, at the price of ending what that person
// has, in the audit log.
package ssf
