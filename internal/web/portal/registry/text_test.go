package registry

import (
	"reflect"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
)

func TestSpansAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Second, 90 * time.Second, 10 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour, 3650 * 24 * time.Hour, 36 * time.Hour, 1500 * time.Millisecond} {
		if got, err := ReadSpan(WriteSpan(d)); err != nil || got != d {
			t.Errorf("%v is written %q and read %v, %v", d, WriteSpan(d), got, err)
		}
	}
	for s, want := range map[string]time.Duration{" 90 Days ": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "2,160 hours": 2160 * time.Hour, "45 min": 45 * time.Minute, "1 day": 24 * time.Hour, "30d": 30 * 24 * time.Hour, "36h0m0s": 36 * time.Hour} {
		if got, err := ReadSpan(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"soon", "90", "-1 day", "-5h", "1 fortnight", "999,999,999 days", "1e9 h", "day", "1 day 2 hours"} {
		if got, err := ReadSpan(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestListsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	ps := []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read", "Mail.Send"}}, {Resource: "https://drive.example", Scopes: []string{"Files.Read"}}}
	if got, err := ReadPermissions(WritePermissions(ps)); err != nil || !reflect.DeepEqual(got, ps) {
		t.Errorf("%+v %v", got, err)
	}
	scopes := []directory.Scope{{Name: "Mail.Read", Text: "Read your mail"}, {Name: "Mail.Read.All", Text: "Read everyone's mail (all of it)", AdminOnly: true}, {Name: "x"}, {Name: "y", AdminOnly: true}}
	if got, err := readScopes(writeScopes(scopes)); err != nil || !reflect.DeepEqual(got, scopes) {
		t.Errorf("%+v %v", got, err)
	}
	keys := []directory.AppKey{{JWK: `{"kty":"OKP","crv":"Ed25519","x":"a"}`}, {JWK: `{"kty":"EC"}`}}
	if got, err := readKeys(writeKeys(keys)); err != nil || len(got) != 2 || got[0] != keys[0].JWK || got[1] != keys[1].JWK {
		t.Errorf("%q %v", got, err)
	}
	for _, s := range []string{"api://mail", "a b\nc"} {
		if _, err := ReadPermissions(s); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if got, err := readKeys("{"); !fault.Is(err, fault.Invalid) {
		t.Errorf("%q %v", got, err)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "90 days", "api://mail Mail.Read", "Mail.Read (admin) Read", `{"keys":[{}]}`, "https://a.example/\r\nb", "9223372036854775807 d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ReadSpan(s); err == nil {
			if again, err := ReadSpan(WriteSpan(d)); err != nil || again != d || d < 0 {
				t.Errorf("%q: %v, then %v, %v", s, d, again, err)
			}
		}
		if ps, err := ReadPermissions(s); err == nil {
			if again, err := ReadPermissions(WritePermissions(ps)); err != nil || !reflect.DeepEqual(again, ps) {
				t.Errorf("%q: %+v, then %+v, %v", s, ps, again, err)
			}
		}
		if all, err := readScopes(s); err == nil {
			if _, err := readScopes(writeScopes(all)); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		readKeys(s)
		uris(s)
		minutes(s)
	})
}
