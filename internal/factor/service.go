package factor

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/revoke"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// Service is the verb. DB, Keys, SignIn, Revoke and Base are needed.
type Service struct {
	DB     *store.DB
	Keys   *keys.Service
	SignIn *signin.Service
	Revoke *revoke.Service
	Base   string // public URL without a trailing slash: the origin of passkeys
	// Name is what authenticator apps and passkeys call this directory; nil or
	// empty: the host of Base.
	Name func() string
	// Remember is for how long a browser may be spared the second factor; zero: never.
	Remember time.Duration
	// Judge asks conditional access whether somebody may register or remove a method
	// in this session, in the transaction in which it is done; nil: nobody is asked.
	Judge func(tx *store.Tx, signed *signin.Signed) error
	// Tell is given what a person should hear of. It must not wait. Nil: nobody does.
	Tell func(Notice)
	Log  *slog.Logger // nil discards
}

// Receipt is the store's, for surfaces.
type Receipt = store.Receipt

// Sentinels behind faults, for surfaces that put the sentence beside a field.
var (
	ErrCode    = errors.New("not a code, recovery code or pass of this person that is still good")
	ErrPasskey = errors.New("not a passkey that is registered here")
)

// Prove is the error behind a fault of kind Denied: the person has to prove again
// who they are before this. Second: with one of their methods.
type Prove struct{ Second bool }

// Error says what is missing, for logs.
func (p *Prove) Error() string {
	if p.Second {
		return "no second factor was given within ten minutes"
	}
	return "nobody has signed in within ten minutes"
}

// fresh is how recently somebody must have proven who they are to change methods.
const fresh = 10 * time.Minute

// Bounds of what one person has.
const (
	maxTOTP     = 5
	maxPasskeys = 20
	maxName     = 64 // characters
)

// Method is a method as it is shown. No secret is in it.
type Method struct {
	ID      directory.MethodID
	Kind    directory.MethodKind
	Name    string
	Created time.Time
	Used    time.Time // zero: never
	Expires time.Time // zero: never
	Left    int       // recovery codes not used yet
	Once    bool      // a pass that is good once
	AAGUID  string    // the model of a passkey, as it says; empty: it does not
	Synced  bool      // a passkey that its owner's other devices may have too
}

// Notice is something that a person should hear of, by mail.
type Notice struct {
	User   *directory.User
	What   Happening
	Method string // its kind in words, and its name
	Left   int    // recovery codes not used yet
	IP     string
	At     time.Time
}

// Happening is what a notice is about.
type Happening string

// The happenings.
const (
	Added     Happening = "added"
	Removed   Happening = "removed"
	Reset     Happening = "reset" // by an administrator
	CodeSpent Happening = "recovery code used"
	Cloned    Happening = "passkey copied" // its counter went back
)

var kindWords = map[directory.MethodKind]string{
	directory.MethodTOTP: "authenticator app", directory.MethodPasskey: "passkey",
	directory.MethodCodes: "recovery codes", directory.MethodPass: "temporary access pass",
}

// words name a method in the audit log and in notices.
func words(m *directory.Method) string {
	w := kindWords[m.Kind]
	if m.Name != "" && !strings.EqualFold(m.Name, w) {
		w += " “" + m.Name + "”"
	}
	return w
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func (s *Service) tell(n Notice) {
	if s.Tell != nil {
		s.Tell(n)
	}
}

func (s *Service) name() string {
	if s.Name != nil {
		if n := s.Name(); n != "" {
			return n
		}
	}
	return s.host()
}

// view is a method as it is shown.
func view(m *directory.Method) Method {
	v := Method{ID: m.ID, Kind: m.Kind, Name: m.Name, Created: m.Created, Used: m.Used, Expires: m.Expires}
	switch m.Kind {
	case directory.MethodCodes:
		v.Left = len(spareOf(m).Left)
	case directory.MethodPass:
		v.Once = passOf(m).Once
	case directory.MethodPasskey:
		k := keyOf(m)
		v.AAGUID, v.Synced = k.model(), k.Synced
	}
	return v
}

func views(all []*directory.Method, now time.Time) (out []Method) {
	for _, m := range all {
		if m.Live(now) {
			out = append(out, view(m))
		}
	}
	return out
}

// cleanName is a name as somebody typed it, or otherwise.
func cleanName(typed, otherwise string) (string, error) {
	n := strings.TrimSpace(typed)
	switch {
	case n == "":
		return otherwise, nil
	case utf8.RuneCountInString(n) > maxName || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl):
		return "", fault.New(fault.Invalid, fmt.Sprintf("A name has at most %d characters, on one line.", maxName))
	}
	return n, nil
}

