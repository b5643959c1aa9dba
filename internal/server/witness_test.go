package server

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/audit"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
)

// Whoever goes on with what a spared account was given is on record, and the
// administrators hear of it.
func TestTheUseOfASparedAccountIsOnRecordAndAdministratorsAreWrittenTo(t *testing.T) {
	t.Parallel()
	address, letters := postbox(t)
	s := withFactors(t, func(c *config.Config) { c.SMTP, c.MailFrom = address, "curfew@contoso.example" })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	in := ada(t, s) // before she is spared: no record of the sign-in
	grace := ""
	if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
		ids, err := tx.Holders(role.GlobalAdministrator)
		if err != nil {
			return err
		}
		grace = ids[0].String()
		if _, err := tx.ChangeUser(ids[0], store.UserChange{}, func(u *directory.User) error { u.Mail = "grace@mail.example"; return nil }); err != nil {
			return err
		}
		return tx.SaveDocument(&store.Document{Kind: store.SparedDocument, ID: in.User.ID.String(), Doc: "{}"})
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.access.At(t.Context(), in.Session.ID, access.Use{Client: access.Account, Resource: directory.OwnAPI, IP: "192.0.2.7"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.signin.Visit(t.Context(), in.Cookie, signin.Visit{App: access.Portal, IP: "192.0.2.7"}); err != nil {
		t.Fatal(err)
	}
	got := letters(1)[0]
	for _, says := range []string{"To: <grace@mail.example>", "An account that no policy touches was used", "ada@contoso.example"} {
		if !strings.Contains(strings.ReplaceAll(got, "=\r\n", ""), says) {
			t.Errorf("the letter to %s does not say %q:\n%s", grace, says, got)
		}
	}
	var records []audit.Record
	for end := time.Now().Add(20 * time.Second); len(records) < 2 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		records = nil
		if err := s.db.Read(t.Context(), func(tx *store.Tx) error {
			all, err := tx.Audits(store.AuditQuery{Target: in.User.ID.String(), Limit: 100})
			for _, r := range all {
				if r.Action == usedSpared {
					records = append(records, r)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(records) != 2 || records[0].IP != "192.0.2.7" || records[0].Changes[0].New == records[1].Changes[0].New {
		t.Errorf("the own page three times and the portal once: %+v", records)
	}
	if n := len(letters(1)); n != 1 {
		t.Errorf("%d letters within the hour", n)
	}
}
