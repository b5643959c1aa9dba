package odata

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/curfew-id/curfew/internal/fault"
)

// Codes of bodies that are not read, beside BadRequest.
const (
	TooLarge   Code = "RequestEntityTooLarge"
	OtherMedia Code = "UnsupportedMediaType"
)

var errTooLarge = fault.Wrap(fault.Invalid, "The body is too large.", TooLarge)

// Open returns the body of a request, unpacked (the SDKs of Graph pack theirs), which fails
// with errTooLarge past limit, packed or unpacked.
func Open(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) (io.Reader, error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
	packed := http.MaxBytesReader(w, r.Body, limit)
	switch how := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")); how {
	case "", "identity":
		return bounded{packed, new(int64), limit}, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(packed)
		switch {
		case errors.Is(err, io.EOF):
			return strings.NewReader(""), nil // nothing packed
		case err != nil:
			return nil, unpacking(err)
		}
		return bounded{z, new(int64), limit}, nil
	}
	return nil, fault.Wrap(fault.Invalid, "The body may be packed with gzip and nothing else.", OtherMedia)
}

// bounded reads up to limit bytes and fails when there are more.
type bounded struct {
	r     io.Reader
	read  *int64
	limit int64
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if *b.read += int64(n); *b.read > b.limit {
		return 0, errTooLarge
	}
	if err != nil && err != io.EOF {
		err = unpacking(err)
	}
	return n, err
}

// unpacking says what became of the body.
func unpacking(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return errTooLarge
	}
	return fault.Wrap(fault.Invalid, "The body could not be read to its end.", errors.Join(BadRequest, err))
}

// Read returns a whole body, a text of one of the media types; an empty one may be
// of any.
func Read(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration, types ...string) ([]byte, error) {
	body, err := Open(w, r, limit, within)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if len(b) > 0 {
		if err := IsOf(r, types...); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(b) {
		return nil, Unreadable("The body is not valid UTF-8.")
	}
	return b, nil
}

// IsOf checks the media type. None is fine: much sends none.
func IsOf(r *http.Request, types ...string) error {
	all := r.Header.Values("Content-Type")
	if len(all) == 0 {
		return nil
	}
	t, _, err := mime.ParseMediaType(all[0])
	for _, want := range types {
		if err == nil && len(all) == 1 && t == want {
			return nil
		}
	}
	return fault.Wrap(fault.Invalid, "The body must be "+types[0]+".", OtherMedia)
}

// Form is what a JSON object may hold: for each property what reads it. A reader
// returns what the value must be, when it is not, or an error of its own.
type Form map[string]Reader

// Reader reads one value.
type Reader func(raw json.RawMessage) (must string, err error)

// Read reads a JSON object; an empty body has no properties. Properties that are
// not in f are refused: one that means something and is passed over would be a
// promise. Annotations of OData are passed over.
func (f Form) Read(b []byte) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	broken := func(err error) error {
		return fault.Wrap(fault.Invalid, "The body is not one JSON object.", errors.Join(BadRequest, err))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return broken(err)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return broken(err)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return broken(err)
		}
		annotation := strings.HasPrefix(name, "@odata.") || strings.HasSuffix(name, "@odata.type")
		if annotation && f[name] == nil {
			continue
		}
		known := ""
		for k := range f {
			if strings.EqualFold(k, name) {
				known = k
			}
		}
		switch {
		case known == "":
			return Unreadable("There is a property that cannot be set here" + Quoted(strings.TrimPrefix(name, "@")) + ".")
		case seen[known]:
			return Unreadable("The property " + known + " is there twice.")
		}
		seen[known] = true
		must, err := f[known](raw)
		if must != "" {
			err = Unreadable("The property " + known + " must be " + must + ".")
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return broken(err)
	}
	return nil
}

// Text reads a text; null takes it away. A zero byte is none: PostgreSQL refuses
// it, SQLite does not, and neither sees it.
func Text(to **string) Reader {
	return func(raw json.RawMessage) (string, error) {
		var s *string
		if json.Unmarshal(raw, &s) != nil || s != nil && strings.ContainsRune(*s, 0) {
			return "a text", nil
		}
		if s == nil {
			s = new(string)
		}
		*to = s
		return "", nil
	}
}

// Truth reads true or false.
func Truth(to **bool) Reader {
	return func(raw json.RawMessage) (string, error) {
		var b *bool
		if json.Unmarshal(raw, &b) != nil || b == nil {
			return "true or false", nil
		}
		*to = b
		return "", nil
	}
}

// Whole reads a whole number.
func Whole(to **int) Reader {
	return func(raw json.RawMessage) (string, error) {
		var n *int
		if json.Unmarshal(raw, &n) != nil || n == nil {
			return "a whole number", nil
		}
		*to = n
		return "", nil
	}
}

// List reads an array of texts, or of objects with the names in their json tags.
func List[T any](to **[]T, of string) Reader {
	return func(raw json.RawMessage) (string, error) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		var all *[]T
		if d.Decode(&all) != nil || all == nil || bytes.Contains(raw, []byte(`\u0000`)) {
			return "a list of " + of, nil
		}
		*to = all
		return "", nil
	}
}

// Only takes the values that say what is so anyway, as JSON.
func Only(values ...string) Reader {
	return func(raw json.RawMessage) (string, error) {
		for _, v := range values {
			if string(bytes.ReplaceAll(raw, []byte(" "), nil)) == v {
				return "", nil
			}
		}
		return values[0], nil
	}
}

// Inner reads an object inside the object; given notes that it was there.
func Inner(given *bool, f Form) Reader {
	return func(raw json.RawMessage) (string, error) {
		*given = true
		return "", f.Read(raw)
	}
}
