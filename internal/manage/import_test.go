package manage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func (h *house) importing(actor directory.Actor, file string, o ImportOptions) ImportReport {
	h.t.Helper()
	rep, err := h.Import(h.t.Context(), actor, strings.NewReader(file), o)
	h.must(err)
	return rep
}

func (h *house) named(name string) *directory.User {
	h.t.Helper()
	var u *directory.User
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { u, err = tx.UserByName(name); return err }))
	return u
}

// The file that Entra's "Download users" makes.
func TestImportFromEntra(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/entra-users.csv")
	if err != nil {
		t.Fatal(err)
	}
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		uma := h.person("uma", role.UserAdministrator)
		head := h.head()
		rep := h.importing(uma, string(file), ImportOptions{DryRun: true})
		if rep.Created != 3 || h.head() != head || len(h.audits("")) > 3 {
			t.Errorf("dry run: %+v", rep)
		}
		rep = h.importing(uma, string(file), ImportOptions{Reason: "moving"})
		if rep.Rows != 4 || rep.Created != 3 || len(rep.Unknown) != 0 || len(rep.Ignored) != 19 || rep.Stopped != "" {
			t.Errorf("%+v", rep)
		}
		if len(rep.Skipped) != 1 || rep.Skipped[0].Line != 4 || rep.Skipped[0].Name != "mallory_fabrikam.example#EXT#@contoso.example" {
			t.Errorf("%+v", rep.Skipped)
		}
		ada, grace := h.named("ada@contoso.example"), h.named("grace@contoso.example")
		if ada.DisplayName != "Ada Lovelace" || ada.Surname != "Lovelace" || ada.JobTitle != "Analyst" || ada.Department != "Engines" || ada.Office != `Room "A"` ||
			ada.Mobile != "+44 20 0000 0000" || ada.Mail != "ada@contoso.example" || ada.Nickname != "ada" || !ada.Enabled || ada.Password.Hash != "" {
			t.Errorf("%+v", ada)
		}
		if grace.Enabled {
			t.Error("grace is enabled")
		}
		if a := h.audits(ada.ID.String()); len(a) != 1 || a[0].Action != "Add user" || a[0].Reason != "moving" {
			t.Errorf("%+v", a)
		}
		h.named("linus@contoso.example") // the line after the broken one
		head = h.head()
		rep = h.importing(uma, string(file), ImportOptions{})
		if rep.Created != 0 || rep.Updated != 0 || rep.Unchanged != 3 || h.head() != head {
			t.Errorf("again: %+v", rep)
		}
	})
}

func TestImportRows(t *testing.T) {
	t.Parallel()
	const head = "USERPRINCIPALNAME,DisplayName,jobTitle,accountEnabled,shoeSize\n"
	for name, c := range map[string]struct {
		file            string
		created         int
		skipped, reason string // line of the one that was skipped
	}{
		"plain":                {head + "a@x.y,A,,,44\n", 1, "", ""},
		"no newline at end":    {head + "a@x.y,A,,true,", 1, "", ""},
		"carriage returns":     {strings.ReplaceAll(head+"a@x.y,A,,,\nb@x.y,B,,,\n", "\n", "\r\n"), 2, "", ""},
		"blank lines":          {head + "\n\na@x.y,A,,,\n\n", 1, "", ""},
		"spaces":               {head + " a@x.y , A ,, TRUE ,\n", 1, "", ""},
		"name twice":           {head + "a@x.y,A,,,\nA@X.Y,A,,,\n", 1, "", ""},
		"too few fields":       {head + "a@x.y,A\nb@x.y,B,,,\n", 1, "2", "2 fields"},
		"too many fields":      {head + "a@x.y,A,,,,\nb@x.y,B,,,\n", 1, "2", "6 fields"},
		"quote inside":         {head + "a@x.y,A \"quoted\",,,\nb@x.y,B,,,\n", 1, "2", "quote"},
		"text after quote":     {head + "a@x.y,\"A\"x,,,\nb@x.y,B,,,\n", 1, "2", "quote"},
		"unclosed quote":       {head + "a@x.y,A,,,\nb@x.y,\"B,,,\nc@x.y,C,,,\n", 1, "3", "quote"},
		"no name":              {head + ",A,,,\nb@x.y,B,,,\n", 1, "2", "name@domain"},
		"bad name":             {head + "a,A,,,\nb@x.y,B,,,\n", 1, "2", "name@domain"},
		"no display name":      {head + "a@x.y,,,,\nb@x.y,B,,,\n", 1, "2", "display name"},
		"neither true nor no":  {head + "a@x.y,A,,yes,\nb@x.y,B,,,\n", 1, "2", "accountEnabled"},
		"long field":           {head + "a@x.y,A," + strings.Repeat("x", 1025) + ",,\nb@x.y,B,,,\n", 1, "2", "1 KiB"},
		"longer than its kind": {head + "a@x.y,A," + strings.Repeat("x", 129) + ",,\nb@x.y,B,,,\n", 1, "2", "too long"},
		"not utf-8":            {head + "a@x.y,A\xff,,,\nb@x.y,B,,,\n", 1, "2", "UTF-8"},
		"control character":    {head + "a@x.y,A\x01,,,\nb@x.y,B,,,\n", 1, "2", "printed"},
		"formula is only text": {head + "a@x.y,=1+1,,,\n", 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "")
			rep := h.importing(operator, c.file, ImportOptions{})
			if rep.Created != c.created || len(rep.Unknown) != 1 || rep.Unknown[0] != "shoeSize" || rep.Stopped != "" {
				t.Errorf("%+v", rep)
			}
			switch {
			case c.skipped == "" && len(rep.Skipped) != 0:
				t.Errorf("%+v", rep.Skipped)
			case c.skipped != "" && (len(rep.Skipped) != 1 || fmt.Sprint(rep.Skipped[0].Line) != c.skipped || !strings.Contains(rep.Skipped[0].Reason, c.reason)):
				t.Errorf("%+v", rep.Skipped)
			}
			if again := h.importing(operator, c.file, ImportOptions{}); again.Created+again.Updated != 0 {
				t.Errorf("again: %+v", again)
			}
		})
	}
	h := newHouse(t, "")
	for _, file := range []string{"", "displayName\nA\n", "userPrincipalName;displayName\n", "\xff\xfeu\x00", "\xfe\xff\x00u",
		"userPrincipalName,userprincipalname\n", "userPrincipalName,officeLocation,physicalDeliveryOfficeName\n", "\"userPrincipalName\n"} {
		_, err := h.Import(t.Context(), operator, strings.NewReader(file), ImportOptions{})
		want(t, err, fault.Invalid)
	}
}

