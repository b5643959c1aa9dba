package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

const situated = `[directory]
domain = "contoso.example"
name = "Contoso"
[[user]]
name = "ada@contoso.example"
password = "correct horse battery"
[[group]]
name = "Staff"
[[resource]]
id = "api://mail"
name = "Mail"
[[resource.scope]]
name = "Read"
text = "Read"
[[resource]]
id = "api://drive"
name = "Drive"
[[app]]
id = "tripboard"
name = "Tripboard"
public = true
first_party = true
redirect_uris = ["http://localhost/cb"]
permissions = [{ resource = "api://mail", scopes = ["Read"] }, { resource = "curfew", scopes = ["openid", "profile"] }]
`

// met is one situation of the table that internal/issue keeps in its testdata, as far as
// it is read here.
type met struct {
	Name  string
	Rules []struct {
		Kind, ID, Broken string
		Doc              json.RawMessage
	}
	Member, PasswordChanged      bool
	Role, AMR, Age, Second, Life string
	IP, Agent, Has, Country      string
	SignInRisk, UserRisk         string
	Contexts                     []string
	Authorize, Refresh           string
}

// meeting is a server in which situations are met one after the other.
type meeting struct {
	*Server
	t      *testing.T
	clock  *storetest.Clock
	x      met
	cookie string
	ada    directory.UserID
	staff  directory.GroupID
}

func (m *meeting) agent() string {
	switch m.x.Agent {
	case "":
		return "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	case "windows":
		return "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0"
	}
	return m.x.Agent
}

// ask sends a request as ada's browser, or as her program, would.
func (m *meeting) ask(r *http.Request) *http.Response {
	m.t.Helper()
	switch r.RemoteAddr = cmp.Or(m.x.IP, "192.0.2.10") + ":4711"; {
	case m.x.IP == "-":
		r.RemoteAddr = ""
	}
	r.Header.Set("User-Agent", m.agent())
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	return w.Result()
}

