package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// The parameters that every authenticator app knows (RFC 6238 §1.2): others are
// ignored by some of them, which then show wrong codes.
const (
	digits  = 6
	period  = 30 // seconds
	secrets = 20 // bytes of a secret (RFC 4226 §4 R6)
	window  = 1  // steps before and after now (RFC 6238 §5.2)
)

const sealing = "authenticator app"

// app is what is stored of an authenticator app.
type app struct {
	Secret []byte `json:"secret"` // sealed, for its owner
}

// hotp is the code of a step (RFC 4226 §5.3).
func hotp(secret []byte, step int64) string {
	h := hmac.New(sha1.New, secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(step))
	h.Write(b[:])
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", digits, n%1_000_000)
}

// stepAt is the number of the period that now lies in.
func stepAt(now time.Time) int64 { return now.Unix() / period }

// matches returns the step whose code this is, of those around now that come after
// last; zero: none. It does the same work whatever the code.
func matches(secret []byte, code string, now time.Time, last int64) (at int64) {
	for x := stepAt(now) - window; x <= stepAt(now)+window; x++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, x)), []byte(code)) == 1 && x > last && at == 0 {
			at = x
		}
	}
	return at
}

// NewApp is an authenticator app that is being registered.
type NewApp struct {
	Ticket string // for FinishTOTP
	Secret string // base32, to be typed where no picture can be taken
	URI    string // otpauth, for the picture
}

// BeginTOTP makes a secret for an authenticator app. It counts only when FinishTOTP
// has seen a code of it. Kinds: Unauthenticated, Revoked, Denied with *Prove,
// Conflict (too many), Unavailable.
func (s *Service) BeginTOTP(ctx context.Context, signed *signin.Signed) (*NewApp, error) {
	secret := make([]byte, secrets)
	rand.Read(secret)
	n := &NewApp{Secret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now, _, err := s.mayAdd(tx, signed, directory.MethodTOTP, maxTOTP)
		if err != nil {
			return err
		}
		sealed, err := s.Keys.Seal(sealing, now.User.ID.String(), secret)
		if err != nil {
			return err
		}
		issuer := s.name()
		n.URI = "otpauth://totp/" + url.PathEscape(strings.ReplaceAll(issuer, ":", " ")) + ":" + url.PathEscape(now.User.Name) +
			"?secret=" + n.Secret + "&issuer=" + url.QueryEscape(issuer) + fmt.Sprintf("&algorithm=SHA1&digits=%d&period=%d", digits, period)
		n.URI = strings.ReplaceAll(n.URI, "+", "%20")
		n.Ticket, err = begin(tx, enrolTOTP, now.User.ID, errand{Session: now.Session.ID, Sealed: sealed})
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// mayAdd judges whether the person may register one more method of a kind.
func (s *Service) mayAdd(tx *store.Tx, signed *signin.Signed, kind directory.MethodKind, most int) (*signin.Signed, []*directory.Method, error) {
	now, all, err := s.again(tx, signed)
	if err != nil {
		return nil, nil, err
	}
	tx.By(store.By{Actor: now.Actor})
	if err := s.mayChange(tx, now, all, tx.Now); err != nil {
		return nil, nil, err
	}
	return now, all, room(all, kind, most)
}

func room(all []*directory.Method, kind directory.MethodKind, most int) error {
	n := 0
	for _, m := range all {
		if m.Kind == kind {
			n++
		}
	}
	if n >= most {
		return fault.New(fault.Conflict, fmt.Sprintf("You have %d of these already. Remove one first.", n))
	}
	return nil
}

// FinishTOTP registers the authenticator app whose code this is. A wrong code may be
// tried again. Kinds: Unauthenticated (with ErrCode: the code is not right), Revoked
// with *standing.Dead (the ticket is not good), Denied with *Prove, Invalid (the
// name), Conflict, Limited, Unavailable.
func (s *Service) FinishTOTP(ctx context.Context, signed *signin.Signed, ticket, code, name string) (*Done, error) {
	name, err := cleanName(name, "Authenticator app")
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, signed, enrolTOTP, ticket, func(tx *store.Tx, now *signin.Signed, all []*directory.Method, e *errand) (*directory.Method, error) {
		if err := room(all, directory.MethodTOTP, maxTOTP); err != nil {
			return nil, err
		}
		secret, err := s.Keys.Unseal(sealing, now.User.ID.String(), e.Sealed)
		if err != nil {
			return nil, err
		}
		at := matches(secret, plain(code), tx.Now, 0)
		if at == 0 {
			return nil, wrongCode()
		}
		m := &directory.Method{Kind: directory.MethodTOTP, Name: name, Counter: at}
		fill(m, app{Secret: e.Sealed})
		return m, nil
	})
}

// finish ends the registration that a ticket stands for: build returns the method.
func (s *Service) finish(ctx context.Context, signed *signin.Signed, kind, ticket string, build func(*store.Tx, *signin.Signed, []*directory.Method, *errand) (*directory.Method, error)) (*Done, error) {
	began, err := s.began(ctx, signed, kind, ticket)
	if err != nil {
		return nil, err
	}
	var added *directory.Method
	done, err := s.change(ctx, signed, began, func(tx *store.Tx, now *signin.Signed, all []*directory.Method, how store.UserChange) (*store.Cut, error) {
		t, e, err := find(tx, kind, ticket, now.Session.ID, "")
		if err != nil {
			return nil, err
		}
		if added, err = build(tx, now, all, e); err != nil {
			return nil, err
		}
		if err := spend(tx, t); err != nil {
			return nil, err
		}
		added.ID, added.User, added.Created = directory.NewID[directory.Method](tx.Now), now.User.ID, tx.Now
		return s.add(tx, now, added, how)
	})
	if err != nil {
		return nil, err
	}
	done.Method = view(added)
	s.tell(Notice{User: signed.User, What: Added, Method: words(added), IP: signed.Actor.IP, At: added.Created})
	return done, nil
}

// began is when the ticket was handed out, as of which its session has to have been
// proven: a page may lie open for as long as the ticket lives.
func (s *Service) began(ctx context.Context, signed *signin.Signed, kind, ticket string) (at time.Time, err error) {
	err = s.DB.Read(ctx, func(tx *store.Tx) error {
		now, err := s.SignIn.Again(tx, signed)
		if err != nil {
			return err
		}
		t, _, err := find(tx, kind, ticket, now.Session.ID, "")
		if err == nil {
			at = t.Expires.Add(-life)
		}
		return err
	})
	return at, err
}

func wrongCode() error {
	return fault.Wrap(fault.Unauthenticated, "The code is not right, or it was used already.", ErrCode)
}
