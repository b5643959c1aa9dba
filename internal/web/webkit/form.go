package webkit

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/fault"
)

// MaxForm bounds the body of a form, in bytes.
const MaxForm = 64 << 10

// maxFields bounds the number of values of a form or query.
const maxFields = 1000

// Form is a parsed form or query: one value for each name.
type Form struct{ v url.Values }

// Get returns the value of a field, or "" when it was not sent.
func (f Form) Get(name string) string { return f.v.Get(name) }

// Has reports whether the field was sent, even if empty.
func (f Form) Has(name string) bool { return f.v.Has(name) }

// All returns every value of a field that may repeat.
func (f Form) All(name string) []string { return f.v[name] }

// ParseForm reads a posted form: urlencoded, at most [MaxForm] bytes, valid UTF-8
// without NUL, every name once except those in repeat. Fields of the address are
// not fields of the form. The error is fault.Invalid.
func ParseForm(w http.ResponseWriter, r *http.Request, repeat ...string) (Form, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return Form{}, fault.Wrap(fault.Invalid, "This is not a form we can read.", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxForm))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return Form{}, fault.Wrap(fault.Invalid, "The form is too large.", err)
		}
		return Form{}, fault.Wrap(fault.Invalid, "The form did not arrive whole.", err)
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return Form{}, fault.Wrap(fault.Invalid, "This is not a form we can read.", err)
	}
	return strict(v, repeat)
}

// ParseQuery reads the query of an address by the same rules.
func ParseQuery(r *http.Request, repeat ...string) (Form, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Form{}, fault.Wrap(fault.Invalid, "This is not an address we can read.", err)
	}
	return strict(v, repeat)
}

func strict(v url.Values, repeat []string) (Form, error) {
	n := 0
	for name, values := range v {
		n += len(values)
		if len(values) > 1 && !slices.Contains(repeat, name) {
			return Form{}, fault.New(fault.Invalid, "The field "+called(name)+" was sent twice.")
		}
		for _, s := range append(values, name) {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return Form{}, fault.New(fault.Invalid, "The field "+called(name)+" holds bytes that are not text.")
			}
		}
	}
	if n > maxFields {
		return Form{}, fault.New(fault.Invalid, "Too many fields were sent.")
	}
	return Form{v}, nil
}

// called is a field's name as a page may repeat it.
func called(name string) string {
	if len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return "with a name that none here has"
	}
	return name
}
