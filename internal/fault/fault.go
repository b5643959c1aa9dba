// Package fault says what went wrong in words that may be shown, and hides why.
//
// Every error that a verb returns to a surface is either a fault, with a kind
// and a sentence safe to show to the caller, or anything else, which the
// surfaces treat as internal: 500, a generic sentence, a loud line in the log.
// The cause of a fault stays in the process: it is for logs and for errors.As.
//
// Trust: the sentence is written by us and never formatted from an error. It may
// contain what the caller typed only where the surface escapes it.
package fault

import "errors"

// Kind is what a caller can do about a fault.
type Kind uint8

// The kinds. The zero Kind is internal.
const (
	Internal        Kind = iota // ours; not the caller's mistake
	Invalid                     // the request makes no sense; change it
	Unauthenticated             // who you are is not proven
	Denied                      // you may not; the sentence names what is missing
	NotFound                    // there is no such thing, or you may not know of it
	Conflict                    // it contradicts what is there
	Revoked                     // it was good once and is not any more
	Limited                     // too much or too often; try later
	Unavailable                 // we cannot right now; nothing was done
)

var names = [...]string{"internal", "invalid", "unauthenticated", "denied", "not_found", "conflict", "revoked", "limited", "unavailable"}

// String returns the kind's name as it stands in logs.
func (k Kind) String() string { return names[k] }

// Kinds lists every kind, for the tests that check that a surface maps them all.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, Unauthenticated, Denied, NotFound, Conflict, Revoked, Limited, Unavailable}
}

// Fault is an error with a kind and a public sentence.
type Fault struct {
	Kind   Kind
	Public string // a full sentence, safe to show
	cause  error
}

// New returns a fault without a cause.
func New(k Kind, public string) *Fault { return &Fault{Kind: k, Public: public} }

// Wrap returns a fault whose cause stays in the process.
func Wrap(k Kind, public string, cause error) *Fault {
	return &Fault{Kind: k, Public: public, cause: cause}
}

// Error is for logs: the public sentence and the hidden cause.
func (f *Fault) Error() string {
	if f.cause == nil {
		return f.Kind.String() + ": " + f.Public
	}
	return f.Kind.String() + ": " + f.Public + ": " + f.cause.Error()
}

// Unwrap returns the hidden cause.
func (f *Fault) Unwrap() error { return f.cause }

// KindOf returns the kind of the outermost fault in err, or Internal.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}

// Is reports whether err is a fault of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Public returns the sentence to show for err.
func Public(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return f.Public
	}
	return "Something went wrong on our side. Nothing is known to have been changed."
}

// Quote shortens what somebody typed, for a sentence. Surfaces escape it.
func Quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return "“" + s + "”"
}
