package signin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// MinPassword is the least length of a new password, in characters. A password
// is the only factor here yet, so NIST SP 800-63B's 8 are too few.
const MinPassword = 12

// maxPassword bounds a password, in bytes.
const maxPassword = 256

// leastPoints is what a new password must score: what is guessed first counts
// one each, every other character one, repeats none.
const leastPoints = 6

// guessed are what passwords are made of that are guessed first, in lower case
// with look-alikes undone, longer before shorter where one holds the other.
var guessed = func() []string {
	w := strings.Fields(`password passwort passwd passphrase letmein welcome willkommen bienvenue qwertyuiop qwertzuiop qwerty qwertz azerty
		asdfghjkl asdfgh yxcvbnm zxcvbnm 1q2w3e4r5t 1qaz2wsx q1w2e3r4 abcdefghijklmnop abcdefgh abcdef abcd admin administrator login changeme
		secret default master monkey dragon football baseball iloveyou sunshine princess superman batman trustno starwars shadow michael
		charlie jordan liverpool chelsea arsenal summer winter spring autumn january february march april june july august september
		october november december monday tuesday wednesday thursday friday saturday sunday company office curfew microsoft google
		correcthorsebatterystaple 12345678901234567890 1234567890 123456789 12345678 1234567 123456 12345 1234 0987654321 987654321
		87654321 654321 54321 4321 112233 121212 123123 123321 696969 2023 2024 2025 2026 2027`)
	for i, x := range w {
		w[i] = plain(x)
	}
	slices.SortStableFunc(w, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return slices.Compact(w)
}()

var lookAlikes = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "l", "!", "l", "i", "l", "|", "l", "0", "o", "$", "s", "5", "s", "7", "t", "+", "t")

// plain is the form in which passwords are compared with what is guessed first.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '_' || r == '.' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	return lookAlikes.Replace(s)
}

// CheckNew judges a password that user is about to get (NIST SP 800-63B §3.1.1:
// length and a list of what is guessed first; no rules about kinds of
// characters). A nil user has no name to compare with. Kind Invalid, with ErrNew.
func (s *Service) CheckNew(user *directory.User, password string) error {
	switch n := utf8.RuneCountInString(norm.NFC.String(password)); {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return unfit("The password holds a character that cannot be typed everywhere")
	case n < MinPassword:
		return unfit(fmt.Sprintf("The password is too short: at least %d characters", MinPassword))
	case len(password) > maxPassword:
		return unfit(fmt.Sprintf("The password is too long: at most %d bytes", maxPassword))
	case points(user, password) < leastPoints:
		return unfit("The password is easy to guess: it is mostly a name, a common word, a row of keys or a repetition")
	}
	return nil
}

func unfit(public string) error { return fault.Wrap(fault.Invalid, public, ErrNew) }

func points(user *directory.User, password string) int {
	p, score := plain(password), 0
	for _, w := range slices.Concat(own(user), guessed) {
		if n := strings.Count(p, w); n > 0 {
			score += n
			p = strings.ReplaceAll(p, w, "")
		}
	}
	seen := map[rune]bool{}
	for _, r := range p {
		seen[r] = true
	}
	return score + len(seen)
}

// own are the words of the user's own names.
func own(u *directory.User) (words []string) {
	if u == nil {
		return nil
	}
	local, domain, _ := strings.Cut(u.Name, "@")
	for _, s := range []string{local, domain, u.DisplayName, u.GivenName, u.Surname, u.Nickname} {
		for _, w := range append(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }), s) {
			if w = plain(w); utf8.RuneCountInString(w) >= 3 {
				words = append(words, w)
			}
		}
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return slices.Compact(words)
}