// mac is how codes and passes are stored: under a key of the master key, and of
// whose they are.
func (s *Service) mac(user directory.UserID, code string) []byte {
	h := hmac.New(sha256.New, s.Keys.Derive("recovery codes and passes"))
	h.Write(user[:])
	h.Write([]byte(code))
	return h.Sum(nil)
}

// mayChange judges whether the person behind a session may register or remove
// methods: proven within ten minutes before began, with a method if they have one.
func (s *Service) mayChange(tx *store.Tx, now *signin.Signed, all []*directory.Method, began time.Time) error {
	x := now.Session
	if needsSecond(all, tx.Now) {
		if x.SecondTime.IsZero() || began.Sub(x.SecondTime) > fresh {
			return fault.Wrap(fault.Denied, "Prove who you are with one of your methods first.", &Prove{Second: true})
		}
	} else if x.AuthTime.IsZero() || began.Sub(x.AuthTime) > fresh {
		return fault.Wrap(fault.Denied, "Sign in again first.", &Prove{})
	}
	if s.Judge != nil {
		return s.Judge(tx, now)
	}
	return nil
}

// needsSecond reports whether somebody has something to prove themselves with.
func needsSecond(all []*directory.Method, now time.Time) bool {
	return slices.ContainsFunc(all, func(m *directory.Method) bool { return m.Live(now) && !empty(m) })
}

// empty reports whether a method is a set of recovery codes of which none is left.
func empty(m *directory.Method) bool {
	return m.Kind == directory.MethodCodes && len(spareOf(m).Left) == 0
}

// Sheet is what a person has, and may do now.
type Sheet struct {
	Methods []Method
	// Change is nil when methods may be added and removed now, else why not: a fault,
	// with *Prove behind it when proving again helps.
	Change error
}

// Own lists the methods of the person who is signed in. Kinds: Unauthenticated,
// Revoked, Unavailable.
func (s *Service) Own(ctx context.Context, signed *signin.Signed) (sheet *Sheet, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		now, all, err := s.again(tx, signed)
		if err == nil {
			sheet = &Sheet{Methods: views(all, tx.Now), Change: s.mayChange(tx, now, all, tx.Now)}
		}
		return err
	})
	return sheet, err
}

// Ways are the means by which somebody can give a second factor.
type Ways struct {
	Code, Passkey, Recovery, Pass bool
	// Remember is for how long a browser may be spared; zero: it may not.
	Remember time.Duration
}

// Any reports whether there is one.
func (w Ways) Any() bool { return w.Code || w.Passkey || w.Recovery || w.Pass }

// Ways says what the person who is signed in can be asked for. Kinds:
// Unauthenticated, Revoked, Unavailable.
func (s *Service) Ways(ctx context.Context, signed *signin.Signed) (w Ways, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		_, all, err := s.again(tx, signed)
		has := func(k directory.MethodKind) bool {
			return slices.ContainsFunc(all, func(m *directory.Method) bool { return m.Kind == k && m.Live(tx.Now) && !empty(m) })
		}
		w = Ways{Code: has(directory.MethodTOTP), Passkey: has(directory.MethodPasskey), Recovery: has(directory.MethodCodes), Pass: has(directory.MethodPass), Remember: s.Remember}
		return err
	})
	return w, err
}

// Registered are the methods that a person could give, as policies name them.
func Registered(tx *store.Tx, user directory.UserID) (policy.Methods, error) {
	all, err := tx.Methods(user)
	if err != nil {
		return 0, err
	}
	m := policy.Password.Set()
	for _, x := range all {
		switch {
		case !x.Live(tx.Now) || empty(x):
		case x.Kind == directory.MethodTOTP:
			m |= policy.SoftwareOTP.Set()
		case x.Kind == directory.MethodPasskey:
			m |= policy.Passkey.Set()
		case x.Kind == directory.MethodCodes:
			m |= policy.RecoveryCode.Set()
		case x.Kind == directory.MethodPass && passOf(x).Once:
			m |= policy.PassOnce.Set()
		case x.Kind == directory.MethodPass:
			m |= policy.PassMulti.Set()
		}
	}
	return m, nil
}

// again reads who is signed in, and their methods, in this transaction.
func (s *Service) again(tx *store.Tx, signed *signin.Signed) (*signin.Signed, []*directory.Method, error) {
	now, err := s.SignIn.Again(tx, signed)
	if err != nil {
		return nil, nil, err
	}
	all, err := tx.Methods(now.User.ID)
	return now, all, err
}

// Done is a change of one's own methods.
type Done struct {
	Method Method // what was added or removed
	// Codes are new recovery codes, shown once; nil otherwise.
	Codes []string
	// Cookie is the new value of this browser's session cookie; empty: it stays.
	Cookie string
	// Over: the session in which it was done has ended with it.
	Over    bool
	Receipt *Receipt // of what ended; nil: nothing did
}

