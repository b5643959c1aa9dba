package issue_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// journal gives the issuer a sign-in log.
func (w *world) journal(t *testing.T) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Config{URL: filepath.Join(t.TempDir(), "signins.db"), Now: w.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	w.issue.Journal = j
	return j
}

func TestWhatPoliciesDidIsWrittenDown(t *testing.T) {
	w := newPolicyWorld(t, storetest.Engines()[0], store.Hooks{})
	j := w.journal(t)
	s := w.session()
	w.Rule(storetest.Policy(1, "", storetest.AsksMFA), storetest.Policy(2, "", `"state":"enabledForReportingButNotEnforced",`+storetest.Blocks))
	if _, err := w.begin(s, allScopes); err == nil {
		t.Fatal("one factor was enough")
	}
	if err := w.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.ProveSecond(s.ID, w.Clock.Now(), []string{"pwd", "otp"}) }); err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Second)
	code, err := w.begin(s, allScopes)
	if err != nil {
		t.Fatal(err)
	}
	w.Clock.Add(time.Second)
	tokens, err := w.take(code)
	if err != nil {
		t.Fatal(err)
	}
	w.Rule(storetest.Policy(3, "", storetest.Blocks))
	w.Clock.Add(time.Second)
	if _, err := w.renew(tokens.Refresh, ""); err == nil {
		t.Fatal("a policy that blocks does not")
	}
	all, _, err := j.List(t.Context(), journal.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		line := fmt.Sprint(e.Kind, " ", e.Flow, " ", e.UserName, " ", e.App, " ", e.Resource, " ", e.Error, " ", e.IP, " ", e.Status())
		if e.Applied != nil {
			for _, p := range e.Applied.Policies {
				line += " " + p.ID[len(p.ID)-1:] + ":" + string(p.Outcome)
			}
		}
		got = append(got, line)
		if (e.Error == 0) != (e.Reason == "") || e.Session != s.ID {
			t.Errorf("%+v", e)
		}
	}
	who := w.Ada.Name + " tripboard api://mail "
	want := []string{
		"1 authorize " + who + "50079 192.0.2.10 3 1:failure 2:reportOnlyFailure", // as the page asked
		"1 authorize " + who + "50079 192.0.2.10 3 1:failure 2:reportOnlyFailure",
		"1 authorize " + who + "0 192.0.2.10 2 1:success 2:reportOnlyFailure",
		"2 code " + who + "0 192.0.2.10 2 1:success 2:reportOnlyFailure",
		"2 refresh " + who + "53003 192.0.2.10 3 1:success 2:reportOnlyFailure 3:failure",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEveryUseOfAGrantIsWrittenDown(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	ctx := context.Background()
	s := w.Session(w.Ada)
	code, err := w.code(s, allScopes)
	if err != nil {
		t.Fatal(err)
	}
	j := w.journal(t)
	meta := issue.Meta{IP: "192.0.2.7", Request: "r1"}
	redeem := func(code string) (*issue.Tokens, error) {
		return w.issue.Code(ctx, w.client, issue.CodeRequest{Code: code, RedirectURI: "https://tripboard.example/cb", Verifier: verifier, Issuer: grant.Tenant, Meta: meta})
	}
	refresh := func(token string) (*issue.Tokens, error) {
		return w.issue.Refresh(ctx, w.client, issue.RefreshRequest{Token: token, Issuer: grant.Tenant, Arrived: w.Clock.Now(), Meta: meta})
	}
	last := func(what, want string) *journal.Entry {
		t.Helper()
		w.Clock.Add(5e9)
		all, _, err := j.List(ctx, journal.Query{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 0 {
			all = make([]journal.Entry, 1)
		}
		e := &all[0]
		if got := fmt.Sprint(e.Kind, " ", e.Flow, " ", e.UserName, " ", e.App, " ", e.Resource, " ", e.Error); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		return e
	}
	ada := w.Ada.Name

	first, err := redeem(code)
	if err != nil {
		t.Fatal(err)
	}
	e := last("a code", "2 code "+ada+" tripboard api://mail 0")
	if e.User != w.Ada.ID || e.Display != w.Ada.DisplayName || e.AppName != w.App.Name || e.ResourceName != "mail" || e.IP != "192.0.2.7" || e.Request != "r1" || e.Session != s.ID || e.Grant != first.Grant ||
		strings.Join(e.Methods, " ") != "pwd" || e.Token != claims(t, first.Access).JTI || e.Reason != "" {
		t.Errorf("a code: %+v", e)
	}
	next, err := refresh(first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if e := last("a refresh", "2 refresh "+ada+" tripboard api://mail 0"); e.Token != claims(t, next.Access).JTI || e.Grant != first.Grant || e.IP != "192.0.2.7" {
		t.Errorf("a refresh: %+v", e)
	}
	before := last("a refresh, still", "2 refresh "+ada+" tripboard api://mail 0").ID
	refresh("not a token")
	redeem("not a code")
	if e := last("what proves nothing", "2 refresh "+ada+" tripboard api://mail 0"); e.ID != before {
		t.Errorf("what proves nothing is written down: %+v", e)
	}
	redeem(code)
	// Used twice: whose it was is known before the code is judged, and what it gave ends.
	refresh(next.Refresh)
	if e := last("a refresh of what has ended", "2 refresh "+ada+" tripboard  50173"); e.Reason == "" || e.Token != "" || e.Grant != first.Grant {
		t.Errorf("a refusal: %+v", e)
	}

	// Exchange.
	parent := w.signIn()
	mail := w.mailService()
	child, err := w.issue.OnBehalfOf(ctx, mail, issue.OnBehalfOfRequest{Assertion: parent.Access, Use: "on_behalf_of", Scope: driveForMSAL, Issuer: grant.Tenant, Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	if e := last("an exchange", "2 exchange "+ada+" mail api://drive 0"); e.Grant != child.Grant {
		t.Errorf("an exchange: %+v", e)
	}
	w.obo(mail, "not a token", driveForMSAL)
	last("an exchange of nothing, by a client that has proven itself", "2 exchange  mail  50013")

	// An application as itself.
	principal := storetest.Person("robot", w.Clock.Now())
	principal.Service = true
	app := &directory.App{ID: "robot", Name: "Robot", Object: directory.NewID[directory.App](w.Clock.Now()), Enabled: true, Principal: principal.ID,
		Secrets: []directory.AppSecret{{ID: "1", Hash: sum("s3cret")}}, AppPermissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Send.All"}}}}
	w.Update(func(tx *store.Tx) error {
		if err := tx.CreateUser(principal); err != nil {
			return err
		}
		return tx.SaveApp(app)
	})
	robot := w.authenticate(issue.Credentials{ID: "robot", Secret: "s3cret"})
	own, err := w.issue.ClientCredentials(ctx, robot, "api://mail/.default", nil, grant.Tenant, meta)
	if err != nil {
		t.Fatal(err)
	}
	if e := last("an application", "3 client_credentials "+principal.Name+" robot api://mail 0"); e.Token != claims(t, own.Access).JTI || e.User != principal.ID {
		t.Errorf("an application: %+v", e)
	}
	w.Disable(principal)
	w.issue.ClientCredentials(ctx, robot, "api://mail/.default", nil, grant.Tenant, meta)
	last("one whose identity is disabled", "3 client_credentials "+principal.Name+" robot api://mail 50057")

	// A device.
	d, err := w.issue.Device(ctx, w.client, allScopes, nil, grant.Tenant, meta)
	if err != nil {
		t.Fatal(err)
	}
	before = last("before the device", "3 client_credentials "+principal.Name+" robot api://mail 50057").ID
	w.issue.DevicePoll(ctx, w.client, d.Device, grant.Tenant, meta)
	if e := last("a poll", "3 client_credentials "+principal.Name+" robot api://mail 50057"); e.ID != before {
		t.Errorf("a poll is written down: %+v", e)
	}
	actor := directory.Actor{User: w.Ada.ID, Session: s.ID, Born: s.Born, Owner: s.Owner(), Kind: cutoff.Browser}
	if err := w.issue.DeviceDecide(ctx, actor, d.User, true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.issue.DevicePoll(ctx, w.client, d.Device, grant.Tenant, meta); err != nil {
		t.Fatal(err)
	}
	last("a device", "2 device "+ada+" tripboard api://mail 0")
}

// What anybody can cause: refused credentials of an application are in the log, and a
// name that is nobody's is not.
func TestAWrongClientSecretIsWrittenDown(t *testing.T) {
	w := newWorld(t, storetest.Engines()[0], store.Hooks{})
	j := w.journal(t)
	for _, c := range []issue.Credentials{
		{ID: "tripboard", Secret: "guessed", IP: "198.51.100.9"}, {ID: "tripboard", Secret: "guessed again", IP: "198.51.100.9"},
		{ID: "nobody", Secret: "guessed", IP: "198.51.100.9"},
	} {
		if _, err := w.issue.Client(t.Context(), c); err == nil {
			t.Fatalf("%+v is a client", c)
		}
	}
	all, _, err := j.List(t.Context(), journal.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	if e := all[0]; e.Kind != journal.Service || e.App != "tripboard" || e.AppName == "" || e.Flow != "client" || e.IP != "198.51.100.9" || e.Error != 7000215 && e.Error != 700025 || e.Reason == "" {
		t.Errorf("%+v", e)
	}
}
