package manage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/manage/manifest"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

func parse(t *testing.T, src string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse(strings.NewReader(src), manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (h *house) apply(actor directory.Actor, src string, act Act) ApplyReport {
	h.t.Helper()
	rep, err := h.Apply(h.t.Context(), actor, parse(h.t, src), act)
	h.must(err)
	return rep
}

// example is the one in the documentation.
func example(t *testing.T) string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/apply.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```toml\n")
	src, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	return src
}

func TestApplyExample(t *testing.T) {
	t.Parallel()
	src := example(t)
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		head := h.head()
		dry := h.apply(operator, src, Act{DryRun: true})
		if h.head() != head || len(h.audits("")) != 0 {
			t.Error("a dry run wrote")
		}
		rep := h.apply(operator, src, Act{Reason: "first"})
		if !slices.Equal(rep.Changes, dry.Changes) || len(rep.Changes) < 12 || rep.Unchanged != 0 {
			t.Errorf("%d unchanged\n%v\n%v", rep.Unchanged, rep.Changes, dry.Changes)
		}
		head = h.head()
		rep = h.apply(operator, src, Act{})
		if len(rep.Changes) != 0 || rep.Unchanged != 10 || h.head() != head || len(rep.Receipts) != 0 {
			t.Errorf("again: %+v", rep)
		}
		ada := h.named("ada@contoso.example")
		if ada.Password.Hash == "" || !ada.Password.MustChange || ada.JobTitle != "Analyst" || h.named("grace@contoso.example").Enabled {
			t.Errorf("%+v", ada)
		}
		view, err := h.Service.User(ctx, operator, "grace@contoso.example")
		h.must(err)
		if !view.Held.Has(role.HelpdeskAdministrator) || len(view.Groups) != 1 {
			t.Errorf("%+v", view)
		}
		web, err := h.App(ctx, operator, "mail-web")
		h.must(err)
		if web.Principal.IsZero() || !web.FirstParty || web.Public || len(web.Secrets) != 1 || len(web.Permissions[0].Scopes) != 2 || !web.MatchRedirect("https://mail.contoso.example/cb") {
			t.Errorf("%+v", web)
		}
		cli, err := h.App(ctx, operator, "mail-cli")
		h.must(err)
		if !cli.Principal.IsZero() || !cli.Public || !cli.DeviceCode {
			t.Errorf("%+v", cli)
		}
		server, err := h.App(ctx, operator, "mail-server")
		h.must(err)
		if server.Guards[0] != "api://mail" || server.AppPermissions[0].Scopes[0] != "Mail.Read.All" {
			t.Errorf("%+v", server)
		}
		mail, err := h.Resource(ctx, operator, "api://mail")
		h.must(err)
		if len(mail.Scopes) != 2 || !mail.Scopes[1].AdminOnly || mail.TokenLife.Hours() != 1 {
			t.Errorf("%+v", mail)
		}
		for _, s := range []string{"only-an-example", "do-not-use-it"} {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", parse(t, src), rep, h.audits("")), s) {
				t.Error("a secret is printed")
			}
		}
	})
}

// What changes in the file changes in the directory, and cuts what it must.
func TestApplyChanges(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		ctx := t.Context()
		src := example(t)
		h.apply(operator, src, Act{})
		h.person("bob")
		h.ids["ada"], h.ids["grace"] = h.named("ada@contoso.example").ID, h.named("grace@contoso.example").ID
		made, err := h.AddSecret(ctx, operator, "mail-web", time.Time{}, Act{})
		h.must(err)
		change := func(old, now string, cause standing.Cause, target string) ApplyReport {
			t.Helper()
			next := strings.Replace(src, old, now, 1)
			if next == src {
				t.Fatalf("%q is not in the example", old)
			}
			src = next
			rep := h.apply(operator, src, Act{Reason: "apply"})
			if len(rep.Changes) != 1 || rep.Unchanged != 9 {
				t.Errorf("%s: %+v", now, rep)
			}
			switch {
			case cause == "" && len(rep.Receipts) != 0:
				t.Errorf("%s: %+v", now, rep.Receipts[0])
			case cause != "" && (len(rep.Receipts) != 1 || rep.Receipts[0].Cause != cause || rep.Receipts[0].Target.ID != target || rep.Receipts[0].Reason != "apply"):
				t.Errorf("%s: %+v", now, rep.Receipts)
			}
			if again := h.apply(operator, src, Act{}); len(again.Changes) != 0 {
				t.Errorf("%s: again: %v", now, again.Changes)
			}
			return rep
		}
		change(`"Analyst"`, `"Countess"`, "", "")
		change("enabled = false", "enabled = true", "", "")
		born := h.head()
		change(`roles = ["Helpdesk Administrator"]`, `roles = []`, standing.RightsRemoved, h.ids["grace"].String())
		if !h.dead("grace", born, cutoff.Token) || h.dead("grace", born, cutoff.Browser) {
			t.Error("grace's tokens live, or her session is dead")
		}
		change("enabled = true", "enabled = false", standing.Disabled, h.ids["grace"].String())
		change(`scopes = ["Mail.Read", "Mail.Send"]`, `scopes = ["Mail.Read"]`, standing.AppNarrowed, "mail-web")
		change(`token_life = "1h"`, `token_life = "30m"`, "", "")
		change(`secret = "an-example-secret-do-not-use-it"`, `secret = "its-successor-do-not-use-it"`, standing.SecretRemoved, "mail-web")
		app := h.stored("mail-web")
		hash := sha256.Sum256([]byte("its-successor-do-not-use-it"))
		if len(app.Secrets) != 2 || app.Secrets[0].ID != made.ID || !bytes.Equal(app.Secrets[1].Hash, hash[:]) {
			t.Errorf("%+v", app.Secrets)
		}
		change(`members = ["grace@contoso.example"]`, `members = ["bob@contoso.example", "grace@contoso.example"]`, "", "")
		change(`members = ["bob@contoso.example", `, `members = [`, "", "")
		if view, err := h.Group(ctx, operator, "service desk"); err != nil || len(view.Members) != 1 || view.Members[0].ID != h.ids["grace"] {
			t.Errorf("%+v %v", view, err)
		}
		// The password is set at creation only.
		hashBefore := h.user("ada").Password
		src = strings.Replace(src, "only-an-example-4711", "something-else-4711", 1)
		if rep := h.apply(operator, src, Act{}); len(rep.Changes) != 0 || h.user("ada").Password != hashBefore {
			t.Errorf("%+v", rep)
		}
		// A scope goes when the same file takes it from its applications.
		change(regexp.MustCompile(`(?s)\[\[resource.scope\]\]\nname = "Mail.Send".*?consent\n`).FindString(src), "", "", "")
		both := strings.Replace(src, `scopes = ["Mail.Read"]`, `scopes = ["Mail.Write"]`, 2)
		both = strings.Replace(both, `name = "Mail.Read"`, `name = "Mail.Write"`, 1)
		both = strings.Replace(both, `"Mail.Read"`, `"Mail.Write"`, -1)
		if rep := h.apply(operator, both, Act{}); len(rep.Receipts) != 4 {
			t.Errorf("%+v", rep)
		}
		if r, err := h.Resource(ctx, operator, "api://mail"); err != nil || len(r.Scopes) != 1 || r.Scopes[0].Name != "Mail.Write" {
			t.Errorf("%+v %v", r, err)
		}
		if rep := h.apply(operator, both, Act{}); len(rep.Changes) != 0 || rep.Unchanged != 10 {
			t.Errorf("again: %+v", rep)
		}
	})
}

func (h *house) stored(id directory.AppID) (a *directory.App) {
	h.t.Helper()
	h.must(h.DB.Read(h.t.Context(), func(tx *store.Tx) (err error) { a, err = tx.App(id); return err }))
	return a
}

// One thing that cannot be done undoes all others.
func TestApplyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	ctx := t.Context()
	h.person("gail", role.GlobalAdministrator)
	const first = "[[user]]\nname = 'eve@contoso.example'\n"
	for what, c := range map[string]struct {
		rest, says string
		kind       fault.Kind
	}{
		"unknown member":        {"[[group]]\nname = 'g'\nmembers = ['nobody@contoso.example']\n", "nobody@contoso.example", fault.NotFound},
		"unknown resource":      {"[[app]]\nid = 'a'\npermissions = [{resource = 'api://none', scopes = ['x']}]\n", "api://none", fault.NotFound},
		"unknown scope":         {"[[resource]]\nid = 'api://r'\n[[app]]\nid = 'a'\npermissions = [{resource = 'api://r', scopes = ['x']}]\n", "no scope", fault.NotFound},
		"guards nothing known":  {"[[app]]\nid = 'a'\nguards = ['api://none']\n", "api://none", fault.NotFound},
		"reserved app":          {"[[app]]\nid = 'https://graph.microsoft.com/x'\n", "reserved", fault.Invalid},
		"app of our own pages":  {"[[app]]\nid = 'curfew-portal'\n", "reserved", fault.Invalid},
		"reserved resource":     {"[[resource]]\nid = '" + api + "'\n", "reserved", fault.Invalid},
		"public with secret":    {"[[app]]\nid = 'a'\npublic = true\nsecret = '0123456789abcdef'\n", "public", fault.Invalid},
		"last administrator":    {"[[user]]\nname = 'gail@contoso.example'\nroles = []\n", "Global Administrator", fault.Conflict},
		"weak password":         {"[[user]]\nname = 'x@contoso.example'\npassword = 'short'\n", "8 characters", fault.Invalid},
		"unprintable":           {"[[user]]\nname = 'x@contoso.example'\ndisplay_name = \"a\\tb\"\n", "printed", fault.Invalid},
		"resource is no URI":    {"[[resource]]\nid = 'mail'\n", "absolute URI", fault.Invalid},
		"name of the directory": {"[directory]\ndomain = 'x y'\nname = 'X'\n", "domain", fault.Invalid},
	} {
		m, err := manifest.Parse(strings.NewReader(first+c.rest), manifest.Options{})
		for _, dry := range []bool{true, false} {
			if m != nil && err == nil || !dry {
				if m != nil {
					if _, e := h.Apply(ctx, operator, m, Act{DryRun: dry}); err == nil || e != nil {
						err = e
					}
				}
			}
			if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err), c.says) {
				t.Errorf("%s (dry %v): %v", what, dry, err)
			}
		}
		if _, err := h.Service.User(ctx, operator, "eve@contoso.example"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("%s: half was done", what)
		}
	}
	// A role for each thing; what may not be done is refused as a whole.
	ua := h.person("uma", role.UserAdministrator)
	h.apply(ua, first, Act{})
	for what, src := range map[string]string{
		"role":     "[[user]]\nname = 'uma@contoso.example'\nroles = ['Global Administrator']\n",
		"disable":  "[[user]]\nname = 'gail@contoso.example'\nenabled = false\n",
		"group":    "[[group]]\nname = 'g'\nrole_assignable = true\n",
		"app":      "[[app]]\nid = 'a'\n",
		"resource": "[[resource]]\nid = 'api://r'\n",
		"name":     "[directory]\ndomain = 'eve.example'\nname = 'Eve'\n",
	} {
		_, err := h.Apply(ctx, ua, parse(t, src), Act{})
		if !fault.Is(err, fault.Denied) || strings.Contains(fault.Public(err), ": ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	ca := h.person("carl", role.CloudAppAdministrator)
	h.apply(operator, "[[resource]]\nid = 'api://r'\napp_roles = ['All']\n", Act{})
	h.apply(ca, "[[app]]\nid = 'a'\nfirst_party = true\nsecret = '0123456789abcdef'\n", Act{})
	_, err := h.Apply(ctx, ca, parse(t, "[[app]]\nid = 'a'\napp_permissions = [{resource = 'api://r', scopes = ['All']}]\n"), Act{})
	want(t, err, fault.Denied)
}

// A user who is there while hashing and gone in the transaction has no hash yet.
func TestApplyHashesAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	h.person("ada")
	hash, hashed := h.Hash, 0
	h.Hash = func(ctx context.Context, password string) (string, error) {
		if hashed++; hashed == 1 { // while bob is hashed, ada goes
			if _, err := h.DeleteUser(ctx, operator, h.ids["ada"], Act{}); err != nil {
				return "", err
			}
		}
		return hash(ctx, password)
	}
	h.person("gail", role.GlobalAdministrator)
	rep := h.apply(operator, "[[user]]\nname='ada@contoso.example'\npassword='correct horse battery'\n[[user]]\nname='bob@contoso.example'\npassword='correct horse battery'\n", Act{})
	if hashed != 2 || len(rep.Changes) != 2 || h.named("ada@contoso.example").Password.Hash == "" {
		t.Errorf("%d hashes, %+v", hashed, rep)
	}
}
