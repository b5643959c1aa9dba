package relay

import (
	"slices"
	"testing"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/store"
)

// What is listed of an application or a device is what is live there, of
// everybody, and nothing that lives elsewhere.
func TestLiveSessionsAndGrantsOfAnApplicationAndOfADevice(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, url string) {
		h := newHouse(t, url)
		laptop, phone := directory.NewID[directory.Device](start), directory.NewID[directory.Device](start)
		bela := directory.NewID[directory.User](start)
		session := func(user directory.UserID, on directory.DeviceID) *grant.Session {
			return &grant.Session{ID: directory.NewID[directory.Session](start), User: user, Device: on, Created: start, LastUsed: start, AuthTime: start}
		}
		given := func(user directory.UserID, app directory.AppID, on directory.DeviceID) *grant.Grant {
			return &grant.Grant{ID: directory.NewID[directory.Grant](start), User: user, App: app, Offline: true, Device: on, Created: start, LastUsed: start, AuthTime: start}
		}
		adaLaptop, adaPhone, belaLaptop, nowhere := session(h.ada, laptop), session(h.ada, phone), session(bela, laptop), session(h.ada, directory.DeviceID{})
		mailLaptop, mailPhone, filesLaptop, belaMail := given(h.ada, "mail", laptop), given(h.ada, "mail", phone), given(h.ada, "files", laptop), given(bela, "mail", laptop)
		made := given(h.ada, "notes", phone)
		made.Chain = []grant.Link{{Grant: mailPhone.ID, App: "mail"}}
		h.update(func(tx *store.Tx) error {
			for _, a := range []directory.AppID{"files", "notes"} {
				if err := tx.SaveApp(&directory.App{ID: a, Object: directory.NewID[directory.App](start), Name: string(a), Enabled: true}); err != nil {
					return err
				}
			}
			if err := tx.CreateUser(&directory.User{ID: bela, Name: "bela@contoso.example", Enabled: true, Created: start}); err != nil {
				return err
			}
			for _, x := range []*grant.Session{adaLaptop, adaPhone, belaLaptop, nowhere} {
				x.Cookie = [32]byte(slices.Concat(x.ID[:], x.ID[:]))
				if err := tx.CreateSession(x); err != nil {
					return err
				}
			}
			for _, g := range []*grant.Grant{mailLaptop, mailPhone, filesLaptop, belaMail, made} {
				if err := tx.CreateGrant(g); err != nil {
					return err
				}
			}
			return nil
		})
		grants := func(of Holder, want ...*grant.Grant) {
			t.Helper()
			all, next, err := h.s.GrantsOf(t.Context(), h.admin, of, directory.GrantID{})
			if err != nil || !next.IsZero() {
				t.Fatalf("%+v: %v, and more from %v", of, err, next)
			}
			var got []directory.GrantID
			for _, v := range all {
				got = append(got, v.ID)
			}
			for _, g := range want {
				if !slices.Contains(got, g.ID) {
					t.Errorf("%+v: the grant of %s on %v is missing", of, g.App, g.Device)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%+v: %d grants, want %d", of, len(got), len(want))
			}
		}
		sessions := func(of Holder, want ...*grant.Session) {
			t.Helper()
			all, next, err := h.s.SessionsOf(t.Context(), h.admin, of, directory.SessionID{})
			if err != nil || !next.IsZero() {
				t.Fatalf("%+v: %v, and more from %v", of, err, next)
			}
			var got []directory.SessionID
			for _, v := range all {
				got = append(got, v.ID)
			}
			for _, x := range want {
				if !slices.Contains(got, x.ID) {
					t.Errorf("%+v: a session is missing", of)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%+v: %d sessions, want %d", of, len(got), len(want))
			}
		}
		grants(Holder{App: "mail"}, mailLaptop, mailPhone, belaMail, made)
		grants(Holder{App: "notes"}, made)
		grants(Holder{Device: laptop}, mailLaptop, filesLaptop, belaMail)
		grants(Holder{Device: phone}, mailPhone, made)
		grants(Holder{Device: directory.NewID[directory.Device](start)})
		sessions(Holder{Device: laptop}, adaLaptop, belaLaptop)
		sessions(Holder{Device: phone}, adaPhone)

		h.cut() // ends what ada holds, and nobody else's
		grants(Holder{App: "mail"}, belaMail)
		grants(Holder{Device: phone})
		sessions(Holder{Device: laptop}, belaLaptop)

		for _, of := range []Holder{{}, {App: "mail", Device: laptop}} {
			if _, _, err := h.s.GrantsOf(t.Context(), h.admin, of, directory.GrantID{}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%+v: %v", of, err)
			}
		}
		nobody := directory.Actor{User: h.ada}
		if _, _, err := h.s.GrantsOf(t.Context(), nobody, Holder{App: "mail"}, directory.GrantID{}); fault.KindOf(err) != fault.Denied {
			t.Errorf("grants of an application, without a role: %v", err)
		}
		if _, _, err := h.s.SessionsOf(t.Context(), nobody, Holder{Device: laptop}, directory.SessionID{}); fault.KindOf(err) != fault.Denied {
			t.Errorf("sessions of a device, without a role: %v", err)
		}
	})
}
