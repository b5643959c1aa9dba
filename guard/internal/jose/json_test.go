package jose

import (
	"encoding/json"
	"strings"
	"testing"
)

func strict(s string) error {
	return ReadObject(s, func(r *Reader, _ string) error { return r.Skip() })
}

// FuzzStrictJSON: what the strict reader takes, the library takes too, and in
// it no object has a member twice.
func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"a":"\u0061\ud83d\ude00"}`, `{"a":-0.5e+3}`, `{"a":tru}`, `{"a" : [ ] , "b":"\""}`, `{"a":1}x`, `{"a\`, `{"a":"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strict(s) != nil {
			return
		}
		if !json.Valid([]byte(s)) {
			t.Fatalf("%q is not JSON", s)
		}
		dec := json.NewDecoder(strings.NewReader(s))
		if noTwins(dec) != nil {
			t.Fatalf("%q has a member twice", s)
		}
	})
}

func noTwins(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	d, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if d == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if s := name.(string); seen[s] {
				return ErrJSON
			} else {
				seen[s] = true
			}
		}
		if err := noTwins(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

func TestStrictReaderTakesAllPlainJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{}`, ` { } `, `{"":""}`, `{"a":[],"b":[1,-1,0,1.5,1e9,1E-9],"c":{"a":1},"d":true,"e":false,"f":null}`,
		`{"a":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00ä😀"}`, "{\t\"a\"\r\n:\t1\n}",
	} {
		if err := strict(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}