func TestImportChangesWhoExists(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		h.person("gail", role.GlobalAdministrator)
		greg := h.person("greg", role.GlobalAdministrator)
		uma := h.person("uma", role.UserAdministrator)
		h.person("ada")
		h.person("bob")
		_, err := h.UpdateUser(ctx, operator, h.ids["ada"], Patch{Department: ptr("Engines"), Mobile: ptr("+44")}, Act{})
		h.must(err)
		born := h.head()
		rep := h.importing(uma, "userPrincipalName,displayName,department,jobTitle,accountEnabled,mobilePhone\n"+
			"ada@contoso.example,,,Analyst,False,\n"+ // an empty field says nothing
			"gail@contoso.example,Gail,Board,,False,\n"+ // out of uma's reach
			"new@contoso.example,New,,,,\n"+
			"bob@contoso.example,Bob,,,True,\n", ImportOptions{Reason: "leavers"})
		if rep.Created != 1 || rep.Updated != 1 || rep.Disabled != 1 || rep.Unchanged != 1 || len(rep.Receipts) != 1 ||
			len(rep.Skipped) != 1 || rep.Skipped[0].Line != 3 || !strings.Contains(rep.Skipped[0].Reason, "Gail holds Global Administrator") {
			t.Errorf("%+v", rep)
		}
		if u := h.user("ada"); u.Enabled || u.Department != "Engines" || u.JobTitle != "Analyst" || u.Mobile != "+44" || u.DisplayName != "Ada" {
			t.Errorf("%+v", u)
		}
		if !h.dead("ada", born, cutoff.Browser) || h.dead("bob", born, cutoff.Token) {
			t.Error("who was disabled is not cut, or who was not is")
		}
		var r *store.Receipt
		h.must(h.DB.Read(ctx, func(tx *store.Tx) (err error) { r, err = tx.Receipt(rep.Receipts[0]); return err }))
		if r.Target.ID != h.ids["ada"].String() || r.Reason != "leavers" || r.Rest == nil {
			t.Errorf("%+v", r)
		}
		if u := h.user("gail"); !u.Enabled || u.Department != "" {
			t.Error("half of a refused row was done")
		}
		if a := h.audits(h.ids["gail"].String())[0]; a.Result != audit.Refused || a.Action != "Disable account" || a.Reason != "leavers" {
			t.Errorf("%+v", a)
		}
		_, err = h.DeleteUser(ctx, operator, greg.User, Act{})
		h.must(err)
		// Only the row that would disable the last Global Administrator is skipped.
		rep = h.importing(operator, "userPrincipalName,displayName,accountEnabled\nx@contoso.example,X,\ngail@contoso.example,,false\nbob@contoso.example,,false\n", ImportOptions{})
		if rep.Created != 1 || rep.Disabled != 1 || len(rep.Skipped) != 1 || rep.Skipped[0].Line != 3 || !h.user("gail").Enabled || h.user("bob").Enabled {
			t.Errorf("%+v", rep)
		}
	})
}

