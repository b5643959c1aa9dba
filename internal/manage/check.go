package manage

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

// defaultPolicy is that of a service without CheckPassword.
func defaultPolicy(password string) error {
	if n := utf8.RuneCountInString(password); n < 8 || len(password) > 256 {
		return invalid("A password has at least 8 characters and at most 256 bytes.")
	}
	return nil
}

func (s *Service) checkPassword(u *directory.User, password string) error {
	if s.CheckPassword != nil {
		return s.CheckPassword(u, password)
	}
	return defaultPolicy(password)
}

// pick returns n characters of the alphabet (at most 256), each as likely as
// any other.
func pick(alphabet string, n int) string {
	out := make([]byte, 0, n)
	fair := 256 - 256%len(alphabet)
	for buf := make([]byte, 64); len(out) < n; {
		rand.Read(buf) // never fails (crypto/rand)
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// readable leaves out what looks alike: i l o 0 1.
const readable = "abcdefghjkmnpqrstuvwxyz23456789"

// generatePassword makes one to read out on the telephone: 79 bits.
func generatePassword() string {
	s := pick(readable, 16)
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// The identifiers of Microsoft Graph, which nobody registers: tools ask for
// tokens under them, and get tokens for our own API.
const (
	graphURL = "https://graph.microsoft.com"
	graphID  = "00000003-0000-0000-c000-000000000000"
)

func (s *Service) reserved(id string) error {
	low := strings.ToLower(strings.TrimRight(id, "/"))
	u, err := url.Parse(low)
	// An application of the name of our own pages would be what policies mean by it.
	own := []string{string(directory.OwnAPI), string(directory.OwnPortal), string(directory.OwnAccount)}
	taken := slices.Contains(own, low) || strings.HasPrefix(low, graphURL) || low == graphID || err == nil && u.Hostname() == "graph.microsoft.com"
	for _, r := range s.Reserved {
		r = strings.ToLower(strings.TrimRight(r, "/"))
		taken = taken || r != "" && (low == r || strings.HasPrefix(low, r+"/"))
	}
	if taken {
		return invalid("The identifier " + fault.Quote(id) + " is reserved.")
	}
	return nil
}

// resourceID checks the identifier of a resource: an absolute URI without
// fragment, or a GUID.
func (s *Service) resourceID(id directory.ResourceID) error {
	if !directory.ValidAppID(string(id)) {
		return invalid("The identifier of a resource is 1 to 255 printable ASCII characters without spaces.")
	}
	if _, err := directory.ParseID[directory.Resource](string(id)); err != nil {
		u, err := url.Parse(string(id))
		if err != nil || u.Scheme == "" || u.User != nil || strings.ContainsAny(string(id), "#*\\\"<>") || u.Host == "" && u.Opaque == "" {
			return invalid("The identifier of a resource is an absolute URI without fragment, such as api://mail, or a GUID.")
		}
	}
	return s.reserved(string(id))
}
