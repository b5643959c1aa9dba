package oidc

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/fault"
)

const (
	maxBody   = 64 << 10
	maxParams = 100
)

type param struct{ name, value string }

// form is the parameters of a request's body. A slice: there are ten of them, and
// a map would cost more than all the comparisons.
type form []param

// get returns a parameter. One without a value counts as left out (RFC 6749 §3.2).
func (f form) get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].value
		}
	}
	return ""
}

// all returns every value of a parameter that may repeat.
func (f form) all(name string) (out []string) {
	for i := range f {
		if f[i].name == name && f[i].value != "" {
			out = append(out, f[i].value)
		}
	}
	return out
}

// need returns a parameter that must be there.
func (f form) need(name string) (string, error) {
	if v := f.get(name); v != "" {
		return v, nil
	}
	return "", &problem{kind: fault.Invalid, code: "invalid_request", number: 900144, text: "The request body must contain the parameter " + name + "."}
}

func malformed(text string) error {
	return &problem{kind: fault.Invalid, code: "invalid_request", number: 9002313, text: text}
}

const formType = "application/x-www-form-urlencoded"

// readForm reads a body: urlencoded, bounded, text, each parameter once but for
// resource (RFC 8707 §2) and audience (RFC 8693 §2.1).
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if t := r.Header.Get("Content-Type"); t != formType {
		kind, _, err := mime.ParseMediaType(t)
		if err != nil || kind != formType {
			return nil, malformed("The body must be application/x-www-form-urlencoded.")
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, malformed("The body must not be compressed.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, malformed("The body is larger than 64 KiB.")
		}
		return nil, malformed("The body did not arrive whole.")
	}
	return parseForm(string(body))
}

func parseForm(body string) (form, error) {
	f := make(form, 0, 12)
	for len(body) > 0 {
		var pair string
		pair, body, _ = strings.Cut(body, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok := unescape(name)
		if ok {
			value, ok = unescape(value)
		}
		if !ok {
			return nil, malformed("The parameter " + called(name) + " is not encoded as it should be, or holds bytes that are not text.")
		}
		if name != "resource" && name != "audience" {
			for i := range f {
				if f[i].name == name {
					return nil, malformed("The parameter " + called(name) + " was sent twice.")
				}
			}
		}
		if len(f) == maxParams {
			return nil, malformed("Too many parameters were sent.")
		}
		f = append(f, param{name, value})
	}
	return f, nil
}

// called is a parameter's name as an answer may repeat it.
func called(name string) string {
	if len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "with a name that none here has"
	}
	return name
}

func unescape(s string) (string, bool) {
	if strings.ContainsAny(s, "%+") {
		u, err := url.QueryUnescape(s)
		if err != nil {
			return s, false
		}
		s = u
	}
	return s, utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}
