package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/deliver"
	"github.com/curfew-id/curfew/internal/device"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/egress"
	"github.com/curfew-id/curfew/internal/factor"
	"github.com/curfew-id/curfew/internal/federate"
	"github.com/curfew-id/curfew/internal/govern"
	"github.com/curfew-id/curfew/internal/grant"
	"github.com/curfew-id/curfew/internal/issue"
	"github.com/curfew-id/curfew/internal/keys"
	"github.com/curfew-id/curfew/internal/manage"
	"github.com/curfew-id/curfew/internal/relay"
	"github.com/curfew-id/curfew/internal/review"
	"github.com/curfew-id/curfew/internal/revoke"
	rules "github.com/curfew-id/curfew/internal/risk"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/rotate"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/devices"
	"github.com/curfew-id/curfew/internal/store/journal"
	"github.com/curfew-id/curfew/internal/store/storetest"
	"github.com/curfew-id/curfew/internal/upstream"
	"github.com/curfew-id/curfew/internal/watch"
	"github.com/curfew-id/curfew/internal/web/graph/access"
	"github.com/curfew-id/curfew/internal/web/graph/api"
	graphdevices "github.com/curfew-id/curfew/internal/web/graph/devices"
	"github.com/curfew-id/curfew/internal/web/graph/methods"
	"github.com/curfew-id/curfew/internal/web/graph/own"
	"github.com/curfew-id/curfew/internal/web/graph/registration"
	"github.com/curfew-id/curfew/internal/web/graph/risk"
	"github.com/curfew-id/curfew/internal/web/graph/signins"
)

var update = flag.Bool("update", false, "rewrite testdata")

const base = "https://id.contoso.example"

