// Package factor proves people by more than a password: codes of authenticator
// apps, passkeys, recovery codes and temporary access passes.
//
// It owns the methods of people: registering and removing one's own, what
// administrators may do with other people's, and the proof at sign-in.
//
//	a session with a password proven
//	   │ VerifyCode(code | recovery code | pass)      ┐
//	   │ BeginAssertion ─► VerifyPasskey              ├─► second factor given: the same
//	   │ VerifyRemembered                             ┘   session under a new cookie value
//	nobody
//	   │ BeginPasskeySignIn ─► PasskeySignIn          ┐
//	   │ PassSignIn(name, pass)                       ┘─► a session, both factors given
//	a session, proven within the last ten minutes
//	   │ BeginTOTP ─► FinishTOTP, BeginPasskey ─► FinishPasskey, MakeCodes, Remove
//	an administrator
//	     Methods, RemoveOf, Reset, IssuePass
//
// These names are what surfaces build on, with Own (a person's methods, and whether
// they may be changed now), Ways (what can be asked for) and the errors ErrCode,
// ErrPasskey and *Prove.
//
// It promises: what begins in one request and ends in another is a ticket, born at
// the head before its facts, of one session or browser, good once and for ten
// minutes; a code is good once; a proof gives the session another cookie value, so
// that a copy made before is not raised with it. Whoever has a method needs it to
// add or remove one. What a change of methods ends is the store's row diff. A wrong
// code and an unknown one get one answer, and tries are counted before any work.
//
// It leaves to others: who must give a second factor (internal/policy), cookies and
// pages (surfaces), limits of tries and sessions (internal/signin), mail (Tell).
//
// Trust: secrets of authenticator apps are sealed, recovery codes and passes hashed
// under the master key: a stolen database holds none of them. Whoever can write to
// it can plant a passkey, and be anybody. Passkeys are taken without attestation: a
// program may hold the key. That it has verified its owner is its own word.
package factor
