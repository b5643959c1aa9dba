package ssf

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzSubject: whoever is read is named in one format, by text that another reader of
// JSON finds in the same place.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{"", "{}", email("ada@contoso.example"), opaque("x"), issSub("https://a.example", "b"), `{"sub_id":{"format":"email","email":"a","email":"b"}}`, `{"subject":{"format":"opaque","id":"\ud800"}}`, `{"sub_id":null,"subject":{}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		who, err := readSubject(httptest.NewRecorder(), r)
		if err != nil {
			return
		}
		var other map[string]map[string]any
		if err := json.Unmarshal([]byte(body), &other); err != nil && other["sub_id"] == nil && other["subject"] == nil {
			t.Fatalf("%q: others cannot read it: %v", body, err)
		}
		m := other["sub_id"]
		if m == nil {
			m = other["subject"]
		}
		got := map[string]string{"format": who.Format}
		switch who.Format {
		case "email":
			got["email"] = who.Email
		case "iss_sub":
			got["iss"], got["sub"] = who.Issuer, who.ID
		case "opaque":
			got["id"] = who.ID
		default:
			t.Fatalf("%q: the format %q", body, who.Format)
		}
		for name, v := range got {
			if v == "" || len(v) > 1024 || m[name] != v {
				t.Errorf("%q: %s is %q here and %v elsewhere", body, name, v, m[name])
			}
		}
	})
}