// world is the API on a real database, with people.
type world struct {
	Server
	t      *testing.T
	db     *store.DB
	clock  *storetest.Clock
	mux    *http.ServeMux
	hasher *signin.Hasher
	factor *factor.Service
	watch  *watch.Service
	log    *journal.Journal
	names  map[string]string // what transcripts call an id: "ada" -> UUID
	tokens map[string]string
	cursor map[string]string // of guard processes
	guards map[string]relay.ProcessID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock(), mux: http.NewServeMux(), hasher: signin.NewHasher(), names: map[string]string{}, tokens: map[string]string{},
		cursor: map[string]string{}, guards: map[string]relay.ProcessID{}}
	dir := t.TempDir()
	w.db = storetest.Open(t, store.Config{URL: filepath.Join(dir, "curfew.db"), Mark: filepath.Join(dir, "mark"), Now: w.clock.Now, Sleep: w.clock.Add})
	lives, quiet := grant.DefaultLifetimes(), slog.New(slog.DiscardHandler)
	log, err := journal.Open(t.Context(), journal.Config{URL: filepath.Join(dir, "signins.db"), Now: w.clock.Now})
	w.must(err)
	t.Cleanup(func() { log.Close() })
	w.log = log
	k, err := keys.Open(t.Context(), w.db, bytes.Repeat([]byte{7}, 32), w.clock.Now)
	w.must(err)
	cut := &revoke.Service{DB: w.db, Log: quiet, Lifetimes: lives, Now: w.clock.Now}
	enter := &signin.Service{DB: w.db, Revoke: cut, Lifetimes: lives, Now: w.clock.Now, Log: quiet, Hasher: w.hasher, Limits: signin.NewLimits()}
	var tenant string
	w.must(w.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.NameDirectory("contoso.example", "Contoso"); err != nil {
			return err
		}
		d, err := tx.Directory()
		tenant = d.Tenant.String()
		return err
	}))
	w.names["tenant"] = tenant
	w.Server = Server{Server: &api.Server{
		Manage: &manage.Service{DB: w.db, Revoke: cut, Hash: func(ctx context.Context, p string) (string, error) { return w.hasher.Hash(ctx, p, true) },
			CheckPassword: enter.CheckNew, API: directory.OwnAPI, Reserved: []string{base + "/graph", string(directory.OwnAPI)}, Now: w.clock.Now, Log: quiet},
		Relay:    &relay.Service{DB: w.db, Secret: k.Derive("feed cursor"), Now: w.clock.Now, Log: quiet, Lifetimes: lives},
		Federate: &federate.Service{DB: w.db, Keys: k, Upstream: &upstream.Client{Egress: &egress.Client{}, Now: w.clock.Now}, Revoke: cut, Base: base},
		Deliver:  &deliver.Service{DB: w.db, Keys: k, Egress: &egress.Client{}, Now: w.clock.Now, Issuer: func(grant.Issuer) string { return base }},
		Rotate:   &rotate.Service{DB: w.db, Keys: k, Revoke: cut},
		Revoke:   cut, SignIn: enter, Base: base, Tenant: tenant, Log: quiet, Now: w.clock.Now,
		Issue: &issue.Service{DB: w.db, Keys: k, Revoke: cut, Base: base, Tenant: tenant, Lifetimes: lives, Now: w.clock.Now, Log: quiet},
		Domain: func(ctx context.Context) (domain string, err error) {
			err = w.db.Read(ctx, func(tx *store.Tx) error {
				d, err := tx.Directory()
				domain = d.Domain
				return err
			})
			return domain, err
		},
	}}
	known := graphdevices.Server{Server: w.Server.Server, Device: &device.Service{DB: w.db, Revoke: cut, Origin: base}}
	conditions := access.Server{Server: w.Server.Server, Govern: &govern.Service{DB: w.db, Lifetimes: lives, Log: quiet}}
	w.watch = &watch.Service{DB: w.db, Now: w.clock.Now}
	found := risk.Server{Server: w.Server.Server, Watch: w.watch}
	w.factor = &factor.Service{DB: w.db, Keys: k, SignIn: enter, Revoke: cut, Base: base, Log: quiet}
	proofs := methods.Server{Server: w.Server.Server, Factor: w.factor}
	w.Register(w.mux, proofs.Routes(), proofs.OwnRoutes(), w.Routes(), registration.Server{Server: w.Server.Server}.Routes(), own.Server{Server: w.Server.Server}.Routes(), conditions.Routes(), conditions.OwnRoutes(), known.Routes(), known.OwnRoutes(),
		w.signins().Routes(), w.signins().OwnRoutes(), found.Routes(), found.OwnRoutes())
	w.fill()
	return w
}

