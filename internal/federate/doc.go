// Package federate lets people in through other identity providers, and lets those
// end again what came through them.
//
// It owns the registration of providers (with the secret sealed under the master
// key), the links between their subjects and users here, and the sign-in through
// one from its beginning to the session.
//
//	begin ──► ticket, born at the head ──► the provider ──► back, with the state
//	  ▲         (state, browser, provider,                       │ once, this browser,
//	  │          version of its registration)                    │ this provider, iss
//	  │                                                          ▼
//	  │                                              code ─► ID token, verified
//	  │                                                          │
//	  └── once more, with prompt=login ◄── cut since the ────────┤ linked to whom?
//	                                       last time             ▼
//	                                                  session, born when it began
//
// It promises: a person is found by issuer and subject only, never by an address. A
// sign-in that was begun before a cutoff ends in nothing (what was proven elsewhere
// cannot be looked at again, so the session takes the head of the beginning). The
// first sign-in through a link after a cutoff of its user, or of the directory,
// demands a proof newer than its own beginning: else the live session at the
// provider would undo the revoke unseen. A provider that was disabled, changed or
// deleted meanwhile lets nobody in.
//
// It leaves to others: what is on the wire (internal/upstream), sessions
// (internal/signin), cutting (internal/revoke and the store's row diff), pages and
// cookies (internal/web/federation).
//
// Trust: a provider can become whoever is linked to it, and with Create whoever
// bears a name in its domains; it can end their sessions. So links are made by
// whoever may take the account over anyhow, or by the person with two fresh proofs;
// and the issuer of a registration never changes. Whoever controls the database can
// plant a link, as they can plant a password.
package federate