// authorize asks for a code without a word to ada: the code, and else what is said
// instead.
func (m *meeting) authorize() (code, outcome string) {
	m.t.Helper()
	sum := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	q := url.Values{"client_id": {"tripboard"}, "response_type": {"code"}, "redirect_uri": {"http://localhost/cb"}, "scope": {"openid offline_access api://mail/Read"}, "state": {"s"}, "prompt": {"none"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	if len(m.x.Contexts) > 0 {
		q.Set("claims", fmt.Sprintf(`{"access_token":{"acrs":{"essential":true,"values":["%s"]}}}`, strings.Join(m.x.Contexts, `","`)))
	}
	r := httptest.NewRequest("GET", m.cfg.PublicURL+"/common/oauth2/v2.0/authorize?"+q.Encode(), nil)
	r.AddCookie(&http.Cookie{Name: "curfew", Value: m.cookie})
	res := m.ask(r)
	to, err := res.Location()
	if err != nil {
		if res.StatusCode == http.StatusServiceUnavailable {
			return "", "unavailable"
		}
		m.t.Fatalf("authorize answers %d without a place to go", res.StatusCode)
	}
	back := to.Query()
	if back.Get("error") == "temporarily_unavailable" || back.Get("error") == "server_error" {
		return "", "unavailable"
	}
	return back.Get("code"), m.told(number(back.Get("error_description")), back.Get("error"), back.Get("suberror"), back.Get("claims"))
}

// number is the AADSTS number that a text begins with.
func number(text string) (n int) {
	fmt.Sscanf(text, "AADSTS%d:", &n)
	return n
}

// told is a refusal in the table's words; whoever is refused by policies is told by
// which.
func (m *meeting) told(n int, code, sub, claims string) string {
	m.t.Helper()
	if code == "" {
		return ""
	}
	if (n == 53003 || strings.HasPrefix(code, "interaction")) && !strings.Contains(claims, `"capolids"`) {
		m.t.Errorf("AADSTS%d without the policies: %s", n, claims)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", n, code, sub))
}

type answered struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Sub         string `json:"suberror"`
	Claims      string `json:"claims"`
	Refresh     string `json:"refresh_token"`
	Expires     int    `json:"expires_in"`
}

func (m *meeting) token(form url.Values) (a answered, outcome string) {
	m.t.Helper()
	form.Set("client_id", "tripboard")
	r := httptest.NewRequest("POST", m.cfg.PublicURL+"/common/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := m.ask(r)
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		m.t.Fatal(err)
	}
	switch {
	case res.StatusCode == http.StatusServiceUnavailable:
		return a, "unavailable"
	case a.Error == "":
		return a, ""
	case res.StatusCode != http.StatusBadRequest || len(a.Codes) != 1 || a.Codes[0] != number(a.Description):
		m.t.Errorf("status %d, codes %v, text %q", res.StatusCode, a.Codes, a.Description)
	}
	return a, m.told(number(a.Description), a.Error, a.Sub, a.Claims)
}

func (m *meeting) redeem(code string) (answered, string) {
	m.t.Helper()
	return m.token(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://localhost/cb"}, "code_verifier": {strings.Repeat("v", 43)}})
}

func (m *meeting) renew(token string) (answered, string) {
	m.t.Helper()
	return m.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (m *meeting) update(f func(*store.Tx) error) {
	m.t.Helper()
	if err := m.db.Update(m.t.Context(), func(tx *store.Tx) error {
		tx.By(store.By{Force: true}) // nobody here is an administrator
		return f(tx)
	}); err != nil {
		m.t.Fatal(err)
	}
}

// signIn opens a session with the proof of the situation.
func (m *meeting) signIn() {
	m.t.Helper()
	in, _, err := m.signin.Password(m.t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: "correct horse battery", IP: "192.0.2.10", Agent: m.agent()})
	if err != nil {
		m.t.Fatal(err)
	}
	m.cookie = in.Cookie
	amr := strings.Fields(cmp.Or(m.x.AMR, "pwd"))
	m.update(func(tx *store.Tx) error {
		if err := tx.ReproveSession(in.Session.ID, m.clock.Now().Add(-lasts(m.t, m.x.Age)), amr); err != nil || !policy.TwoFactors(policy.MethodsOf(amr)) {
			return err
		}
		if err := tx.ProveSecond(in.Session.ID, m.clock.Now().Add(-lasts(m.t, m.x.Second)), nil); err != nil {
			return err
		}
		return tx.TouchSession(in.Session.ID, m.clock.Now())
	})
}

func lasts(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(s, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func meet(t *testing.T) *meeting {
	t.Helper()
	m := &meeting{t: t, clock: storetest.NewClock()}
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Data, cfg.PublicURL, cfg.TLS, cfg.Apply = filepath.Join(dir, "data"), "http://localhost:8443", "off", filepath.Join(dir, "first.toml")
	if err := os.WriteFile(cfg.Apply, []byte(situated), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.Server, err = OpenAt(t.Context(), cfg, slog.New(slog.DiscardHandler), m.clock.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	risks := map[string]policy.Risk{"none": policy.NoRisk, "low": policy.LowRisk, "medium": policy.MediumRisk, "high": policy.HighRisk}
	m.access.Risk = func(*store.Tx, *access.Use) (access.Risk, error) {
		return access.Risk{SignIn: risks[m.x.SignInRisk], User: risks[m.x.UserRisk], Changed: m.x.PasswordChanged}, nil
	}
	m.access.Country = func(netip.Addr) (c policy.Country, known bool) { return c, copy(c[:], m.x.Country) > 0 }
	m.access.Registered = func(*store.Tx, directory.UserID) (policy.Methods, error) {
		return policy.Password.Set() | map[string]policy.Methods{"otp": policy.SoftwareOTP.Set(), "passkey": policy.Passkey.Set()}[m.x.Has], nil
	}
	m.update(func(tx *store.Tx) error {
		u, err := tx.UserByName("ada@contoso.example")
		if err != nil {
			return err
		}
		all, err := tx.Groups()
		m.ada, m.staff = u.ID, all[0].ID
		return err
	})
	return m
}

// The table of situations, met at the real endpoints: what a browser that is asked
// nothing is sent back with, and what the token endpoint answers, number, suberror,
// claims and all.
func TestSituationsEndAtTheEndpointsAsEntraEndsThem(t *testing.T) {
	t.Parallel()
	m := meet(t)
	text, err := os.ReadFile("../issue/testdata/situations.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []met
	in := json.NewDecoder(strings.NewReader(strings.NewReplacer("{ada}", m.ada.String(), "{staff}", m.staff.String()).Replace(string(text))))
	in.DisallowUnknownFields()
	if err := in.Decode(&all); err != nil || len(all) < 60 {
		t.Fatalf("%d situations: %v", len(all), err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			m.t, m.x = t, x
			defer func() { m.t = t }()
			m.clock.Add(time.Minute) // limits of tries are by time
			m.signIn()
			if x.Member {
				m.update(func(tx *store.Tx) error { return tx.AddMember(m.staff, m.ada) })
			}
			role := directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](m.clock.Now()), Role: directory.RoleID(x.Role), User: m.ada}
			if x.Role != "" {
				m.update(func(tx *store.Tx) error { return tx.AssignRole(role) })
			}
			var rules, before []*store.Document
			for _, r := range x.Rules {
				d := &store.Document{Kind: r.Kind, ID: r.ID, Doc: string(r.Doc) + r.Broken}
				if rules = append(rules, d); r.Kind == store.ContextDocument {
					before = append(before, d)
				}
			}
			m.update(func(tx *store.Tx) error { return storetest.Rule(tx, before...) })
			code, outcome := m.authorize()
			if outcome != "" {
				t.Fatalf("before the policies: %s", outcome)
			}
			old, outcome := m.redeem(code)
			if outcome != "" {
				t.Fatalf("before the policies: %s %+v", outcome, old)
			}
			m.update(func(tx *store.Tx) error { return storetest.Rule(tx, rules...) })
			life := int(cmp.Or(lasts(t, x.Life), time.Hour) / time.Second)
			code, outcome = m.authorize()
			if outcome != x.Authorize {
				t.Errorf("authorize: %q, want %q", outcome, x.Authorize)
			}
			if code != "" {
				if got, outcome := m.redeem(code); outcome != "" || got.Expires != life {
					t.Errorf("code: %q, for %d s, want %d", outcome, got.Expires, life)
				}
			}
			got, outcome := m.renew(old.Refresh)
			if outcome != x.Refresh || outcome == "" && got.Expires != life {
				t.Errorf("refresh: %q for %d s, want %q for %d", outcome, got.Expires, x.Refresh, life)
			}
			m.update(func(tx *store.Tx) error {
				for _, d := range rules {
					if err := tx.DeleteDocument(d.Kind, d.ID); err != nil {
						return err
					}
				}
				if x.Role != "" {
					if _, err := tx.RemoveRole(role.ID); err != nil {
						return err
					}
				}
				if x.Member {
					return tx.RemoveMember(m.staff, m.ada)
				}
				return nil
			})
		})
	}
}
