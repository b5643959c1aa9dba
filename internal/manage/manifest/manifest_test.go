package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ src, says string }{
		"unknown table":      {"[[user]]\nname='a@x.y'\n\n[[people]]\nname='b@x.y'\n", "Line 4: there is no key “people"},
		"unknown key":        {"[[user]]\nname = 'a@x.y'\n[[user]]\nname = 'b@x.y'\ncolour = 'red'\n", "Line 5: there is no key “user.colour”"},
		"misspelt key":       {"[[app]]\nid='a'\n[[app]]\nid='b'\nenabeld = false\n", "Line 5: there is no key “app.enabeld”"},
		"key in a scope":     {"[[resource]]\nid='api://a'\nname='A'\n[[resource.scope]]\nname='x'\nid='y'\n", "Line 6: there is no key “resource.scope.id”"},
		"key in a table":     {"[[app]]\nid='a'\npermissions=[{resource='api://a', scope=['x']}]\n", "Line 3: there is no key “app.permissions.scope”"},
		"key of another":     {"[[user]]\nname='a@x.y'\nsecret='x'\n", "Line 3: there is no key “user.secret”"},
		"not TOML":           {"[[user]]\nname = \n", "Line 2"},
		"wrong type":         {"[[user]]\nname='a@x.y'\nenabled='yes'\n", "wrong type"},
		"twice":              {"[[user]]\nname='a@x.y'\n[[user]]\nname='A@X.Y'\n", "Line 3: user “A@X.Y”: This is in the file twice."},
		"bad name":           {"[[user]]\nname='a'\n", "Line 1: user “a”"},
		"no name":            {"\n[[group]]\n", "Line 2: group"},
		"no role":            {"[[user]]\nname='a@x.y'\nroles=['Global Admin']\n", "There is no role “Global Admin”"},
		"roles of a group":   {"[[group]]\nname='g'\nroles=['Helpdesk Administrator']\n", "role_assignable"},
		"life":               {"[[resource]]\nid='api://r'\ntoken_life='1'\n", "duration"},
		"scope":              {"[[resource]]\nid='api://r'\n[[resource.scope]]\nname='openid'\n", "OpenID Connect"},
		"redirect":           {"[[app]]\nid='a'\nredirect_uris=['javascript:alert(1)']\n", "redirect URI"},
		"short secret":       {"[[app]]\nid='a'\nsecret='secret'\n", "16 characters"},
		"two secrets":        {"[[app]]\nid='a'\nsecret='0123456789abcdef'\nsecret_env='X'\n", "only one"},
		"environment":        {"[[app]]\nid='a'\nsecret_env='X'\n", "cannot be named here"},
		"file":               {"[[user]]\nname='a@x.y'\npassword_file='/etc/passwd'\n", "cannot be named here"},
		"no document":        {"[[policy]]\n", "Line 1: policy “”: The key document"},
		"no name of policy":  {"[[policy]]\ndocument='{}'\n", "displayName"},
		"policy twice":       {"[[policy]]\ndocument='{\"displayName\":\"a\"}'\n[[policy]]\ndocument='{\"displayName\":\"A\"}'\n", "Line 3: policy “A”: This is in the file twice."},
		"domain":             {"[directory]\ndomain='x y'\nname='X'\n", "domain"},
		"larger than anyone": {"# " + strings.Repeat("x", maxManifest), "16 MiB"},
	} {
		_, err := Parse(strings.NewReader(c.src), Options{})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Public(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Parse(strings.NewReader("[[app]]\nid='a'\nsecret='hush-hush-hush-hush\n"), Options{})
	if err == nil || strings.Contains(fault.Public(err), "hush") {
		t.Errorf("%v", err)
	}

	o := Options{
		Getenv: func(k string) (string, bool) { return map[string]string{"S": "from-the-environment"}[k], k == "S" },
		ReadFile: func(p string) ([]byte, error) {
			switch p {
			case "/run/s":
				return []byte("from a file it is\r\n"), nil
			case "/run/empty":
				return []byte("\n"), nil
			}
			return nil, errors.New("no")
		},
	}
	m, err := Parse(strings.NewReader("\ufeff[[app]]\nid='a'\nsecret_env='S'\n[[app]]\nid='b'\nsecret_file='/run/s'\n[[user]]\nname='a@x.y'\npassword_file='/run/s'\n"), o)
	if err != nil || string(m.Apps[0].Secret) != "from-the-environment" || string(m.Apps[1].Secret) != "from a file it is" || string(m.Users[0].Password) != "from a file it is" {
		t.Errorf("%v %+v", err, m)
	}
	for _, src := range []string{"secret_env='T'", "secret_file='/run/none'", "secret_file='/run/empty'"} {
		_, err := Parse(strings.NewReader("[[app]]\nid='a'\n"+src), o)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", src, err)
		}
	}
	if m, err := Parse(strings.NewReader(""), Options{}); err != nil || m == nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[[user]]\nname='a@x.y'\n[[resource.scope]]\nx=1")
	f.Add("[[app]]\nid='a'\npermissions=[{resource='api://a', scope=['x']}]\n")
	f.Fuzz(func(t *testing.T, src string) {
		if _, err := Parse(strings.NewReader(src), Options{}); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

func FuzzSheet(f *testing.F) {
	f.Add("userPrincipalName,displayName\na@x.y,A\n")
	f.Add("userPrincipalName,accountEnabled\n\"a\"@x.y,\"\n")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Open(strings.NewReader(src), true)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		for range len(src) + 2 {
			if _, _, end := file.Next(); end != "" {
				return
			}
		}
		t.Fatal("there is no end")
	})
}
