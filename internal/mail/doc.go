// Package mail writes to people: the link of a password reset, and what they should
// hear of that was done with their account.
//
// It owns the letters' texts, the queue in which they wait, and the way to the
// operator's own mail server (SMTP).
//
//	Post(job) ──► queue, bounded ──► one worker: the job writes a letter ──► server
//	   └── full: dropped, counted, told in the log          └── fails: twice more, then dropped
//
// It promises: Post never waits, so that nobody's sign-in is slower for it, and an
// answer tells nothing of whether somebody is there; nothing that a stranger typed
// becomes part of a letter's head or address; the password of the mail server and the
// links are in no log.
//
// It leaves to others: what happened (the verbs), who may be written to (they name
// the address that the directory has). What waits is lost when the server stops: a
// letter is news, never the thing itself.
//
// Trust: the mail server reads every letter, and so can sign in as whoever may reset
// a password by mail; people who hold a role may not. Without TLS so can the network,
// so that it is demanded but on loopback.
package mail