func TestImportPasswords(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	file := "userPrincipalName,displayName,password\na@x.y,A,correct horse battery\nb@x.y,B,short\nc@x.y,C,\n"
	if rep := h.importing(operator, file, ImportOptions{DryRun: true}); len(rep.Unknown) != 1 || rep.Created != 3 {
		t.Errorf("%+v", rep)
	}
	rep := h.importing(operator, file, ImportOptions{Passwords: true})
	if rep.Created != 2 || len(rep.Skipped) != 1 || rep.Skipped[0].Line != 3 {
		t.Errorf("%+v", rep)
	}
	if a, c := h.named("a@x.y"), h.named("c@x.y"); a.Password.Hash == "" || !a.Password.MustChange || c.Password.Hash != "" {
		t.Errorf("%+v %+v", a, c)
	}
	hash := h.named("a@x.y").Password.Hash
	if rep := h.importing(operator, file, ImportOptions{Passwords: true}); rep.Unchanged != 2 || h.named("a@x.y").Password.Hash != hash {
		t.Errorf("a password was set again: %+v", rep)
	}
}

// endless gives a header and then the same line until it is not asked again.
type endless struct {
	head, line string
	left       int
	rest       string
}

func (e *endless) Read(b []byte) (int, error) {
	if e.rest == "" {
		if e.left == 0 {
			return 0, errors.New("read on and on")
		}
		e.left--
		e.rest, e.head = e.head+e.line, ""
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestImportLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	rep, err := h.Import(t.Context(), operator, &endless{head: "userPrincipalName,displayName\na@x.y,A\nb@x.y,\"B", line: strings.Repeat("x\n", 100), left: 1 << 20}, ImportOptions{})
	h.must(err)
	if rep.Created != 1 || !strings.Contains(rep.Stopped, "256 KiB") {
		t.Errorf("%+v", rep)
	}
	rep, err = h.Import(t.Context(), operator, &endless{head: "userPrincipalName,displayName\na@x.y,A\n", line: strings.Repeat(strings.Repeat("x", 1023)+"\n", 1024), left: 250}, ImportOptions{DryRun: true})
	h.must(err)
	if !strings.Contains(rep.Stopped, "200 MB") {
		t.Errorf("%+v", rep)
	}
	rep, err = h.Import(t.Context(), operator, &endless{head: "userPrincipalName\n", line: strings.Repeat("x\n", 1000), left: 2000}, ImportOptions{DryRun: true})
	h.must(err)
	if !strings.Contains(rep.Stopped, "1,000,000") || len(rep.Skipped) != 1000 || rep.SkippedMore != 999_000 {
		t.Errorf("%s %d %d", rep.Stopped, len(rep.Skipped), rep.SkippedMore)
	}
	rep, err = h.Import(t.Context(), operator, &endless{head: "userPrincipalName,displayName\nz@x.y,Z\n", left: 1}, ImportOptions{})
	h.must(err)
	if rep.Created != 1 || rep.Stopped == "" {
		t.Errorf("a file that breaks off: %+v", rep)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rep, err = h.Import(ctx, operator, strings.NewReader(manyUsers(2000)), ImportOptions{Progress: func(int) { cancel() }})
	if err == nil || rep.Created != importBatch {
		t.Errorf("%+v %v", rep, err)
	}
}

func manyUsers(n int) string {
	var b strings.Builder
	b.WriteString("userPrincipalName,displayName,surname,mail,givenName,jobTitle,department,accountEnabled\n")
	for i := range n {
		fmt.Fprintf(&b, "person%06d@contoso.example,Person %06d Example,Example,person%06d@contoso.example,Person,Engineer,Department %d,True\n", i, i, i, i%50)
	}
	return b.String()
}

// The goal is 100,000 rows in well under a minute.
func BenchmarkImport(b *testing.B) {
	for engine, n := range map[string]int{"sqlite": 100_000, "postgres": 20_000} {
		file := manyUsers(n)
		b.Run(engine, func(b *testing.B) {
			for b.Loop() {
				url := b.TempDir() + "/curfew.db"
				if engine == "postgres" {
					url = storetest.Postgres(b)
				}
				db, err := store.Open(b.Context(), store.Config{URL: url})
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				rep, err := service(db).Import(b.Context(), operator, strings.NewReader(file), ImportOptions{})
				if err != nil || rep.Created != n {
					b.Fatalf("%+v %v", rep, err)
				}
				b.ReportMetric(float64(n)/time.Since(began).Seconds(), "rows/s")
				db.Close()
			}
		})
	}
}
