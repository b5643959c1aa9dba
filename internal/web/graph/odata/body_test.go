package odata

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

func FuzzForm(f *testing.F) {
	for _, s := range []string{`{"name":"x","on":true,"n":3,"all":[{"name":"y"}],"in":{"name":null}}`, `{"name":"x","Name":"y"}`, `{"@odata.type":1}`, `{"x":1}`, `[`, `{"in":{"in":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var name, inner *string
		var on *bool
		var n *int
		var all *[]directory.Scope
		var given bool
		err := Form{"name": Text(&name), "on": Truth(&on), "n": Whole(&n), "all": List(&all, "objects"), "in": Inner(&given, Form{"name": Text(&inner)})}.Read(b)
		if err != nil {
			var c Code
			if !fault.Is(err, fault.Invalid) || !errors.As(err, &c) || c != BadRequest {
				t.Fatalf("%q: %v", b, err)
			}
			return
		}
		// What was read is JSON, and nothing was read that is not in it.
		if len(b) > 0 && !json.Valid(b) && (name != nil || on != nil || n != nil || all != nil || given) {
			t.Fatalf("read from %q", b)
		}
	})
}