func (w *world) signins() signins.Server {
	return signins.Server{Server: w.Server.Server, Review: &review.Service{DB: w.db, Journal: w.log}}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// everything is every permission of our own API that a person can give.
var everything = []string{"User.Read", "User.ReadWrite", "User.Read.All", "User.RevokeSessions.All", "User.ReadWrite.All", "Directory.AccessAsUser.All", "RoleManagement.Read.Directory"}

var operator = directory.Actor{Operator: true, Name: "operator"}

func (w *world) fill() {
	for _, p := range []struct {
		name, display, job string
		roles              []directory.RoleID
	}{
		{"grace", "Grace Hopper", "Rear admiral", []directory.RoleID{role.GlobalAdministrator}},
		{"ada", "Ada Lovelace", "Analyst", nil},
		{"hedy", "Hedy Lamarr", "Inventor", []directory.RoleID{role.HelpdeskAdministrator}},
		{"dennis", "Dennis Ritchie", "", []directory.RoleID{role.UserAdministrator}},
		{"mallory", "Mallory O'Hara", "", nil},
	} {
		w.clock.Add(time.Millisecond) // ids are in order of time
		u, _, err := w.Manage.CreateUser(w.t.Context(), operator, manage.NewUser{Name: p.name + "@contoso.example", DisplayName: p.display, JobTitle: p.job, Mail: p.name + "@contoso.example"}, manage.Act{})
		w.must(err)
		w.names[p.name] = u.ID.String()
		for _, r := range p.roles {
			_, err := w.Manage.Assign(w.t.Context(), operator, manage.NewAssignment{User: u.ID, Role: r}, manage.Act{})
			w.must(err)
		}
	}
	own := []directory.Permission{{Resource: directory.OwnAPI, Scopes: everything}}
	hash := sha256.Sum256([]byte("a secret of forty characters, or nearly so"))
	secret := []directory.AppSecret{{ID: "1", Hash: hash[:], Hint: "a s", Created: w.clock.Now()}}
	w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		robot := storetest.Person("robot", tx.Now)
		robot.Name, robot.DisplayName, robot.Service, robot.Password = "app:robot", "Robot", true, directory.Credential{}
		w.names["robot"] = robot.ID.String()
		if err := tx.CreateUser(robot); err != nil {
			return err
		}
		for _, r := range []*directory.Resource{{ID: "api://mail", Name: "Mail", Scopes: []directory.Scope{{Name: "Mail.Read"}}, Created: tx.Now}, {ID: "api://legacy", Name: "Legacy", Scopes: []directory.Scope{{Name: "Use"}}, Created: tx.Now}} {
			if err := tx.SaveResource(r); err != nil {
				return err
			}
		}
		for i, a := range []*directory.App{
			{ID: "curfew-cli", Name: "curfew", Public: true, FirstParty: true, Permissions: own, RedirectURIs: []string{"http://localhost"}},
			{ID: "mail", Name: "Mail", Secrets: secret, Guards: []directory.ResourceID{"api://mail"}, RedirectURIs: []string{"https://mail.contoso.example/cb"},
				Permissions: []directory.Permission{{Resource: "api://mail", Scopes: []string{"Mail.Read"}}, {Resource: "api://legacy", Scopes: []string{"Use"}}}},
			{ID: "robot", Name: "Robot", Secrets: secret, Principal: robot.ID, AppPermissions: []directory.Permission{{Resource: directory.OwnAPI, Scopes: []string{"User.RevokeSessions.All"}}}},
		} {
			a.Object, a.Enabled, a.Created = directory.NewID[directory.App](tx.Now.Add(time.Duration(i)*time.Millisecond)), true, tx.Now
			w.names["app-"+string(a.ID)] = a.Object.String()
			if err := tx.SaveApp(a); err != nil {
				return err
			}
		}
		return nil
	}))
}

// signIn makes a browser session for a person.
func (w *world) signIn(name string) *grant.Session {
	w.t.Helper()
	now := w.clock.Now()
	id, err := directory.ParseID[directory.User](w.names[name])
	w.must(err)
	s := &grant.Session{ID: directory.NewID[directory.Session](now), User: id, Created: now, LastUsed: now, AuthTime: now, AMR: []string{"pwd"}, IP: "192.0.2.7", Agent: "Firefox on Linux"}
	s.Cookie = sha256.Sum256(s.ID[:])
	w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error { return tx.CreateSession(s) }))
	return s
}

// code gives an application a grant in the session and returns its first tokens.
func (w *world) code(s *grant.Session, client directory.AppID, secret, scope string, cp1 bool) *issue.Tokens {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.Issue.Client(ctx, issue.Credentials{ID: client, Secret: secret})
	w.must(err)
	plan, err := w.Issue.Plan(ctx, c.App, scope, nil)
	w.must(err)
	// Consented to once and for all: a second, narrower consent would take away.
	missing, _, err := w.Issue.Missing(ctx, c.App, s.User, plan)
	w.must(err)
	w.must(w.db.Update(ctx, func(tx *store.Tx) error {
		for _, p := range missing {
			all := []string{"openid", "profile", "email"}
			for _, x := range c.App.Permissions {
				if x.Resource == p.Resource {
					all = append(all, x.Scopes...)
				}
			}
			if err := tx.SaveConsent(directory.Consent{User: s.User, App: c.App.ID, Resource: p.Resource, Scopes: all}); err != nil {
				return err
			}
		}
		return nil
	}))
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	code, err := w.Issue.Authorize(ctx, issue.AuthorizeRequest{App: c.App, Session: s.ID, Plan: plan, Scope: scope, RedirectURI: c.RedirectURIs[0], Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), CP1: cp1})
	w.must(err)
	tokens, err := w.Issue.Code(ctx, c, issue.CodeRequest{Code: code, RedirectURI: c.RedirectURIs[0], Verifier: verifier})
	w.must(err)
	return tokens
}

