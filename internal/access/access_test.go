package access_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

func TestPlatformsAreReadFromAgents(t *testing.T) {
	for agent, want := range map[string]policy.Platform{
		"": 0, "curl/8.1": 0, "Microsoft.Identity.Client": 0,
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                       policy.Linux,
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari Edg/141":     policy.Windows,
		"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950)":                        policy.WindowsPhone,
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/141 Mobile":                policy.Android,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1":     policy.IOS,
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15":                           policy.IOS,
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605": policy.MacOS,
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/141.0":                     0,
		"Firefox on Linux": policy.Linux, "Edge on Windows": policy.Windows, "Safari on iPhone": policy.IOS, "Chrome on Android": policy.Android, "Safari on macOS": policy.MacOS,
		"Chrome on ChromeOS": 0, "An unknown browser": 0,
	} {
		if got := access.PlatformOf(agent); got != want {
			t.Errorf("%q: %d, want %d", agent, got, want)
		}
	}
}

func TestProgramsAreWhatTheyAreRegisteredAs(t *testing.T) {
	const web, spa, native = "https://app.example/cb", "https://spa.example/", "http://localhost/cb"
	for _, x := range []struct {
		app      directory.App
		redirect string
		want     policy.ClientType
	}{
		{directory.App{RedirectURIs: []string{web}}, web, policy.Browser},
		{directory.App{RedirectURIs: []string{web}}, "", policy.Browser},
		{directory.App{Public: true, RedirectURIs: []string{native}}, native, policy.Native},
		{directory.App{Public: true, RedirectURIs: []string{native}}, "", policy.Native},
		{directory.App{Public: true, DeviceCode: true}, "", policy.Native},
		{directory.App{Public: true, SPARedirectURIs: []string{spa}}, spa, policy.Browser},
		{directory.App{Public: true, SPARedirectURIs: []string{spa}}, "", policy.Browser},
		{directory.App{Public: true, RedirectURIs: []string{native}, SPARedirectURIs: []string{spa}}, spa, policy.Browser},
		{directory.App{Public: true, RedirectURIs: []string{native}, SPARedirectURIs: []string{spa}}, native, policy.Native},
		{directory.App{Public: true, RedirectURIs: []string{native}, SPARedirectURIs: []string{spa}}, "", 0}, // could be either
		{directory.App{Public: true, SPARedirectURIs: []string{spa}, DeviceCode: true}, "", 0},
	} {
		if got := access.ProgramOf(&x.app, x.redirect); got != x.want {
			t.Errorf("%+v at %q: %d, want %d", x.app, x.redirect, got, x.want)
		}
	}
}

func TestContextsHaveNumbers(t *testing.T) {
	for name, want := range map[string]int{"c1": 1, "C25": 25, "c99": 99, "c0": 0, "c100": 0, "c01": 0, "c+1": 0, "c": 0, "1": 0, "": 0, "possessionorinherence": 0} {
		n, ok := access.ContextNumber(name)
		if ok != (want != 0) || ok && n != want {
			t.Errorf("%q: %d %v", name, n, ok)
		}
	}
}

func TestANilServiceJudges(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		var s *access.Service
		judge := func() (r *access.Ruling, err error) {
			w.Read(func(tx *store.Tx) error {
				r, err = s.Judge(tx, &access.Use{User: w.Ada.ID, Client: "tripboard", Resource: "api://mail", IP: "192.0.2.1", AuthTime: tx.Now})
				return nil
			})
			return r, err
		}
		if r, err := judge(); err != nil || r.Decision != policy.Allow {
			t.Errorf("without policies: %+v %v", r, err)
		}
		w.Rule(storetest.Policy(1, "", storetest.Blocks))
		r, err := judge()
		var refused *access.Refused
		if !fault.Is(err, fault.Denied) || !errors.As(err, &refused) || refused.Decision != policy.Block || r == nil || refused.Ruling != r {
			t.Errorf("blocked: %+v %v", r, err)
		}
		if got := r.Explain(); len(got) != 1 || got[0].Outcome != policy.Failure {
			t.Errorf("explained: %+v", got)
		}
	})
}

