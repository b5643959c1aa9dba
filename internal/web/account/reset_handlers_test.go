package account_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/store"
)

func TestAPasswordIsResetByALetter(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.open()
	b.get("/forgot").want(404, "")
	s := &mail.Sender{From: "curfew@contoso.example"}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	h.signin.Mail, h.signin.Letters = s, func() mail.Writer { return mail.Writer{Directory: "Contoso", Base: b.base} }
	h.Update(func(tx *store.Tx) error {
		_, err := tx.ChangeUser(h.Ada.ID, store.UserChange{}, func(u *directory.User) error { u.Mail = ada; return nil })
		return err
	})
	if p := b.get("/signin").want(200, "Sign in"); !p.says("Forgot your password?") {
		t.Error("the page of sign-in does not name the way")
	}
	there := b.another()
	there.signIn("/account")
	b.submit(b.get("/forgot"), "/forgot", "username", " ").want(422, "Error")
	known := b.submit(b.get("/forgot"), "/forgot", "username", ada).want(200, "Look into your mail")
	other := b.submit(b.get("/forgot"), "/forgot", "username", "eve@contoso.example").want(200, "Look into your mail")
	if strings.ReplaceAll(known.doc.Text(), ada, "X") != strings.ReplaceAll(other.doc.Text(), "eve@contoso.example", "X") {
		t.Errorf("the answers differ:\n%s\n%s", known.doc.Text(), other.doc.Text())
	}
	jobs := s.Waiting()
	if len(jobs) != 2 {
		t.Fatalf("%d letters wait", len(jobs))
	}
	l, err := jobs[0](t.Context())
	if err != nil || l == nil || l.To != ada {
		t.Fatalf("%+v %v", l, err)
	}
	link := regexp.MustCompile(`/reset\?token=[\w-]+`).FindString(l.Text)
	b.get("/reset?token=nonsense").want(401, "")
	p := b.get(link).want(200, "Set a new password")
	if !p.says(ada) {
		t.Error("the page does not say whose password it is")
	}
	p = b.submit(p, "/reset", "password", "a new fine battery", "password2", "another").want(422, "Error")
	p = b.submit(p, "/reset", "password", "short", "password2", "short").want(422, "Error")
	p = b.submit(p, "/reset", "password", "a new fine battery", "password2", "a new fine battery").want(200, "The password was changed")
	if len(p.header.Values("Set-Cookie")) > 0 {
		t.Errorf("a reset signs in: %v", p.header.Values("Set-Cookie"))
	}
	b.get("/account").want(200, "Sign in")
	there.get("/account").want(200, "Sign in")
	b.get(link).want(401, "")
}