const clientSecret = "a secret of forty characters, or nearly so"

// token is an access token of somebody: "ada", "ada+cp1" (through a client that
// understands claims challenges), "ada:User.Read" (through one that has only
// that), "robot" (an application), "mail:ada" (not for this API).
func (w *world) token(who string) string {
	w.t.Helper()
	if t, ok := w.tokens[who]; ok {
		return t
	}
	name, scope, narrow := strings.Cut(who, ":")
	name, cp1 := strings.CutSuffix(name, "+cp1")
	if !narrow {
		scope = "Directory.AccessAsUser.All"
	}
	var t string
	switch {
	case name == "robot":
		c, err := w.Issue.Client(w.t.Context(), issue.Credentials{ID: "robot", Secret: clientSecret})
		w.must(err)
		tokens, err := w.Issue.ClientCredentials(w.t.Context(), c, directory.GraphAlias+"/.default", nil, grant.Tenant, issue.Meta{})
		w.must(err)
		t = tokens.Access
	case name == "mail":
		t = w.code(w.signIn(scope), "mail", clientSecret, "api://mail/Mail.Read offline_access", false).Access
	default:
		s := w.signIn(name)
		w.names["session-"+name] = s.ID.String()
		tokens := w.code(s, "curfew-cli", "", scope+" offline_access", cp1)
		w.names["grant-"+name] = tokens.Grant.String()
		t = tokens.Access
	}
	w.tokens[who] = t
	return t
}

// ask lets a guard process ask: it acknowledges what it was given before.
func (w *world) ask(name string) {
	w.t.Helper()
	app := &directory.App{ID: "mail", Guards: []directory.ResourceID{"api://mail"}}
	if _, ok := w.guards[name]; !ok {
		r, err := w.Relay.Register(w.t.Context(), app, relay.Registration{Name: name, Resource: "api://mail", MaxStaleness: 10 * time.Second, Version: "test/1"})
		w.must(err)
		w.guards[name], w.names[name] = r.Process, r.Process.String()
	}
	a, err := w.Relay.Ask(w.t.Context(), app, relay.Ask{Process: w.guards[name], After: w.cursor[name]})
	w.must(err)
	w.cursor[name] = a.Cursor
}

// do runs one request against the API.
func (w *world) do(method, target, token string, header http.Header, body []byte) *http.Response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, bytes.NewReader(body))
	r.RemoteAddr = "198.51.100.4:50000"
	for k, v := range header {
		r.Header[k] = v
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec.Result()
}

var (
	uuids       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	others      = regexp.MustCompile(`("hint": "[A-Za-z0-9]{3}"|"id": "[\w-]{24,}"|rc_[0-9a-f]{8}-\d+|cfs_[A-Za-z0-9]{40}|skiptoken=[\w-]+|"(?:value|password|@curfew\.password)": ?"(?:[a-z2-9]{4}-){3}[a-z2-9]{4}"|"temporaryAccessPass": "[a-z2-9-]{14}")`)
	placeholder = regexp.MustCompile(`\{[a-z]+(-[a-z0-9-]+)?\}`)
)

