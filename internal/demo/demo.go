package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/curfew-id/curfew/guard"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
	"github.com/curfew-id/curfew/internal/term"
)

// Listen is where the demo is unless told otherwise; the applications take
// the ports behind it.
const Listen = "127.0.0.1:8320"

// Options say how the demo is run.
type Options struct {
	Listen string // loopback address and port of curfew
	Given  bool   // Listen was asked for: no other will do
	Script bool   // play the story without a browser, print it, and end
	Agent  string // how the story's terminal introduces itself to the server
}

// ErrBroken says that a promise of the story did not hold. The story has said which.
var ErrBroken = errors.New("a promise did not hold")

// Run runs the demo until ctx ends, or plays the story. Its folder is gone when it
// returns.
func Run(ctx context.Context, c *term.Console, o Options) (err error) {
	if o.Script && !o.Given {
		o.Listen = "127.0.0.1:0" // nobody types it
	}
	d, err := newStage(c.Zone, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	if o.Script {
		return newStory(c, d).play(ctx)
	}
	d.tell(c)
	return d.wait(ctx)
}

// wait returns when it is told to, or when somebody has ended who should not have.
func (d *stage) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return fmt.Errorf("the demo has ended by itself: %w", err)
	}
}

// stage is the running demo. Its goroutines end in close.
type stage struct {
	dir, base, password string
	agent               string
	zone                *time.Location
	log                 *slog.Logger
	listener            net.Listener
	mail, drive, legacy *app
	second              *app  // another process of Drive, with a short limit
	line                cable // what the second one hears curfew by
	listeners           map[*app]net.Listener

	failed     chan error // somebody ended who should not have
	running    sync.WaitGroup
	serving    sync.WaitGroup
	stop       context.CancelFunc // applications and guards
	stopServer context.CancelFunc
}

// apps are in the order of their ports; the last is nil but in the story.
func (d *stage) apps() []*app { return []*app{d.mail, d.drive, d.legacy, d.second} }

// secondLimit is how long the second process of Drive vouches for what it last
// heard: short, so that the story can wait for it.
const secondLimit = 2 * time.Second

// newDemo opens the ports and puts the applications together; nothing runs yet.
// Close what it returns.
func newStage(zone *time.Location, o Options) (*stage, error) {
	d := &stage{agent: o.Agent, zone: zone, log: slog.New(slog.DiscardHandler), failed: make(chan error, 8), listeners: map[*app]net.Listener{}, password: newPassword()}
	if err := d.construct(o); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *stage) construct(o Options) (err error) {
	if d.listener, err = openPort(o.Listen, !o.Given); err != nil {
		return fmt.Errorf("listen on %s: %w", o.Listen, err)
	}
	d.base = "http://" + d.listener.Addr().String()
	d.mail = &app{name: "Mail", id: "mail", audience: "api://mail", scope: "Mail.Read", offline: true, columns: [3]string{"From", "Subject", "At"}, rows: mailRows}
	d.drive = &app{name: "Drive", id: "drive", audience: "api://drive", scope: "Files.Read", offline: true, columns: [3]string{"Name", "Folder", "Changed"}, rows: driveRows}
	d.legacy = &app{name: "Legacy", id: "legacy", audience: "api://legacy", scope: "Reports.Read", columns: [3]string{"Report", "State", "Sum"}, rows: reportRows}
	d.mail.secret, d.drive.secret, d.legacy.secret = random(), random(), random()
	apps := []*app{d.mail, d.drive, d.legacy}
	if o.Script {
		x := d.drive
		d.second = &app{name: x.name, id: x.id, secret: x.secret, audience: x.audience, scope: x.scope, columns: x.columns, rows: x.rows}
		apps = append(apps, d.second)
	}
	host, port, _ := net.SplitHostPort(d.listener.Addr().String())
	first, _ := strconv.Atoi(port)
	if o.Script {
		first = -len(apps) - 1 // any ports
	}
	for i, a := range apps {
		l, err := openPort(net.JoinHostPort(host, strconv.Itoa(max(0, first+1+i))), true)
		if err != nil {
			return fmt.Errorf("listen for %s: %w", a.name, err)
		}
		d.listeners[a] = l
		a.base, a.issuer, a.zone = "http://"+l.Addr().String(), d.base, d.zone
		a.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		a.pending, a.sessions = map[string]pending{}, map[string]*session{}
		a.protect = a.legacy
		if a == d.legacy {
			continue
		}
		cfg := guard.Config{Issuer: d.base, ClientID: a.id, ClientSecret: guard.Secret(a.secret), Audience: a.audience, Name: a.id + "-1", Log: d.log}
		if a == d.second {
			cfg.Name, cfg.MaxStaleness, cfg.HTTPClient = a.id+"-2", secondLimit, &http.Client{Transport: &http.Transport{DialContext: d.line.dial}}
		}
		if a.guard, err = guard.New(cfg); err != nil {
			return err
		}
		scope := a.guard.Require(a.scope)
		a.protect = func(next http.Handler) http.Handler { return a.guard.Middleware(scope(next)) }
	}
	return nil
}

// openPort opens a port, or any other one if it is taken and another will do.
func openPort(addr string, other bool) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil || !other {
		return l, err
	}
	host, _, _ := net.SplitHostPort(addr)
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

// newPassword is good for one run and easy to type.
func newPassword() string {
	words := strings.Fields("amber birch cedar cobalt copper delta ember falcon garnet harbor indigo juniper lantern maple nickel onyx orchid otter pebble quartz raven sable tundra velvet walnut willow yarrow zephyr")
	pick := func(n int) int {
		i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
		if err != nil {
			panic(err) // the system has no randomness
		}
		return int(i.Int64())
	}
	return fmt.Sprintf("%s-%s-%s-%d", words[pick(len(words))], words[pick(len(words))], words[pick(len(words))], 10+pick(90))
}