// change runs f on behalf of the person who is signed in, who may change methods as
// of began; zero: now. f returns the line of what ends, if anything does.
func (s *Service) change(ctx context.Context, signed *signin.Signed, began time.Time, f func(tx *store.Tx, now *signin.Signed, all []*directory.Method, how store.UserChange) (*store.Cut, error)) (*Done, error) {
	if signed == nil || signed.Session == nil {
		return nil, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	var cut *store.Cut
	cookie, hash := signin.NewSecret()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		tx.By(store.By{Actor: signed.Actor})
		if err := revoke.PaceMethods(tx, signed.User.ID); err != nil {
			return err
		}
		now, all, err := s.again(tx, signed)
		if err != nil {
			return err
		}
		at := began
		if at.IsZero() {
			at = tx.Now
		}
		if err := s.mayChange(tx, now, all, at); err != nil {
			return err
		}
		cut, err = f(tx, now, all, store.UserChange{Own: true, Keep: now.Session.ID, Cookie: hash})
		return err
	})
	if err != nil {
		return nil, err
	}
	done := &Done{}
	if cut == nil || len(cut.Cuts) == 0 {
		return done, nil
	}
	done.Receipt = s.Revoke.Counted(ctx, cut, "")
	if done.Over = !cut.Kept; !done.Over {
		done.Cookie = cookie
		signed.Session.Born, signed.Session.Cookie, signed.Actor.Born = cut.Pos, hash, cut.Pos
	}
	return done, nil
}

// add stores a method that the person has registered.
func (s *Service) add(tx *store.Tx, now *signin.Signed, m *directory.Method, how store.UserChange) (*store.Cut, error) {
	cut, err := tx.AddMethod(m, how)
	if err != nil {
		return nil, err
	}
	tx.Audit(audit.Record{Action: "User registered security info", Target: store.UserParty(now.User), Changes: []audit.Change{{Property: "AuthenticationMethod", New: words(m)}}})
	return cut, nil
}

// Remove takes one of one's own methods away. Every other session of the person
// ends, and every grant but those of this session. Kinds: Unauthenticated, Revoked,
// Denied with *Prove, NotFound, Limited, Unavailable.
func (s *Service) Remove(ctx context.Context, signed *signin.Signed, id directory.MethodID) (*Done, error) {
	var gone *directory.Method
	var at time.Time
	done, err := s.change(ctx, signed, time.Time{}, func(tx *store.Tx, now *signin.Signed, _ []*directory.Method, how store.UserChange) (*store.Cut, error) {
		removed, cut, err := tx.RemoveMethods(now.User.ID, how, func(m *directory.Method) bool { return m.ID == id && m.Kind != directory.MethodPass })
		if err != nil {
			return nil, err
		}
		if len(removed) == 0 {
			return nil, errNoMethod
		}
		gone, at = removed[0], tx.Now
		tx.Audit(audit.Record{Action: "User deleted security info", Target: store.UserParty(now.User), Changes: []audit.Change{{Property: "AuthenticationMethod", Old: words(gone)}}})
		return cut, nil
	})
	if err != nil {
		return nil, err
	}
	done.Method = view(gone)
	s.tell(Notice{User: signed.User, What: Removed, Method: words(gone), IP: signed.Actor.IP, At: at})
	return done, nil
}

// Rename gives one of one's own methods another name. Kinds: Unauthenticated,
// Revoked, Denied with *Prove, Invalid, NotFound, Limited, Unavailable.
func (s *Service) Rename(ctx context.Context, signed *signin.Signed, id directory.MethodID, name string) error {
	name, err := cleanName(name, "")
	if err == nil && name == "" {
		err = fault.New(fault.Invalid, "Give it a name.")
	}
	if err != nil {
		return err
	}
	_, err = s.change(ctx, signed, time.Time{}, func(tx *store.Tx, _ *signin.Signed, all []*directory.Method, _ store.UserChange) (*store.Cut, error) {
		i := slices.IndexFunc(all, func(m *directory.Method) bool { return m.ID == id && m.Kind != directory.MethodPass })
		if i < 0 {
			return nil, errNoMethod
		}
		all[i].Name = name
		return nil, tx.UseMethod(all[i])
	})
	return err
}

var errNoMethod = fault.New(fault.NotFound, "There is no such method.")

// fill puts a document into a method. Documents are ours and always marshal.
func fill(m *directory.Method, doc any) {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	m.Doc = string(b)
}

// read is what fill wrote; what cannot be read is the zero document, which proves
// nothing.
func read[T any](m *directory.Method) (doc T) {
	if json.Unmarshal([]byte(m.Doc), &doc) != nil {
		var none T
		return none
	}
	return doc
}
