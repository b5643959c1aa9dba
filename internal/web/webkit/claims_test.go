package webkit

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/issue"
)

func TestOfTheClaimsParameterIsObeyedWhatCanBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ClaimsRequest{
		"": {}, `{}`: {}, ` {"x":{"y":null}}`: {},
		`{"access_token":{"xms_cc":{"values":["CP1"]}}}`:                                                                      {CP1: true},
		`{"access_token":{"xms_cc":{"value":"cp1"}}}`:                                                                         {CP1: true},
		`{"access_token":{"nbf":{"essential":true,"value":"1726258122"},"xms_cc":{"values":["cp1"]}}}`:                        {CP1: true},
		`{"access_token":{"nbf":{"essential":true,"value":1726258122}},"id_token":{"auth_time":{"essential":true},"x":null}}`: {},
		`{"access_token":{"xms_cc":{"values":["CP2"]}}}`:                                                                      {},
		`{"id_token":{"acr":{"essential":true,"value":"1"}}}`:                                                                 {},
		`{"id_token":{"acr":{"essential":true,"values":["2","1"]}}}`:                                                          {},
		`{"id_token":{"acr":{"essential":true}}}`:                                                                             {},
		`{"id_token":{"acr":{"values":["2"]}}}`:                                                                               {},
		`{"id_token":{"acr":{"essential":true,"value":"2"}}}`:                                                                 {Unmet: true},
		`{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["cp1"]}}}`:                               {CP1: true, Contexts: []string{"c1"}},
		`{"id_token":{"acrs":{"essential":true,"values":["c1","c2"]}}}`:                                                       {Contexts: []string{"c1"}},
		`{"access_token":{"acrs":{"essential":true,"value":"c100"}}}`:                                                         {Unmet: true}, `{"access_token":{"acrs":{"value":"c1"}}}`: {}, `{"id_token":{"acrs":{"essential":true,"value":"gold"}}}`: {Unmet: true},
		`{"access_token":{"nbf":{"essential":true,"value":"1"},"xms_caeerror":{"value":"10012"}}}`: {Elsewhere: true}, `{"access_token":{"xms_caeerror":{"value":"1"}}}`: {},
		`{"userinfo":{"name":{"essential":true}}}`:                                      {Single: []string{"userinfo:name"}},
		`{"id_token":{"email":null,"sub":{"value":"x"},"locale":{}},"userinfo":null}`:   {Single: []string{"id_token:locale", "id_token:email"}, Subject: "x"},
		`{"userinfo":{"sub":{"value":"x"},"shoe_size":{"essential":true},"sub_jwk":7}}`: {Subject: "x"},
		`{"access_token":{"acr":{"essential":true,"value":7}}}`:                         {Unmet: true},
	} {
		if got, err := ParseClaims(text); !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"{", "[]", `"CP1"`, "null", "7", `{"access_token":{"xms_cc":{"values":"CP1"}}}`, `{"id_token":{"acr":7}}`, `{"id_token":{"acr":{"essential":"yes"}}}`, `{"userinfo":{"name":"Ada"}}`, `{"userinfo":[]}`,
		`{"id_token":{"sub":{"value":7}}}`, `{"id_token":{"sub":{"value":"x"}},"userinfo":{"sub":{"value":"y"}}}`,
		`{"x":"` + strings.Repeat("a", 16<<10) + `"}`} {
		_, err := ParseClaims(text)
		var e *issue.Error
		if !errors.As(err, &e) || e.Code != "invalid_request" {
			t.Errorf("%s: %v", text[:min(len(text), 40)], err)
		}
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(`{"access_token":{"xms_cc":{"values":["CP1"]},"acrs":{"essential":true,"value":"c1"}}}`)
	f.Add(`{"id_token":{"acr":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseClaims(text); err != nil && !reflect.DeepEqual(c, ClaimsRequest{}) {
			t.Errorf("%q: refused, and %+v", text, c)
		}
	})
}
