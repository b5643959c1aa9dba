// Package curfew is the house: it holds no code, only this plan of the rooms and
// the tests that keep it true (arch_test.go, walks_test.go).
//
// curfew is a self-hosted identity provider whose promise is that taking access
// away works. The kernel is small. Every artefact (session, code, grant, access
// token) is born at a position of the ledger; a cutoff says that everything of a
// user, session, grant, application, device or the whole directory born before
// position N is dead. Revoking appends one line. Guards in front of applications
// follow the ledger over the feed and refuse what is dead.
//
// Imports go down only. On the same floor only the ones listed below.
//
//	floor 0  cutoff                      PUBLIC what is dead from when; the set; the wire line
//	         internal/fault              error kinds: public sentence, hidden cause
//	         internal/config             the one configuration struct
//	         internal/egress             requests to other people's servers, guarded
//	floor 1  internal/directory          users, groups, applications, actors
//	 rules   internal/role               who may do what to whom
//	         internal/policy             conditional access to a verdict
//	         internal/policy/wire        policies as Graph writes them
//	         internal/grant              session, grant, rotation, reuse
//	         internal/standing           is this still good? what ends what
//	         internal/audit              record types
//	         internal/secevent           security event tokens
//	         internal/risk               what is suspicious in a sign-in, and what it weighs
//	         internal/proof              what others sign: assertions, DPoP proofs, their ID and logout tokens
//	         internal/issue/claims       what tokens say
//	         internal/manage/manifest    files of many changes: manifests, sheets of users
//	floor 1  guard                       PUBLIC resource-server SDK: verify, follow the feed, refuse
//	         guard/internal/jose         what tokens are made of, read with the standard library alone
//	         guard/internal/dpop         proofs that a client holds a key, and which were used
//	         guard/internal/wire         answers of the feed, read
//	         guard/internal/again        a token judged again: the question and the answer
//	         guard/internal/where        where a request comes from
//	far side guard/guardtest             PUBLIC an issuer and a feed for other people's tests
//	         internal/client             HTTP client of our admin API, the CLI's hands
//	         internal/term               tables, colours and times for people at a terminal
//	floor 2  internal/store              the tables, ledger, bell, migrations; all SQL lives under it
//	         internal/store/engine       SQLite and PostgreSQL: pools, transactions, shared commits, the migrator
//	         internal/store/journal      the sign-in log, apart from everything else
//	         internal/store/storetest    what both engines must pass; throwaway PostgreSQL
//	         internal/upstream           other identity providers: discovery, code exchange
//	         internal/mail               letters to people: texts, a queue, the operator's mail server
//	         internal/geo                where an address is, by the operator's MaxMind file
//	         internal/store/devices      rows of devices, and what follows from their changes
//	         internal/store/risks        what was found about sign-ins and accounts, and what it comes to
//	         internal/store/internal/raw the key to a transaction's statements, for rooms below the store
//	floor 3  internal/keys               create, rotate, publish, sign
//	         internal/clientauth         prove who a client is
//	 verbs   internal/revoke             cut
//	         internal/access             ask the policies, in the transaction that counts
//	         internal/signin             prove who it is; sessions
//	         internal/issue              grant to tokens; introspection
//	         internal/recheck            an access token judged again, for a guard
//	         internal/manage             read and change the directory
//	         internal/review             read the log of sign-ins
//	         internal/rotate             an administrator's hand on the signing keys
//	         internal/relay              ledger to readers; receipts
//	         internal/factor             second factors: authenticator apps, passkeys, codes, passes
//	         internal/federate           sign-in through other identity providers; links
//	         internal/deliver            ledger to other people's servers: back-channel logout, dead letters
//	         internal/deed               one act on somebody's behalf: actor, dry run, refusal, receipt
//	         internal/device             browsers known again: registered, proven, lost
//	         internal/watch              looks at sign-ins and refreshes by the rules of risk; confirm, dismiss
//	         internal/govern             conditional access: who may change it, what would come of it
//	floor 4  internal/web/webkit         what all surfaces share: pages' frame, cookies, limits
//	         internal/web/webkit/webkittest what a page must be, and a browser to see it; for tests
//	         internal/web/oidc           OAuth and OpenID Connect
//	         internal/web/pages          sign-in, consent, sign-out
//	         internal/web/account        one's own account, on the same pages
//	         internal/web/federation     the way to other identity providers and back
//	         internal/web/device         where browsers are registered, and known again
//	         internal/web/graph          Graph-compatible API, under Microsoft's names
//	         internal/web/graph/registration  applications, under Microsoft's names
//	         internal/web/graph/devices  devices, under Microsoft's names
//	         internal/web/graph/risk     accounts at risk and what was found, under Microsoft's names
//	         internal/web/graph/access   conditional access, under Microsoft's names
//	         internal/web/graph/methods  how people prove who they are, under Microsoft's names
//	         internal/web/graph/signins  the log of sign-ins, and all of it as a stream
//	         internal/web/graph/own      our own API beside it
//	         internal/web/graph/api      what both share: who calls, answers, faults
//	         internal/web/graph/odata    the query language of lists, and bodies
//	         internal/web/scim           SCIM 2.0
//	         internal/web/ssf            shared signals
//	         internal/web/feed           the feed of the guards
//	         internal/web/portal         the administrator's pages
//	         internal/web/portal/desk    what its rooms share: who asks, frame, notice, the generic pages
//	         internal/web/portal/policies policies, locations, spared accounts, what if
//	         internal/web/portal/signins the log of sign-ins
//	         internal/web/portal/person  what hangs on one person: methods, devices
//	         internal/web/portal/risk    accounts at risk, and what is looked for
//	         internal/web/portal/deliveries what other people's servers could not be told
//	         internal/web/portal/portaltest a house to see the pages in; for tests
//	         internal/web/portal/figure  the geometry of their drawings
//	         internal/web/portal/receipt what a receipt says: states, what is left, who confirmed
//	         internal/web/portal/registry applications and resources in words, and their forms
//	         internal/gateway            the guard as a reverse proxy
//	floor 5  internal/server             assembly: the only package that knows every room
//	floor 6  cmd/curfew                  one file per command; reaches the rooms through server
//	         internal/demo               curfew with people and applications, to be seen working
//	         e2e                         tests of the whole from outside
//	         e2e/conformance             one test for each module of the OpenID suites
//	         e2e/lifecycle               one test for each cell of what ends what
//
// Sideways allowed: signin, issue, manage, rotate to revoke; issue, rotate, relay,
// deliver to keys; issue to clientauth; device to revoke, manage; watch to manage; risk to policy; signin, issue to access; federate, factor to keys, revoke,
// signin, manage; govern to access, manage; web/* to webkit; role, policy, grant, audit to
// directory; grant to policy; claims to grant; policy/wire to policy, directory; standing to directory, policy,
// grant; config, egress to fault; graph, registration, access, risk, methods, signins and own to api; they and api to odata;
// account to pages; portal and its rooms to desk, figure, receipt, registry; desk to receipt, registry; portal/registry to figure; portal/receipt to figure;
// cmd/curfew to demo; recheck to issue, access; guard to the rooms inside it, and
// dpop to jose;
// guardtest to guard; store and journal to engine; devices, risks to store; they to raw; storetest to store.
//
// A surface (web/*) reaches verbs, floor 1 and floor 0, never the store: what it
// wants to know or change it asks a verb, which authorises. The verb authorises,
// the surface identifies. The rules wing reads no clock, starts no goroutine and
// knows neither network nor database. docs/walks.md follows the two journeys
// that matter through the rooms.
//
// A new room needs a page in docs/decisions.
package curfew
