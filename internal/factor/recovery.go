package factor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// recoveryCodes is how many there are in a set.
const recoveryCodes = 10

// alphabet has no letters and digits that are taken for each other, and no vowels
// that make words.
const alphabet = "bcdfghjkmnpqrstvwxyz23456789"

// Codes are codeLetters long, written in groups: 57 bits, and hashed under a key that
// is not in the database.
const (
	codeLetters = 12
	codeGroup   = 4
)

// newCode returns a code as it is shown; plain brings it into the form that is kept.
func newCode() string {
	var b strings.Builder
	for i := 0; i < codeLetters; {
		var r [1]byte
		rand.Read(r[:])
		n := int(r[0])
		if n >= 256/len(alphabet)*len(alphabet) { // every letter as likely
			continue
		}
		if i > 0 && i%codeGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(alphabet[n%len(alphabet)])
		i++
	}
	return b.String()
}

// plain is a code as it was meant: in lower case, without what people put between.
func plain(typed string) string {
	if len(typed) > 100 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '.' || r == '\t' || r == '\u00a0' {
			return -1
		}
		return r
	}, strings.ToLower(typed))
}

// spare is what is stored of a set of recovery codes.
type spare struct {
	Left [][]byte `json:"left"` // MACs of the codes that were not used yet
}

func spareOf(m *directory.Method) spare { return read[spare](m) }

// take removes the code with this MAC from the set, if it is there. It looks at all
// of them, whichever it is.
func (c *spare) take(mac []byte) bool {
	at := -1
	for i, x := range c.Left {
		if subtle.ConstantTimeCompare(x, mac) == 1 {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	c.Left = slices.Delete(c.Left, at, at+1)
	return true
}

// MakeCodes makes ten recovery codes, which are shown once, in Done.Codes. Older ones
// are good no more: replacing them is removing them, with all that ends by that.
// Kinds: Unauthenticated, Revoked, Denied with *Prove, Limited, Unavailable.
func (s *Service) MakeCodes(ctx context.Context, signed *signin.Signed) (*Done, error) {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		codes[i] = newCode()
	}
	var added *directory.Method
	done, err := s.change(ctx, signed, time.Time{}, func(tx *store.Tx, now *signin.Signed, _ []*directory.Method, how store.UserChange) (*store.Cut, error) {
		_, cut, err := tx.RemoveMethods(now.User.ID, how, func(m *directory.Method) bool { return m.Kind == directory.MethodCodes })
		if err != nil {
			return nil, err
		}
		doc := spare{}
		for _, c := range codes {
			doc.Left = append(doc.Left, s.mac(now.User.ID, plain(c)))
		}
		added = &directory.Method{ID: directory.NewID[directory.Method](tx.Now), User: now.User.ID, Kind: directory.MethodCodes, Name: "Recovery codes", Created: tx.Now}
		fill(added, doc)
		line, err := s.add(tx, now, added, how)
		if cut == nil {
			cut = line
		}
		return cut, err
	})
	if err != nil {
		return nil, err
	}
	done.Method, done.Codes = view(added), codes
	s.tell(Notice{User: signed.User, What: Added, Method: words(added), IP: signed.Actor.IP, At: added.Created})
	return done, nil
}
