package directory

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewIDIsVersion7AndSortsByTime(t *testing.T) {
	t.Parallel()
	var last UserID
	for i := range 1000 {
		id := NewID[User](noon.Add(time.Duration(i) * time.Millisecond))
		if id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%s is not version 7", id)
		}
		if bytes.Compare(id[:], last[:]) <= 0 {
			t.Fatalf("%s is not after %s", id, last)
		}
		last = id
	}
	// 2026-03-02T12:00:00Z is 1772452800000 ms, 0x019cae6b6600
	if got := NewID[User](noon).String(); !strings.HasPrefix(got, "019cae6b-6600-7") {
		t.Errorf("time in %s", got)
	}
	if a, b := NewID[User](noon), NewID[User](noon); a == b {
		t.Error("two ids of one instant are the same")
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	const s = "0123abcd-4567-89ef-0123-456789abcdef"
	for _, in := range []string{s, strings.ToUpper(s)} {
		id, err := ParseID[User](in)
		if err != nil || id.String() != s || id.IsZero() {
			t.Errorf("%s: %s %v", in, id, err)
		}
	}
	for _, bad := range []string{"", "ada", s[1:], s + "0", "{" + s[1:], strings.ReplaceAll(s, "-", ""), strings.ReplaceAll(s, "-", "0"),
		"0123abcd4-567-89ef-0123-456789abcdef", "g" + s[1:], s[:35] + "\x00", "urn:uuid:" + s} {
		if id, err := ParseID[User](bad); !errors.Is(err, ErrID) || !id.IsZero() {
			t.Errorf("%q: %s %v", bad, id, err)
		}
	}
}

func TestIDInJSONAndDatabase(t *testing.T) {
	t.Parallel()
	id := NewID[Group](noon)
	b, err := json.Marshal(map[string]GroupID{"id": id})
	if err != nil || string(b) != `{"id":"`+id.String()+`"}` {
		t.Fatalf("%s %v", b, err)
	}
	var back map[string]GroupID
	if err := json.Unmarshal(b, &back); err != nil || back["id"] != id {
		t.Errorf("%v %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"id":"x"}`), &back); err == nil {
		t.Error("read an id from x")
	}

	got := id
	if err := got.Scan(nil); err != nil || !got.IsZero() {
		t.Errorf("NULL: %s %v", got, err)
	}
	src := slices.Clone(id[:])
	if err := got.Scan(src); err != nil || got != id {
		t.Errorf("bytes: %s %v", got, err)
	}
	src[0]++ // the driver's buffer is its own
	if got != id {
		t.Error("the id is the driver's buffer")
	}
	for _, bad := range []any{[]byte{1}, id.String(), int64(1)} {
		if err := got.Scan(bad); err == nil {
			t.Errorf("scanned %T", bad)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("0123abcd-4567-89EF-0123-456789abcdef")
	f.Add("--------------------------------- --")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID[User](s)
		if err != nil {
			return
		}
		if id.String() != strings.ToLower(s) {
			t.Fatalf("%q became %s", s, id)
		}
		if again, err := ParseID[User](id.String()); err != nil || again != id {
			t.Fatalf("%s became %s: %v", id, again, err)
		}
	})
}
