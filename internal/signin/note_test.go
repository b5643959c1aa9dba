package signin

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
)

func TestEverySignInIsWrittenDown(t *testing.T) {
	r := open(t, sqlite(t), store.Hooks{})
	j, err := journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	r.Journal = j
	ada := r.user(adaName, adaFirst)
	r.user("grace@contoso.example", adaFirst, disable)
	r.user("new@contoso.example", adaFirst, func(u *directory.User) { u.Password.MustChange = true })

	signed := r.in(attempt(adaName, adaFirst))
	try := func(name, password string) {
		r.clock.at.Add(time.Second.Microseconds())
		r.Password(t.Context(), attempt(name, password))
	}
	try(adaName, "wrong")
	try("hunter2", "a user name that was a password")
	try("grace@contoso.example", adaFirst)
	try("grace@contoso.example", "wrong")
	try("new@contoso.example", adaFirst)
	for range 15 {
		r.Password(t.Context(), attempt(adaName, "wrong"))
	}
	all, _, err := j.List(t.Context(), journal.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := len(all) - 1; i >= 0; i-- {
		e := all[i]
		got = append(got, fmt.Sprint(e.UserName, " ", e.Error))
		if e.Kind != journal.Interactive || e.Flow != "password" || e.IP != "192.0.2.7" || e.Agent != "Firefox on Linux" || e.Request != "r1" || (e.Error == 0) != (e.Reason == "") {
			t.Errorf("%+v", e)
		}
		if strings.Contains(fmt.Sprintf("%+v", e), "hunter2") {
			t.Errorf("what was typed is kept: %+v", e)
		}
	}
	want := []string{adaName + " 0", adaName + " 50126", " 50034", "grace@contoso.example 50057", "grace@contoso.example 50126", "new@contoso.example 50055"}
	for range 9 { // one of ten was tried before
		want = append(want, adaName+" 50126")
	}
	want = append(want, adaName+" 50053")
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if e := all[len(all)-1]; e.User != ada.ID || e.Display != ada.DisplayName || e.Session != signed.Session.ID || len(e.Methods) != 1 || e.Methods[0] != "pwd" {
		t.Errorf("%+v", e)
	}
}