// hide replaces what differs from run to run by a name, the same for the same.
func (w *world) hide(s, request string) string {
	s = strings.ReplaceAll(s, request, "{request}")
	name := func(what, kind string) string {
		for n, id := range w.names {
			if id == what {
				return "{" + n + "}"
			}
		}
		for i := 1; ; i++ {
			n := fmt.Sprintf("%s-%d", kind, i)
			if _, ok := w.names[n]; !ok {
				w.names[n] = what
				return "{" + n + "}"
			}
		}
	}
	s = uuids.ReplaceAllStringFunc(s, func(id string) string {
		if _, known := role.Find(directory.RoleID(id)); known {
			return id
		}
		return name(id, "id")
	})
	return others.ReplaceAllStringFunc(s, func(x string) string {
		switch {
		case uuids.MatchString(x):
			return x
		case strings.HasPrefix(x, `"id"`): // made of other ids
			return `"id": "` + name(x[7:len(x)-1], "opaque") + `"`
		case strings.HasPrefix(x, `"hint"`):
			return `"hint": "{hint}"`
		case strings.HasPrefix(x, "rc_"):
			return name(x, "receipt")
		case strings.HasPrefix(x, "cfs_"):
			return name(x, "secret")
		case strings.HasPrefix(x, "skiptoken="):
			return "skiptoken=" + name(x[len("skiptoken="):], "page")
		}
		i := strings.LastIndex(x, `: `)
		return x[:i+2] + `"` + name(strings.Trim(x[i+2:], `"`), "password") + `"`
	})
}

func (w *world) show(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		if v, ok := w.names[p[1:len(p)-1]]; ok {
			return v
		}
		return p
	})
}

