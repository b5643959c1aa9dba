package issue_test

import (
	"context"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// require makes an application let only people in who are assigned to it.
func (w *world) require(id directory.AppID) {
	w.t.Helper()
	w.Update(func(tx *store.Tx) error {
		a, err := tx.App(id)
		if err != nil {
			return err
		}
		x := *a
		x.AssignmentRequired = true
		return tx.SaveApp(&x)
	})
}

func (w *world) assign(app directory.AppID, user directory.UserID, group directory.GroupID) directory.AppAssignment {
	w.t.Helper()
	a := directory.AppAssignment{ID: directory.NewID[directory.AppAssignment](w.Clock.Now()), App: app, User: user, Group: group, Created: w.Clock.Now()}
	w.Update(func(tx *store.Tx) error { return tx.AssignApp(a) })
	return a
}

// Entra's AADSTS50105, for every way a token of a person is born.
func TestOnlyWhoIsAssignedGetsTokensOfAnApplicationThatRequiresIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := newWorld(t, e, store.Hooks{})
		ctx := context.Background()
		mail := w.mailService()
		session := w.Session(w.Ada)
		is := func(what string, err error, k fault.Kind) {
			t.Helper()
			if !fault.Is(err, k) || number(err) != 50105 {
				t.Errorf("%s: %v (%d), want %v and 50105", what, err, number(err), k)
			}
		}
		before := w.signIn()
		code, err := w.code(session, allScopes)
		if err != nil {
			t.Fatal(err)
		}
		device := func() *issue.DeviceCode {
			t.Helper()
			d, err := w.issue.Device(ctx, w.client, allScopes, nil, grant.Tenant, issue.Meta{})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		decide := func(d *issue.DeviceCode) error {
			return w.issue.DeviceDecide(ctx, directory.Actor{User: w.Ada.ID, Session: session.ID}, d.User, true)
		}
		poll := func(d *issue.DeviceCode) error {
			_, err := w.issue.DevicePoll(ctx, w.client, d.Device, grant.Tenant, issue.Meta{})
			return err
		}
		approved, open := device(), device()
		if err := decide(approved); err != nil {
			t.Fatal(err)
		}
		w.require("tripboard")
		w.client = w.authenticate(issue.Credentials{ID: "tripboard"})

		if w.alive(before.Access) {
			t.Error("an access token from before lives")
		}
		_, err = w.refresh(before.Refresh, "")
		if !fault.Is(err, fault.Revoked) {
			t.Errorf("a refresh token from before: %v", err)
		}
		_, err = w.redeem(code)
		is("a code from before", err, fault.Revoked)
		is("a device code approved before", poll(approved), fault.Revoked)
		is("approving a device code", decide(open), fault.Denied)
		_, err = w.code(session, allScopes)
		is("a code", err, fault.Denied)
		plan, err := w.issue.Plan(ctx, w.client.App, allScopes, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = w.issue.Missing(ctx, w.client.App, w.Ada.ID, plan)
		is("before consent is asked for", err, fault.Denied)
		pushed, err := w.issue.Push(ctx, w.client, grant.Tenant, "response_type=code", "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.issue.Authorize(ctx, issue.AuthorizeRequest{App: w.client.App, Session: session.ID, Plan: plan, Scope: allScopes, RedirectURI: "https://tripboard.example/cb", Issuer: grant.Tenant, Pushed: pushed})
		is("a pushed request", err, fault.Denied)

		direct := w.assign("tripboard", w.Ada.ID, directory.GroupID{})
		tok := w.signIn()
		if err := decide(open); err != nil {
			t.Errorf("a device code, assigned: %v", err)
		}
		if err := poll(open); err != nil {
			t.Errorf("a device code, assigned: %v", err)
		}
		w.Clock.Add(time.Second)
		tok, err = w.refresh(tok.Refresh, "")
		if err != nil {
			t.Fatalf("a refresh, assigned: %v", err)
		}
		if in, err := w.issue.Introspect(ctx, w.client, tok.Refresh, issue.Meta{}); err != nil || !in.Active {
			t.Errorf("introspection, assigned: %+v %v", in, err)
		}

		// Exchange: who acts for the person is an application like any other.
		if _, err := w.obo(mail, tok.Access, "api://drive/.default"); err != nil {
			t.Fatal(err)
		}
		w.require("mail")
		mail = w.authenticate(issue.Credentials{ID: "mail", Secret: "s3cret"})
		_, err = w.obo(mail, tok.Access, "api://drive/.default")
		is("an exchange", err, fault.Revoked)
		own := w.assign("mail", w.Ada.ID, directory.GroupID{})
		child, err := w.obo(mail, tok.Access, "api://drive/.default offline_access")
		if err != nil {
			t.Fatalf("an exchange, assigned: %v", err)
		}
		w.Update(func(tx *store.Tx) error { return tx.UnassignApp(own) })
		if w.alive(child.Access) || !w.alive(tok.Access) {
			t.Error("taking one application away ended another, or did not end it")
		}
		w.assign("mail", w.Ada.ID, directory.GroupID{})
		if child, err = w.obo(mail, tok.Access, "api://drive/.default offline_access"); err != nil {
			t.Fatal(err)
		}

		// A group lets in too, and the last way in counts.
		team := directory.Group{ID: directory.NewID[directory.Group](w.Clock.Now()), Name: "team", Created: w.Clock.Now()}
		w.Update(func(tx *store.Tx) error { return tx.CreateGroup(team) })
		w.assign("tripboard", directory.UserID{}, team.ID)
		w.Update(func(tx *store.Tx) error { return tx.AddMember(team.ID, w.Ada.ID) })
		w.Update(func(tx *store.Tx) error { return tx.UnassignApp(direct) })
		if tok, err = w.refresh(tok.Refresh, ""); err != nil || !w.alive(tok.Access) || !w.alive(child.Access) {
			t.Fatalf("with a group left: %v", err)
		}
		w.Update(func(tx *store.Tx) error { return tx.RemoveMember(team.ID, w.Ada.ID) })
		if w.alive(tok.Access) || w.alive(child.Access) {
			t.Error("a token lives after the last way in was taken away")
		}
		if _, err = w.refresh(tok.Refresh, ""); !fault.Is(err, fault.Revoked) {
			t.Errorf("a refresh after that: %v", err)
		}
		if in, err := w.issue.Introspect(ctx, w.client, tok.Refresh, issue.Meta{}); err != nil || in.Active {
			t.Errorf("introspection after that: %+v %v", in, err)
		}
		if _, err := w.refreshAs(mail, child.Refresh, ""); !fault.Is(err, fault.Revoked) {
			t.Errorf("a refresh of what was made from it: %v", err)
		}
	})
}