// Break-glass opens when a policy cannot be read, too, and nothing else does.
func TestSparedAccountsGetInWhileAPolicyCannotBeRead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		w.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1), Doc: "{"}, &store.Document{Kind: store.SparedDocument, ID: w.Grace.ID.String(), Doc: "{}"})
		s := &access.Service{DB: w.DB}
		w.Read(func(tx *store.Tx) error {
			for range 2 { // nothing of the first answer is kept for the second
				if _, err := s.Judge(tx, &access.Use{User: w.Ada.ID, Client: access.Portal, Resource: directory.OwnAPI}); !fault.Is(err, fault.Unavailable) {
					t.Errorf("Ada: %v", err)
				}
				if r, err := s.Judge(tx, &access.Use{User: w.Grace.ID, Client: access.Portal, Resource: directory.OwnAPI}); err != nil || r.Decision != policy.Allow {
					t.Errorf("Grace, who is spared: %+v %v", r, err)
				}
			}
			return nil
		})
	})
}

// Each use of a spared account is told once an hour for a session and an application.
func TestUsesOfSparedAccountsAreTold(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})
	w.Rule(&store.Document{Kind: store.SparedDocument, ID: w.Grace.ID.String(), Doc: "{}"})
	var told []access.Witnessed
	s := &access.Service{DB: w.DB, Witness: func(x access.Witnessed) { told = append(told, x) }}
	one, two := directory.SessionID{1}, directory.SessionID{2}
	for i, c := range []struct {
		user    directory.UserID
		session directory.SessionID
		client  directory.AppID
		later   time.Duration
		want    int
	}{
		{w.Ada.ID, one, "tripboard", 0, 0}, {w.Grace.ID, one, "tripboard", 0, 1}, {w.Grace.ID, one, "tripboard", 59 * time.Minute, 1}, {w.Grace.ID, two, "tripboard", 0, 2},
		{w.Grace.ID, two, access.Portal, 0, 3}, {w.Grace.ID, one, "tripboard", time.Minute, 4}, {w.Grace.ID, one, "tripboard", 0, 4},
	} {
		w.Clock.Add(c.later)
		w.Read(func(tx *store.Tx) error {
			_, err := s.Judge(tx, &access.Use{User: c.user, Session: c.session, Client: c.client, IP: "192.0.2.7"})
			return err
		})
		if len(told) != c.want {
			t.Errorf("after use %d: %+v", i, told)
		}
	}
	if x := told[0]; x.User != w.Grace.ID || x.Session != one || x.Client != "tripboard" || x.IP != "192.0.2.7" || x.At.IsZero() || x.Unread {
		t.Errorf("%+v", x)
	}
	w.Rule(&store.Document{Kind: store.PolicyDocument, ID: storetest.PolicyID(1), Doc: "{"})
	w.Read(func(tx *store.Tx) error {
		_, err := s.Judge(tx, &access.Use{User: w.Grace.ID, Session: one, Client: "tripboard"})
		return err
	})
	if n := len(told); n != 5 || !told[n-1].Unread {
		t.Errorf("while policies cannot be read: %+v", told)
	}
}

// What cannot be read refuses; what is not there to be asked is not known.
func TestFactsThatCannotBeReadRefuse(t *testing.T) {
	t.Parallel()
	w := storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})
	w.Rule(storetest.Policy(1, `"users":{"includeUsers":["All"],"excludeUsers":["`+w.Ada.ID.String()+`"]},"userRiskLevels":["high"]`, storetest.Blocks))
	broken := errors.New("broken")
	for what, s := range map[string]*access.Service{
		"device": {Device: func(*store.Tx, directory.DeviceID) (policy.Device, error) { return policy.Device{}, broken }},
		"risk":   {Risk: func(*store.Tx, *access.Use) (access.Risk, error) { return access.Risk{}, broken }},
	} {
		w.Read(func(tx *store.Tx) error {
			if _, err := s.Judge(tx, &access.Use{User: w.Ada.ID, Device: directory.DeviceID{1}}); !errors.Is(err, broken) {
				t.Errorf("%s: %v", what, err)
			}
			return nil
		})
	}
}