// headers are those a transcript shows.
var headers = []string{"Allow", "Content-Type", "Curfew-Receipt", "Location", "Retry-After", "Www-Authenticate", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"}

// exchange runs the request of a transcript and returns the answer's lines:
//
//	who METHOD target
//	Header: value
//
//	body
func (w *world) exchange(lines []string) []string {
	w.t.Helper()
	head := strings.SplitN(w.show(lines[0]), " ", 3)
	if len(head) != 3 {
		w.t.Fatalf("not a request: %q", lines[0])
	}
	header, token := http.Header{}, ""
	if head[0] != "-" {
		token = w.token(head[0])
	}
	i := 1
	for ; i < len(lines) && lines[i] != ""; i++ {
		k, v, _ := strings.Cut(w.show(lines[i]), ": ")
		header.Add(k, v)
	}
	var body []byte
	if i+1 < len(lines) {
		body = []byte(w.show(strings.Join(lines[i+1:], "\n")))
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json")
		}
	}
	if header.Get("Content-Encoding") == "gzip" {
		body = zipped(body)
	}
	res := w.do(head[1], strings.ReplaceAll(head[2], " ", "%20"), token, header, body)
	answer, err := io.ReadAll(res.Body)
	w.must(err)
	w.clock.Add(time.Millisecond) // ids are in order of time
	out, all := []string{fmt.Sprint(res.StatusCode)}, res.StatusCode == http.StatusUnauthorized || head[1] == http.MethodOptions
	for _, h := range headers {
		if strings.HasPrefix(h, "Access-") && !all || h == "Content-Type" && strings.HasPrefix(res.Header.Get(h), "application/json") && !all {
			continue
		}
		for _, v := range res.Header.Values(h) {
			out = append(out, h+": "+v)
		}
	}
	if len(answer) > 0 {
		var pretty bytes.Buffer
		if json.Indent(&pretty, answer, "", "  ") == nil {
			answer = pretty.Bytes()
		}
		out = append(append(out, ""), strings.Split(strings.TrimRight(string(answer), "\n"), "\n")...)
	}
	return strings.Split(w.hide(strings.Join(out, "\n"), res.Header.Get("request-id")), "\n")
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// command runs a line of a transcript that begins with "!".
func (w *world) command(line string) {
	w.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "wait":
		d, err := time.ParseDuration(words[1])
		w.must(err)
		w.clock.Add(d)
	case "signins": // what happened yesterday
		w.yesterday()
	case "forget": // the next request of somebody comes with a new token
		delete(w.tokens, words[1])
	case "risk": // a rule finds something about somebody
		id, err := directory.ParseID[directory.User](w.names[words[1]])
		w.must(err)
		w.clock.Add(time.Millisecond)
		w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			return w.watch.Note(tx, rules.Rule(words[2]), &grant.Grant{User: id}, "203.0.113.9", strings.Join(words[3:], " "))
		}))
	case "mail": // somebody opens the mail application
		w.names["session-"+words[1]+"-mail"] = ""
		s := w.signIn(words[1])
		w.names["session-"+words[1]+"-mail"] = s.ID.String()
		w.names["grant-"+words[1]+"-mail"] = w.code(s, "mail", clientSecret, "api://mail/Mail.Read offline_access", false).Grant.String()
	case "legacy":
		w.code(w.signIn(words[1]), "mail", clientSecret, "api://legacy/Use offline_access", false)
	case "guard": // a guard process asks, and so confirms what it was given before
		w.ask(words[1])
	case "method": // somebody registers one
		id, err := directory.ParseID[directory.User](w.names[words[1]])
		w.must(err)
		docs := map[string]string{"passkey": `{"id":"AQ==","public":"AQ==","aaguid":"6ij4+Um9T9KwhGqYAmvjiw==","eligible":true,"synced":true}`, "codes": `{"left":["AQ==","Ag==","Aw=="]}`, "totp": "{}"}
		w.clock.Add(time.Millisecond)
		m := &directory.Method{ID: directory.NewID[directory.Method](w.clock.Now()), User: id, Kind: directory.MethodKind(words[2]), Name: strings.Join(words[3:], " "), Created: w.clock.Now(), Doc: docs[words[2]]}
		w.names[words[1]+"-"+words[2]] = m.ID.String()
		w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error { _, err := tx.AddMethod(m, store.UserChange{Own: true}); return err }))
	case "device": // somebody registers one, and signs in there
		id, err := directory.ParseID[directory.User](w.names[words[1]])
		w.must(err)
		w.clock.Add(time.Millisecond)
		d := &directory.Device{ID: directory.NewID[directory.Device](w.clock.Now()), User: id, Name: strings.Join(words[3:], " "), Platform: words[2], Created: w.clock.Now(), LastSeen: w.clock.Now(),
			Enabled: true, Trust: directory.DeviceRegistered}
		d.Key, d.Cookie = d.ID[:], sha256.Sum256(d.ID[:])
		w.names["device-"+words[3]] = d.ID.String()
		s := w.signIn(words[1])
		w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			if err := devices.Create(tx, d); err != nil {
				return err
			}
			return devices.Bind(tx, s.ID, d.ID)
		}))
	case "password":
		hash, err := w.hasher.Hash(w.t.Context(), strings.Join(words[2:], " "), true)
		w.must(err)
		id, err := directory.ParseID[directory.User](w.names[words[1]])
		w.must(err)
		w.must(w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			_, err := tx.ChangeUser(id, store.UserChange{}, func(u *directory.User) error {
				u.Password = directory.Credential{Hash: hash, Version: u.Password.Version + 1, Changed: tx.Now}
				return nil
			})
			return err
		}))
	default:
		w.t.Fatalf("unknown command %q", line)
	}
}

// TestTranscripts plays every file of testdata: lines after ">" are requests,
// after "<" the answers that are expected, after "!" what happens elsewhere.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := string(text)
			got := play(newWorld(t), want)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s differs:\n%s", file, firstDifference(want, got))
			}
		})
	}
}

func play(w *world, text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.HasPrefix(l, "<") })
	var out []string
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		if cmd, ok := strings.CutPrefix(lines[i], "! "); ok {
			w.command(cmd)
		}
		if !strings.HasPrefix(lines[i], "> ") {
			continue
		}
		request := []string{lines[i][2:]}
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], ">") {
			i++
			out = append(out, lines[i])
			request = append(request, strings.TrimPrefix(strings.TrimPrefix(lines[i], ">"), " "))
		}
		for _, l := range w.exchange(request) {
			out = append(out, strings.TrimRight("< "+l, " "))
		}
	}
	return strings.Join(out, "\n")
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, strings.Join(a[i:min(i+6, len(a))], "\n     "), strings.Join(b[i:min(i+6, len(b))], "\n     "))
		}
	}
	return "one is longer"
}
