package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/demo"
	"github.com/curfew-id/curfew/internal/server"
	"github.com/curfew-id/curfew/internal/web/webkit/webkittest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"curfew": func() { os.Exit(curfew()) },
		// The browser that curfew connect opens: $WHO signs in.
		"browser": func() {
			address := os.Args[1]
			base, _, _ := strings.Cut(address, "/oauth2/")
			p, err := demo.NewBrowser(base).SignIn(context.Background(), address, os.Getenv("WHO"), scriptPassword, true)
			if err != nil {
				fmt.Fprintln(os.Stderr, "browser:", err, p)
				os.Exit(1)
			}
		},
	})
}

const scriptPassword = "correct horse battery"

const scriptManifest = `
[directory]
domain = "contoso.example"
name = "Contoso"

[[user]]
name = "ada@contoso.example"
display_name = "Ada Lovelace"
department = "Research"
password = "correct horse battery"

[[user]]
name = "ada-smith@contoso.example"
display_name = "Ada Smith"

[[user]]
name = "grace@contoso.example"
display_name = "Grace Hopper"
password = "correct horse battery"
roles = ["Global Administrator"]

[[user]]
name = "anita@contoso.example"
display_name = "Anita Borg"
password = "correct horse battery"
roles = ["Global Administrator"]

[[user]]
name = "ursula@contoso.example"
display_name = "Ursula Burns"
password = "correct horse battery"
roles = ["User Administrator"]

[[resource]]
id = "api://mail"
name = "Mail"
[[resource.scope]]
name = "Mail.Read"
text = "Read your mail"

[[resource]]
id = "api://legacy"
name = "Legacy"
[[resource.scope]]
name = "Legacy.Use"
text = "Use Legacy"

[[app]]
id = "reader"
name = "Reader"
public = true
first_party = true
redirect_uris = ["http://localhost"]
permissions = [{ resource = "api://mail", scopes = ["Mail.Read"] }, { resource = "api://legacy", scopes = ["Legacy.Use"] }]

[[app]]
id = "mail-api"
name = "Mail API"
secret = "a-long-secret-for-the-mail-api"
guards = ["api://mail"]

[[app]]
id = "notes"
name = "Notes"
secret = "a-long-secret-for-the-notes-service"
first_party = true
guards = ["api://mail"]
permissions = [{ resource = "api://legacy", scopes = ["Legacy.Use"] }]
`

// world is a server with guards in front of applications, for one script.
type world struct {
	base   string
	access string // the newest access token handed out

	mu     sync.Mutex
	guards map[string]*scriptGuard
}

// scriptGuard is a real guard on a line that can be cut.
type scriptGuard struct {
	stop func()
	mu   sync.Mutex
	dead bool
	open []net.Conn
}

func (g *scriptGuard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return nil, errors.New("the line is cut")
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
	if err == nil {
		g.open = append(g.open, conn)
	}
	return conn, err
}

func (g *scriptGuard) silence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = true
	for _, c := range g.open {
		c.Close()
	}
}

// startWorld runs a server as curfew serve does.
func startWorld(dir string) (w *world, stop func() error, err error) {
	file := filepath.Join(dir, "start.toml")
	if err := os.WriteFile(file, []byte(scriptManifest), 0o600); err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.Apply, cfg.TLS = filepath.Join(dir, "data"), l.Addr().String(), file, "off"
	cfg.PublicURL = fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	s, err := server.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	w = &world{base: cfg.PublicURL, guards: map[string]*scriptGuard{}}
	return w, func() error {
		for _, g := range w.guards {
			g.silence() // nobody is to wait for goodbyes
			g.stop()
		}
		cancel()
		return <-done
	}, nil
}

func (w *world) startGuard(name string) error {
	g := &scriptGuard{}
	it, err := guard.New(guard.Config{Issuer: w.base, ClientID: "mail-api", ClientSecret: "a-long-secret-for-the-mail-api", Audience: "api://mail", Name: name,
		MaxStaleness: 3 * time.Second, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: g.dial}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- it.Run(ctx) }()
	g.stop = func() { cancel(); <-done }
	w.mu.Lock()
	w.guards[name] = g
	w.mu.Unlock()
	ready, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	return it.Ready(ready)
}

