package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep a statement's JSON may be nested.
const maxDepth = 16

var errJSON = errors.New("not a JSON object with each member once")

// object reads a JSON object's members. It refuses what two readers could
// understand differently: a member named twice, on whatever level, and text that
// is not UTF-8 (RFC 8725 §2.4, §3.7).
func object(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, errJSON
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return nil, errJSON
	}
	if err := once(dec, json.Delim('{'), 1); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) { // something follows
		return nil, errJSON
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, errJSON
	}
	return m, nil
}

// once reads to the end of an array or object that has begun.
func once(dec *json.Decoder, kind json.Delim, depth int) error {
	if depth > maxDepth {
		return errJSON
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errJSON
		}
		if kind == '{' {
			name, _ := t.(string)
			if seen[name] {
				return errJSON
			}
			seen[name] = true
			if t, err = dec.Token(); err != nil {
				return errJSON
			}
		}
		if d, ok := t.(json.Delim); ok {
			if err := once(dec, d, depth+1); err != nil {
				return err
			}
		}
	}
	if _, err := dec.Token(); err != nil {
		return errJSON
	}
	return nil
}
