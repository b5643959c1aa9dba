package wire

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Patient cancels a call whose body stops coming.
type Patient struct {
	io.Reader
	Timer *time.Timer
	Limit time.Duration
}

func (p Patient) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.Timer.Reset(p.Limit)
	}
	return n, err
}

// CheckURL allows https, and http where nobody is in between. The URL is put
// into challenges, so it may not break their quoting.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("not a URL")
	}
	if strings.ContainsAny(s, "\",\\ ") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("not a plain absolute URL")
	}
	switch h := u.Hostname(); {
	case u.Scheme == "https":
	case u.Scheme == "http" && (h == "localhost" || h == "::1" || strings.HasPrefix(h, "127.") || strings.HasSuffix(h, ".localhost")):
	default:
		return errors.New("must be https, or http on loopback")
	}
	return nil
}

// MediaType returns the type without its parameters.
func MediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}