// A refresh pays for reading risk only where a policy looks at it.
func TestRiskIsReadWhereItDecidesAndForTheLogOfSignIns(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		conditions, members string
		interactive, want   bool
	}{
		"no word of it":             {"", storetest.AsksMFA, false, false},
		"no word of it, at sign-in": {"", storetest.AsksMFA, true, true},
		"of the account":            {`"userRiskLevels":["low"]`, storetest.AsksMFA, false, true},
		"of the sign-in":            {`"signInRiskLevels":["low"]`, storetest.AsksMFA, false, true},
		"reported on":               {`"userRiskLevels":["low"]`, storetest.AsksMFA + `,"state":"enabledForReportingButNotEnforced"`, false, true},
		"in a policy that is off":   {`"userRiskLevels":["low"]`, storetest.AsksMFA + `,"state":"disabled"`, false, false},
	} {
		w := storetest.NewWorld(t, storetest.Engines()[0], store.Hooks{})
		w.Rule(storetest.Policy(1, c.conditions, c.members), storetest.Policy(2, `"locations":{"includeLocations":["AllTrusted"]}`, storetest.Blocks))
		got := false
		s := &access.Service{Risk: func(*store.Tx, *access.Use) (access.Risk, error) { got = true; return access.Risk{}, nil }}
		w.Read(func(tx *store.Tx) error {
			s.Judge(tx, &access.Use{User: w.Ada.ID, Interactive: c.interactive})
			return nil
		})
		if got != c.want {
			t.Errorf("%s: read: %v, want %v", what, got, c.want)
		}
	}
}

func TestPagesAreToldWhatIsMissing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Engine) {
		w := storetest.NewWorld(t, e, store.Hooks{})
		s := &access.Service{DB: w.DB, Country: func(netip.Addr) (policy.Country, bool) { return policy.Country{}, false }}
		x := w.Session(w.Ada)
		w.Rule(storetest.Policy(1, "", storetest.AsksMFA))
		at := access.Use{Client: access.Account, Resource: directory.OwnAPI}
		_, err := s.At(t.Context(), x.ID, at)
		var refused *access.Refused
		if !errors.As(err, &refused) || refused.Needs != policy.NeedMFA || refused.Number != 50079 || len(refused.Names) != 1 || refused.Names[0] != "mfa" {
			t.Errorf("%+v %v", refused, err)
		}
		// Who has something that could be given is asked for it, and not to set it up.
		m := &directory.Method{ID: directory.NewID[directory.Method](w.Clock.Now()), User: w.Ada.ID, Kind: directory.MethodTOTP, Name: "Phone", Created: w.Clock.Now(), Doc: "{}"}
		w.Update(func(tx *store.Tx) error { _, err := tx.AddMethod(m, store.UserChange{}); return err })
		if _, err := s.At(t.Context(), x.ID, at); !errors.As(err, &refused) || refused.Number != 50076 {
			t.Errorf("with a method: %+v %v", refused, err)
		}
		w.Update(func(tx *store.Tx) error { return tx.ProveSecond(x.ID, tx.Now, []string{"otp"}) })
		if r, err := s.At(t.Context(), x.ID, at); err != nil || r.Facts.Platform != 0 || r.Facts.Flow != policy.NoFlow {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := s.At(t.Context(), directory.SessionID{1}, at); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("no session: %v", err)
		}
		w.Rule(storetest.Policy(1, "", `"sessionControls":{"signInFrequency":{"isEnabled":true,"frequencyInterval":"everyTime","authenticationType":"primaryAndSecondaryAuthentication"}}`))
		w.Clock.Add(time.Hour)
		if _, err := s.At(t.Context(), x.ID, at); !fault.Is(err, fault.Unauthenticated) || !errors.As(err, &refused) || refused.Number != 70044 {
			t.Errorf("too old: %v", err)
		}
	})
}
