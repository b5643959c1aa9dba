package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// Object is a JSON object whose members keep their order.
type Object []Member

// Member is one member of an object.
type Member = struct {
	Name  string
	Value any
}

// MarshalJSON writes the members in order.
func (o Object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := Encode(m.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// Encode leaves & and < as they are: addresses stay readable, and nothing here
// is ever part of a page.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Pick returns the named members, in that order.
func (o Object) Pick(names []string) Object {
	out := make(Object, 0, len(names))
	for _, n := range names {
		if i := slices.IndexFunc(o, func(m Member) bool { return m.Name == n }); i >= 0 {
			out = append(out, o[i])
		}
	}
	return out
}

// writeTime bounds how long a reader may take over an answer.
const writeTime = 30 * time.Second

// Write sends v as JSON.
func (c *Call) Write(status int, v any) {
	b, err := Encode(v)
	if err != nil {
		panic("graph: " + err.Error()) // texts, numbers and times of ours
	}
	// Not every writer has deadlines (recorders in tests); the server's do.
	_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(writeTime))
	c.W.Header().Set("Content-Type", "application/json;odata.metadata=minimal;charset=utf-8")
	c.W.WriteHeader(status)
	c.W.Write(append(b, '\n')) // who does not read it asks again
}

// TextOrNull is null when there is nothing, as Graph's own properties are.
func TextOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Instant is Edm.DateTimeOffset as Graph writes it, to the second.
func Instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
