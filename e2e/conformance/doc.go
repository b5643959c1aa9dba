// Package conformance has one test for each module of the OpenID Foundation's
// conformance suite that concerns an OpenID provider which signs people in with
// codes and signs them out: the plans
//
//	oidcc-config-certification-test-plan
//	oidcc-basic-certification-test-plan
//	oidcc-rp-initiated-logout-certification-test-plan
//	oidcc-backchannel-rp-initiated-logout-certification-test-plan
//
// under the suite's module names. The lists are those of the suite's repository
// (openid-certification/conformance-suite) as of release 5.1.3x: the basic plan
// as of commit 47cb9f88, 38 modules, RP-initiated logout and back-channel logout as
// of 25b6a0c5, 11 and 2, config as of 3f9fa830, 1. What a module asserts is written
// here anew, from its summary and from the paragraphs it cites.
//
// It owns the suite's side of the conversation: a relying party that believes
// nothing, and a browser without scripts that goes by the commands printed in
// docs/conformance.md, whose registration it applies too. It promises that what is
// printed there works.
//
// It leaves to the rooms what only they promise, to e2e/clients other people's
// libraries, and to the suite itself the certificate.
//
// Trust: it believes the server under test nothing but its address.
package conformance