//go:embed demo.toml
var manifestText string

// manifest writes the manifest and the secrets it names, and returns its path.
func (d *stage) manifest() (string, error) {
	var others strings.Builder
	for line := range strings.Lines(people) {
		if f := strings.Split(strings.TrimSpace(line), ","); len(f) == 4 {
			fmt.Fprintf(&others, "[[user]]\nname = %q\ndisplay_name = %q\njob_title = %q\ndepartment = %q\n\n", f[0]+"@contoso.example", f[1], f[2], f[3])
		}
	}
	text := strings.NewReplacer("@MAIL@", d.mail.base, "@DRIVE@", d.drive.base, "@LEGACY@", d.legacy.base, "@PEOPLE@", others.String()).Replace(manifestText)
	for name, content := range map[string]string{"demo.toml": text, "password": d.password, "mail.secret": d.mail.secret, "drive.secret": d.drive.secret, "legacy.secret": d.legacy.secret} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(d.dir, "demo.toml"), nil
}

// start makes the directory and starts everybody; it returns when the guards
// vouch.
func (d *stage) start(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "curfew-demo-"); err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Data, cfg.Listen, cfg.PublicURL, cfg.TLS, cfg.LogLevel = filepath.Join(d.dir, "data"), d.listener.Addr().String(), d.base, "off", "error"
	if cfg.Apply, err = d.manifest(); err != nil {
		return err
	}
	s, err := server.Open(ctx, cfg, d.log)
	if err != nil {
		return err
	}
	// Each ends when it is told to, applications before the server they talk to.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	serve, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	d.stop, d.stopServer = stop, stopServer
	d.serving.Go(func() { d.ended("curfew", s.Run(serve, d.listener), serve) })
	ready, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, a := range d.apps() {
		if a == nil {
			continue
		}
		srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: timeout, BaseContext: func(net.Listener) context.Context { return work }, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)}
		d.running.Go(func() { d.ended(a.name, srv.Serve(d.listeners[a]), work) })
		d.running.Go(func() { <-work.Done(); srv.Close() })
		if a.guard != nil {
			d.running.Go(func() { d.ended("the guard of "+a.name, a.guard.Run(work), work) })
		}
	}
	for _, a := range d.apps() {
		if a != nil && a.guard != nil {
			if err := a.guard.Ready(ready); err != nil {
				return fmt.Errorf("the guard of %s: %w", a.name, err)
			}
		}
	}
	return nil
}

// ended is called when somebody ends; who was told to is fine.
func (d *stage) ended(who string, err error, told context.Context) {
	if told.Err() == nil {
		d.failed <- fmt.Errorf("%s: %w", who, errors.Join(err, errors.New("ended")))
	}
}

// close ends everybody and deletes the folder.
func (d *stage) close() error {
	if d.stop != nil {
		d.stop()
		d.running.Wait()
		d.stopServer()
		d.serving.Wait()
	}
	// What was started has closed its own by now.
	for _, l := range d.listeners {
		l.Close()
	}
	if d.listener != nil {
		d.listener.Close()
	}
	if d.dir == "" {
		return nil
	}
	return os.RemoveAll(d.dir)
}

// cable is a connection to curfew that can be cut.
type cable struct {
	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func (l *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errors.Join(errors.New("the line is down"), conn.Close())
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// cut takes the line down, with all that is under way on it.
func (l *cable) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, conn := range l.conns {
		conn.Close()
	}
}

// tell says where everything is and what to try.
func (d *stage) tell(c *term.Console) {
	c.Printf("curfew demo  contoso.example, guards on Mail and Drive, none on Legacy, http on loopback\n\n")
	c.Table(c.Out, "  ", [][]term.Cell{
		{{Text: "Mail"}, {Text: d.mail.base}, {Text: "guarded", Colour: term.Green}},
		{{Text: "Drive"}, {Text: d.drive.base}, {Text: "guarded", Colour: term.Green}},
		{{Text: "Legacy"}, {Text: d.legacy.base}, {Text: "no guard: looks only at the token's signature and end", Colour: term.Amber}},
		{{Text: "Portal"}, {Text: d.base + "/portal"}, {Text: "for administrators"}},
	})
	c.Printf("\n")
	c.Table(c.Out, "  ", [][]term.Cell{
		{{Text: "ada@contoso.example"}, {Text: "no role"}},
		{{Text: "grace@contoso.example"}, {Text: "Global Administrator"}},
		{{Text: "anita@contoso.example"}, {Text: "Global Administrator"}},
		{{Text: "ursula@contoso.example"}, {Text: "User Administrator"}},
		{{Text: "henry@contoso.example"}, {Text: "Helpdesk Administrator"}},
	})
	c.Printf("\n  The password of each is  %s\n", c.Paint(term.Bold, d.password))
	c.Printf(`
Try this
  1. Open Mail, sign in as ada. Open Drive and Legacy in the next tabs.
  2. In a private window open Portal, sign in as grace, find Ada Lovelace and press
     Revoke sessions (or the key R). Keep both windows in sight.
  3. Mail and Drive say when access ended. Legacy goes on, and the receipt says until when.
  4. Sign in as ursula and try to revoke anita: what is missing is named.
  The same from a terminal:
     curfew connect %s
     curfew user list --search ada@contoso.example | curfew revoke user - --wait
`, d.base)
	c.Sayf("\nCtrl-C ends the demo and deletes its folder.\n")
}