// signIn signs somebody in to the reader and gets an access token for a scope.
func (w *world) signIn(user, scope string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b := demo.NewBrowser(w.base)
	p, err := b.SignIn(ctx, w.base+"/oauth2/authorize?"+url.Values{"client_id": {"reader"}, "response_type": {"code"}, "redirect_uri": {"http://localhost"},
		"scope": {"openid offline_access " + scope}, "state": {"s"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}.Encode(), user, scriptPassword, false)
	if err != nil {
		return err
	}
	resp, err := http.PostForm(w.base+"/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"reader"}, "redirect_uri": {"http://localhost"},
		"code": {p.URL.Query().Get("code")}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}) // RFC 7636, appendix B
	if err != nil {
		return err
	}
	return w.keep(resp)
}

// keep remembers the access token of an answer.
func (w *world) keep(resp *http.Response) error {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var t struct {
		Access string `json:"access_token"`
	}
	if err != nil || resp.StatusCode != 200 || json.Unmarshal(text, &t) != nil {
		return fmt.Errorf("token endpoint: %d %s %v", resp.StatusCode, text, err)
	}
	w.access = t.Access
	return nil
}

// exchange lets the service Notes exchange the newest access token.
func (w *world) exchange(scope string) error {
	resp, err := http.PostForm(w.base+"/oauth2/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"notes"},
		"client_secret": {"a-long-secret-for-the-notes-service"}, "subject_token": {w.access}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "scope": {scope}})
	if err != nil {
		return err
	}
	return w.keep(resp)
}

type worldKey struct{}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			w, stop, err := startWorld(t.TempDir())
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := stop(); err != nil {
					t.Errorf("stop the server: %v", err)
				}
			})
			env.Values[worldKey{}] = w
			env.Setenv("URL", w.base)
			env.Setenv("CURFEW_CONFIG", filepath.Join(env.WorkDir, ".config"))
			env.Setenv("BROWSER", "browser")
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// connect USER signs in through the browser's forms.
			"connect": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Setenv("WHO", args[0]+"@contoso.example")
				ts.Check(ts.Exec("curfew", "connect", ts.Getenv("URL")))
			},
			// code N ARGS… runs curfew, which must end with this code.
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				var exit *exec.ExitError
				switch err := ts.Exec("curfew", args[1:]...); {
				case errors.As(err, &exit):
					got = exit.ExitCode()
				case err != nil:
					ts.Fatalf("%v", err)
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d", got, want)
				}
			},
			"guard": func(ts *testscript.TestScript, neg bool, args []string) {
				w := ts.Value(worldKey{}).(*world)
				switch args[0] {
				case "start":
					ts.Check(w.startGuard(args[1]))
				case "silence":
					w.guards[args[1]].silence()
				default:
					ts.Fatalf("guard %s?", args[0])
				}
			},
			"signin": func(ts *testscript.TestScript, neg bool, args []string) {
				err := ts.Value(worldKey{}).(*world).signIn(args[0]+"@contoso.example", args[1])
				if neg && err == nil {
					ts.Fatalf("%s was let in", args[0])
				}
				if !neg {
					ts.Check(err)
				}
			},
			// device USER NAME: somebody registers a browser.
			"device": func(ts *testscript.TestScript, neg bool, args []string) {
				jar, err := cookiejar.New(nil)
				ts.Check(err)
				d := webkittest.Device{Client: &http.Client{Jar: jar}, Base: ts.Value(worldKey{}).(*world).base}
				ts.Check(d.SignIn(args[0]+"@contoso.example", scriptPassword))
				status, err := d.Register(args[1])
				if ts.Check(err); status != http.StatusOK {
					ts.Fatalf("register: %d", status)
				}
			},
			// exchange SCOPE: the service Notes exchanges what signin got.
			"exchange": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(ts.Value(worldKey{}).(*world).exchange(args[0]))
			},
			// lines FILE N FIELD… : JSON lines with these fields in each.
			"lines": func(ts *testscript.TestScript, neg bool, args []string) {
				all := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
				if fmt.Sprint(len(all)) != args[1] {
					ts.Fatalf("%d lines, want %s", len(all), args[1])
				}
				for _, line := range all {
					var doc map[string]any
					ts.Check(json.Unmarshal([]byte(line), &doc))
					for _, f := range args[2:] {
						if _, ok := doc[f]; !ok {
							ts.Fatalf("no %s in %s", f, line)
						}
					}
				}
			},
			// keep NAME FIELD: the field of the first JSON line of stdout, into $NAME.
			"keep": func(ts *testscript.TestScript, neg bool, args []string) {
				line, _, _ := strings.Cut(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
				var doc map[string]any
				ts.Check(json.Unmarshal([]byte(line), &doc))
				s, ok := doc[args[1]].(string)
				if !ok {
					ts.Fatalf("no text %s in %s", args[1], line)
				}
				ts.Setenv(args[0], s)
			},
		},
	})
}
