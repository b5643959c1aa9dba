package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/cutoff"
	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/risks"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/watch"
)

// A refresh token that is used from two networks is a finding where that rule is on,
// and what a policy says about the risk follows.
func TestATokenUsedFromTwoNetworksIsFoundWhereThatIsLookedFor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e)
		n := s.nodes[0]
		app := *s.App
		app.FirstParty = true
		s.Update(func(tx *store.Tx) error { return tx.SaveApp(&app) })
		s.Rule(storetest.Policy(1, `"userRiskLevels":["medium"]`, storetest.Blocks))
		from := func(ip, token string) (status int, next, why string) {
			t.Helper()
			q := httptest.NewRequest("POST", modelBase+"/common/oauth2/v2.0/token", strings.NewReader(url.Values{"grant_type": {"refresh_token"}, "client_id": {string(app.ID)}, "refresh_token": {token}}.Encode()))
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			q.RemoteAddr = ip + ":4711"
			rec := httptest.NewRecorder()
			n.handler.ServeHTTP(rec, q)
			var a struct {
				Refresh string `json:"refresh_token"`
				Why     string `json:"error_description"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
				t.Fatalf("%v: %s", err, rec.Body)
			}
			return rec.Code, a.Refresh, a.Why
		}
		for _, on := range []bool{false, true} {
			if err := n.watch.SetRules(t.Context(), operator, map[risk.Rule]bool{risk.TwoNetworks: on}, manage.Act{}); err != nil {
				t.Fatal(err)
			}
			c, err := n.code(s.Session(s.Ada), allScopes)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := n.redeem(c)
			if err != nil {
				t.Fatal(err)
			}
			status, next, why := from("192.0.2.7", tok.Refresh)
			if status != http.StatusOK {
				t.Fatalf("at home: %d %s", status, why)
			}
			if all, _, err := n.watch.Detections(t.Context(), operator, watch.Query{}, watch.DetectionID{}); err != nil || len(all) > 0 {
				t.Fatalf("found at home: %v %v", all, err)
			}
			from("198.51.100.7", tok.Refresh)
			all, _, err := n.watch.Detections(t.Context(), operator, watch.Query{}, watch.DetectionID{})
			if err != nil {
				t.Fatal(err)
			}
			status, _, why = from("192.0.2.7", next)
			if !on {
				if len(all) > 0 || status != http.StatusOK {
					t.Errorf("not looked for: found %v, then %d %s", all, status, why)
				}
				continue
			}
			if len(all) != 1 || all[0].Rule != risk.TwoNetworks || all[0].User != s.Ada.ID || all[0].IP != "198.51.100.7" || !strings.Contains(all[0].Why, "192.0.2.0/24") || !strings.Contains(all[0].Why, "198.51.100.0/24") {
				t.Errorf("found %+v", all)
			}
			if status != http.StatusBadRequest || !strings.Contains(why, "AADSTS53003") {
				t.Errorf("the next refresh: %d %s", status, why)
			}
		}
	})
}

// The file has 198.51.100.0/24 in Berlin and 203.0.113.0/24 in Tokyo, and was written
// by build of internal/geo's tests.
func TestSomebodyWhoTravelsTooFastIsFoundWithARealDatabaseOfPlaces(t *testing.T) {
	t.Parallel()
	const home, far, elsewhere = "198.51.100.7", "203.0.113.9", "192.0.2.1"
	for name, x := range map[string]struct {
		on     bool
		file   string
		second string
		after  time.Duration
		found  bool
	}{
		"an hour":                         {true, "places.mmdb", far, time.Hour, true},
		"a day":                           {true, "places.mmdb", far, 24 * time.Hour, false},
		"to where the file does not know": {true, "places.mmdb", elsewhere, time.Hour, false},
		"not looked for":                  {false, "places.mmdb", far, time.Hour, false},
		"no file":                         {true, "", far, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clock := t.TempDir(), storetest.NewClock()
			cfg := config.Default()
			cfg.Data, cfg.PublicURL, cfg.TLS, cfg.Apply = filepath.Join(dir, "data"), "http://localhost:8443", "off", filepath.Join(dir, "first.toml")
			if x.file != "" {
				cfg.GeoIP = filepath.Join("testdata", x.file)
			}
			if err := os.WriteFile(cfg.Apply, []byte(situated), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := OpenAt(t.Context(), cfg, slog.New(slog.DiscardHandler), clock.Now)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			if err := s.watch.SetRules(t.Context(), operator, map[risk.Rule]bool{risk.ImpossibleTravel: x.on, risk.PasswordSpray: true}, manage.Act{}); err != nil {
				t.Fatal(err)
			}
			if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
				tx.By(store.By{Force: true}) // nobody here is an administrator
				return storetest.Rule(tx, storetest.Policy(1, `"signInRiskLevels":["medium"]`, storetest.Blocks))
			}); err != nil {
				t.Fatal(err)
			}
			enter := func(ip string) error {
				t.Helper()
				in, _, err := s.signin.Password(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: "correct horse battery", IP: ip})
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.access.At(t.Context(), in.Session.ID, access.Use{Client: "tripboard", Resource: "api://mail", IP: ip})
				if err != nil && !blockedByPolicy(err) {
					t.Fatal(err)
				}
				return err
			}
			if err := enter(home); err != nil {
				t.Fatalf("at home: %v", err)
			}
			clock.Add(x.after)
			err = enter(x.second)
			all, _, found := s.watch.Detections(t.Context(), operator, watch.Query{}, watch.DetectionID{})
			if found != nil {
				t.Fatal(found)
			}
			if !x.found {
				if err != nil || len(all) > 0 {
					t.Errorf("found %v, then %v", all, err)
				}
				return
			}
			if err == nil || len(all) != 1 {
				t.Fatalf("%v, found %v", err, all)
			}
			if all[0].Rule != risk.ImpossibleTravel || risk.Level([]risk.Rule{all[0].Rule}) != policy.MediumRisk ||
				!strings.Contains(all[0].Why, "From Berlin, DE (198.51.100.7) to Tokyo, JP (203.0.113.9) are 8") {
				t.Errorf("found %+v", all[0].Detection)
			}
		})
	}
}

// As Entra has it: who changes the password after a second factor has the account back,
// and whom an administrator gave a new one. What was proven before the finding may have
// been the thief's.
func TestANewPasswordClosesTheRiskOfWhoeverWasProvenSince(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, e)
		n := s.nodes[0]
		const old = "correct horse battery"
		find := func(r risk.Rule, in directory.SessionID) {
			t.Helper()
			s.Clock.Add(time.Minute)
			s.Update(func(tx *store.Tx) error {
				_, err := risks.Add(tx, &risks.Detection{User: s.Ada.ID, Session: in, Rule: r, IP: "192.0.2.9", Why: "A fact."})
				return err
			})
		}
		second := func(x *signin.Signed) {
			t.Helper()
			s.Clock.Add(time.Minute)
			s.Update(func(tx *store.Tx) error {
				return tx.ProveSecond(x.Session.ID, s.Clock.Now(), []string{"pwd", "otp"})
			})
		}
		change := func(x *signin.Signed) {
			t.Helper()
			s.Clock.Add(time.Minute)
			if _, _, err := n.signin.ChangePassword(t.Context(), x, old, "a new one, and a long one"); err != nil {
				t.Fatal(err)
			}
		}
		give := func(by directory.Actor) {
			t.Helper()
			if _, _, err := n.manage.SetPassword(t.Context(), by, s.Ada.ID, old, false, manage.Act{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range []struct {
			name string
			do   func(x *signin.Signed)
			by   risk.Rule // "": it stays
		}{
			{"one factor", func(x *signin.Signed) { find(risk.TokenReused, x.Session.ID); change(x) }, ""},
			{"a second factor before the finding", func(x *signin.Signed) { second(x); find(risk.TokenReused, x.Session.ID); change(x) }, ""},
			{"a second factor since", func(x *signin.Signed) { find(risk.TokenReused, x.Session.ID); second(x); change(x) }, risk.Changed},
			{"since the first of two findings", func(x *signin.Signed) {
				find(risk.TokenReused, x.Session.ID)
				second(x)
				find(risk.TwoNetworks, directory.SessionID{})
				change(x)
			}, ""},
			{"confirmed, and a second factor since", func(x *signin.Signed) { find(risk.Confirmed, directory.SessionID{}); second(x); change(x) }, risk.Changed},
			{"given by an administrator", func(x *signin.Signed) { find(risk.TokenReused, x.Session.ID); give(operator) }, risk.Reset},
			{"confirmed, and given by an administrator", func(x *signin.Signed) { find(risk.Confirmed, directory.SessionID{}); give(operator) }, risk.Reset},
			{"given by herself", func(x *signin.Signed) {
				find(risk.TokenReused, x.Session.ID)
				give(directory.Actor{User: s.Ada.ID, Name: s.Ada.Name, Born: cutoff.MaxPos, Operator: true})
			}, ""},
		} {
			if err := n.watch.Dismiss(t.Context(), operator, s.Ada.ID, manage.Act{}); err != nil {
				t.Fatal(err)
			}
			give(operator)
			in, _, err := n.signin.Password(t.Context(), signin.Attempt{Username: s.Ada.Name, Password: old, IP: "192.0.2.7"})
			if err != nil {
				t.Fatal(err)
			}
			s.Clock.Add(time.Minute)
			x.do(in)
			u, err := n.watch.User(t.Context(), operator, s.Ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			var here policy.Risk
			s.Read(func(tx *store.Tx) error { here, err = risks.OfSession(tx, in.Session.ID); return err })
			closed := x.by != ""
			if (u.Level == policy.NoRisk) != closed || (u.State.State == watch.Remediated) != closed || u.By != x.by || len(u.Why) > 0 == closed || closed && here != policy.NoRisk {
				t.Errorf("%s: %v %s by %q, %d findings, the session %v", x.name, u.Level, u.State.State, u.By, len(u.Why), here)
			}
		}
		found, _, err := n.watch.History(t.Context(), operator, s.Ada.ID, watch.DetectionID{})
		if err != nil {
			t.Fatal(err)
		}
		by := map[risk.Rule]int{}
		for _, d := range found {
			if risk.Weight(d.Rule) > 0 {
				by[d.By]++
			}
		}
		if by[risk.Changed] != 2 || by[risk.Reset] != 2 || by[risk.Dismissed] != 4 || by[""] != 1 {
			t.Errorf("closed by %v", by)
		}
	})
}
