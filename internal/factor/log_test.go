package factor

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store/journal"
)

func TestEveryProofIsInTheLogOfSignIns(t *testing.T) {
	t.Parallel()
	h := newHouse(t, filepath.Join(t.TempDir(), "curfew.db"))
	ctx := t.Context()
	j, err := journal.Open(ctx, journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: h.clock.now})
	h.must(err)
	defer j.Close()
	h.person("ada")
	anna := h.person("anna", role.AuthenticationAdministrator)
	in := h.signIn("ada")
	key := h.app(in)
	p, err := h.IssuePass(ctx, anna, "ada@contoso.example", PassWish{Once: true}, manage.Act{})
	h.must(err)
	h.SignIn.Journal = j // from here on
	h.VerifyCode(ctx, in, "000000", false)
	q, err := h.VerifyCode(ctx, in, h.code(key), false)
	h.must(err)
	a := h.passkey(h.at(q.Cookie))
	h.clock.nextStep()
	h.enter(newAuthenticator(t).as(a))
	_, err = h.enter(a)
	h.must(err)
	for _, pass := range []string{"wrong", p.Value} {
		h.clock.nextStep()
		h.PassSignIn(ctx, signin.Attempt{Username: "ada@contoso.example", Password: pass, IP: ordinary})
	}
	h.PassSignIn(ctx, signin.Attempt{Username: "my password", Password: "x", IP: ordinary})
	all, _, err := j.List(ctx, journal.Query{Limit: 100})
	h.must(err)
	var got []string
	for i := len(all) - 1; i >= 0; i-- {
		e := all[i]
		got = append(got, fmt.Sprint(e.UserName, " ", e.Error, " ", strings.Join(e.Methods, "+")))
		if e.Flow != "factor" || e.IP != ordinary || strings.Contains(fmt.Sprint(e), "my password") {
			t.Errorf("%+v", e)
		}
	}
	const ada = "ada@contoso.example"
	want := []string{ada + " 500121 pwd", ada + " 0 pwd+otp", " 50034 ", ada + " 0 fido", ada + " 50126 ", ada + " 0 tap", " 50034 "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// as is another key that says it is somebody's.
func (a *authenticator) as(b *authenticator) *authenticator {
	a.handle = b.handle
	return a
}
