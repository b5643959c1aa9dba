package oidc

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzForm: what is read is what everybody else reads, each name once, and text.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "grant_type=refresh_token&refresh_token=cfr_x", "a=b&a=c", "resource=a&resource=b", "a=%zz", "a=%00", "a=%ff", "&&a&=b&+=%2B", "a;b=c", "scope=openid+profile", strings.Repeat("a=b&", 101)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseForm(body)
		if err != nil {
			return
		}
		seen := url.Values{}
		for _, p := range got {
			if !utf8.ValidString(p.name+p.value) || strings.ContainsRune(p.name+p.value, 0) {
				t.Errorf("%q: %q=%q is not text", body, p.name, p.value)
			}
			if seen.Has(p.name) && p.name != "resource" && p.name != "audience" {
				t.Errorf("%q: %q twice", body, p.name)
			}
			seen.Add(p.name, p.value)
		}
		if len(got) > maxParams {
			t.Errorf("%d parameters", len(got))
		}
		if strings.Contains(body, ";") { // which net/url does not take at all
			return
		}
		others, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("%q: others refuse it: %v", body, err)
		}
		for name, values := range others {
			if !slices.Equal(values, seen[name]) {
				t.Errorf("%q: %q is %q here and %q elsewhere", body, name, seen[name], values)
			}
		}
	})
}

// FuzzBasic: a header that is read is one that its parts make again.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"", "Basic YTpi", "basic YTpi", "Basic  YTpi ", "Bearer x", "Basic Og==", "Basic YSUzQTolMjU="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		id, secret, ok := basic([]string{header})
		if !ok {
			return
		}
		if id == "" {
			t.Errorf("%q: nobody", header)
		}
		again := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		if id2, secret2, ok := basic([]string{again}); !ok || id2 != id || secret2 != secret {
			t.Errorf("%q: %q %q, made again: %q %q %v", header, id, secret, id2, secret2, ok)
		}
		if _, _, ok := basic([]string{header, header}); ok {
			t.Error("two headers are one too many")
		}
	})
}
