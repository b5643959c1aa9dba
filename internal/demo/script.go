package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// story is one run of curfew demo --script. Every row is a promise: it holds or
// it is broken, and then the exit code is 1.
type story struct {
	c          *term.Console
	d          *stage
	victim     string // who is disabled
	start      time.Time
	cut        time.Time // zero before
	held, told int

	ada           *Browser
	henry, grace  *client.Client
	code          string // of a sign-in that ada began and did not finish
	verifier      string // for it
	device        string // device code that ada allowed
	old           tokens // what ada had in Mail at the cut
	oldDrive      tokens
	oldLegacy     string
	legacyExpires time.Time
	receipt       string
}

// said is what a row answers: a state of UI grammar or none, and a text.
type said struct{ state, text string }

// storyTime bounds the whole.
const storyTime = 15 * time.Second

const (
	ada   = "ada@contoso.example"
	grace = "grace@contoso.example"
	henry = "henry@contoso.example"
)

func newStory(c *term.Console, d *stage) *story {
	return &story{c: c, d: d, victim: ada, start: time.Now(), ada: NewBrowser(d.base)}
}

// play tells the story.
func (s *story) play(ctx context.Context) error {
	c := s.c
	ctx, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	if !c.JSON {
		c.Printf("curfew demo  contoso.example, 3 guards on Mail and Drive, none on Legacy, http on loopback\n\n")
	}
	for _, part := range []func(context.Context){s.before, s.after, s.again} {
		part(ctx)
	}
	took := time.Since(s.start)
	if c.JSON {
		if err := c.Line(struct {
			Held      int       `json:"held"`
			Of        int       `json:"of"`
			Ms        float64   `json:"ms"`
			OpenUntil time.Time `json:"openUntil"`
		}{s.held, s.told, millis(took), s.legacyExpires.UTC()}); err != nil {
			return err
		}
	} else {
		colour := term.Green
		if s.held < s.told {
			colour = term.Red
		}
		c.Printf("\n%s in %s.  Still open: Legacy until %s, it has no guard.\n", c.Paint(colour, fmt.Sprintf("%d of %d held", s.held, s.told)), term.Span(took), c.Sec(s.legacyExpires))
	}
	if s.held < s.told {
		return ErrBroken
	}
	return ctx.Err()
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// before: ada uses everything, a helpdesk tries what it may not.
func (s *story) before(ctx context.Context) {
	s.head("s", "does")
	d := s.d
	s.row("ada", "signs in to Mail", func() (said, error) {
		if _, err := s.ada.SignIn(ctx, d.mail.base+"/signin", ada, d.password, true); err != nil {
			return said{}, err
		}
		m := s.mine(d.mail)
		if m == nil || m.access == "" || m.refresh == "" {
			return said{}, errors.New("no tokens in Mail")
		}
		return said{"", "session, grant, token until " + s.c.Sec(m.expires)}, nil
	})
	s.row("ada", "opens Drive and Legacy", func() (said, error) {
		for _, a := range []*app{d.drive, d.legacy} {
			if p, err := s.ada.SignIn(ctx, a.base+"/signin", "", "", true); err != nil {
				return said{}, err
			} else if s.mine(a) == nil {
				return said{}, fmt.Errorf("%s has no tokens (%d)", a.name, p.status)
			}
		}
		if s.ada.asked != 1 {
			return said{}, errors.New("the password was asked for again")
		}
		return said{"", "same session, no password"}, nil
	})
	s.row("ada", "reads mail, drive, legacy", func() (said, error) { return s.reads(ctx, s.ada) })
	s.row("ada", "refreshes", func() (said, error) {
		m := s.mine(d.mail)
		if m == nil {
			return said{}, errors.New("nobody is signed in to Mail")
		}
		t, err := d.mail.token(ctx, refreshForm(m.refresh))
		if err != nil || t.Error != "" || t.Access == m.access {
			return said{}, errors.Join(err, errors.New("no new token: "+t.Error))
		}
		m.mu.Lock()
		m.take(t)
		m.mu.Unlock()
		return said{"", "200  new token"}, nil
	})
	s.row("ada", "begins a sign-in, lets a device in", func() (said, error) { return said{"", "a code and a device code in hand"}, s.begin(ctx) })
	s.row("henry", "revokes grace (Helpdesk Administrator)", func() (said, error) {
		var err error
		if s.henry, err = s.connect(ctx, henry); err != nil {
			return said{}, err
		}
		_, err = s.henry.RevokeUser(ctx, grace, client.Act{Reason: "demo"})
		switch {
		case err == nil:
			return said{}, errors.New("it was done")
		case !client.Denied(err) || !strings.Contains(err.Error(), "Global Administrator"):
			return said{}, fmt.Errorf("no role is named: %w", err)
		}
		return said{"refused", err.Error()}, nil
	})
	s.row("grace", "connects from a terminal", func() (_ said, err error) {
		s.grace, err = s.connect(ctx, grace)
		return said{"", "Global Administrator"}, err
	})
}

// begin leaves two things half done that a cut must end: a code that was not
// exchanged and a device code that was allowed and not fetched.
func (s *story) begin(ctx context.Context) error {
	s.verifier = random()
	p, err := s.ada.open(ctx, http.MethodGet, s.d.mail.authorizeURL("begun", pending{s.verifier, "n"}, nil), nil, false)
	if err != nil {
		return err
	}
	if s.code = p.URL.Query().Get("code"); s.code == "" {
		return errors.New("no code")
	}
	var dev struct {
		Device string `json:"device_code"`
		At     string `json:"verification_uri_complete"`
	}
	if err := s.cli().post(ctx, "/oauth2/devicecode", url.Values{"client_id": {"curfew-cli"}, "scope": {"openid offline_access https://graph.microsoft.com/.default"}}, &dev); err != nil || dev.At == "" {
		return errors.Join(err, errors.New("no device code"))
	}
	s.device = dev.Device
	if p, err = s.ada.SignIn(ctx, dev.At, "", "", false); err == nil && p.status != http.StatusOK {
		err = fmt.Errorf("the device was not let in: %d", p.status)
	}
	return err
}

// cli is the command line as an application without a secret.
func (s *story) cli() *app {
	return &app{name: "curfew command line", id: "curfew-cli", issuer: s.d.base, http: s.d.mail.http}
}

// mine is ada's session in an application, found by the cookie in her browser.
func (s *story) mine(a *app) *session { return s.d.sessionIn(s.ada, a) }

func (d *stage) sessionIn(b *Browser, a *app) *session {
	r, err := http.NewRequest(http.MethodGet, a.base, nil)
	if err != nil {
		return nil
	}
	for _, c := range b.http.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	return a.session(r)
}

// reads opens the three applications as a browser does, and asks their APIs.
func (s *story) reads(ctx context.Context, b *Browser) (said, error) {
	var all []string
	for _, a := range []*app{s.d.mail, s.d.drive, s.d.legacy} {
		p, err := b.open(ctx, http.MethodGet, a.base+"/", nil, true)
		m := s.d.sessionIn(b, a)
		if err != nil || m == nil || p.status != http.StatusOK || !strings.Contains(p.body, a.rows[0][1]) {
			return said{}, errors.Join(err, fmt.Errorf("%s does not show its list", a.name))
		}
		status, _, err := s.ask(ctx, a, m.access)
		if err != nil || status != http.StatusOK {
			return said{}, errors.Join(err, fmt.Errorf("%s answers %d", a.name, status))
		}
		all = append(all, fmt.Sprint(status))
	}
	return said{"", strings.Join(all, "  ")}, nil
}

// ask calls an API with a token and nothing else.
func (s *story) ask(ctx context.Context, a *app, token string) (status int, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, why, err := a.call(ctx, a.base+"/api/items", token)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, why, resp.Body.Close()
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "claims": {cp1}}
}

// connect signs an administrator in as curfew connect does.
func (s *story) connect(ctx context.Context, who string) (*client.Client, error) {
	api, err := client.New(client.Store{Dir: filepath.Join(s.d.dir, "cli")}, &client.Connection{Name: who, Base: s.d.base})
	if err != nil {
		return nil, err
	}
	api.Agent = s.d.agent
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var seen error
	err = api.SignInBrowser(ctx, func(addr string) {
		if _, seen = NewBrowser(s.d.base).SignIn(ctx, addr, who, s.d.password, true); seen != nil {
			cancel()
		}
	})
	return api, errors.Join(seen, err)
}

// row tells one thing that is done and what the answer was.
func (s *story) row(who, does string, f func() (said, error)) {
	a, err := f()
	s.tell(time.Now(), who, does, a, err)
}

// Widths of the first columns, and where an answer breaks.
const (
	wideWho, wideDoes, wideAnswer = 7, 40, 62
	ruleLength                    = 96
)

func (s *story) tell(at time.Time, who, does string, a said, err error) {
	s.told++
	if err == nil {
		s.held++
	} else {
		a = said{"broken", term.Clean(err.Error())}
	}
	since, when := at.Sub(s.start), ""
	if s.counting() {
		since = at.Sub(s.cut)
		when = fmt.Sprintf("%5s", fmt.Sprintf("+%.0f", millis(since)))
	} else {
		when = fmt.Sprintf("%5.2f", since.Seconds())
	}
	if s.c.JSON {
		s.c.Line(struct {
			Ms    float64 `json:"ms"`
			After bool    `json:"sinceCut"`
			Who   string  `json:"who"`
			Does  string  `json:"does"`
			State string  `json:"state,omitempty"`
			Text  string  `json:"answer"`
			Held  bool    `json:"held"`
		}{millis(since), s.counting(), who, does, a.state, a.text, err == nil})
		return
	}
	state, indent := "", 0
	if a.state != "" {
		state = s.c.Paint(map[string]string{"ended": term.Green, "closed": term.Green, "lives": term.Amber}[a.state], a.state)
		if a.state == "refused" || a.state == "broken" {
			state = s.c.Paint(term.Red, a.state)
		}
		indent = 9
		state += strings.Repeat(" ", max(2, indent-len(a.state)))
	}
	lines := wrap(term.Clean(a.text), wideAnswer)
	s.c.Printf("%s  %-*s  %-*s  %s%s\n", when, wideWho, who, wideDoes, does, state, lines[0])
	for _, l := range lines[1:] {
		s.c.Printf("%s%s\n", strings.Repeat(" ", 5+2+wideWho+2+wideDoes+2+indent), l)
	}
}

// counting reports whether times are told since the cut.
func (s *story) counting() bool { return !s.cut.IsZero() }

func (s *story) head(unit, does string) {
	if !s.c.JSON {
		s.c.Printf("%s\n", s.c.Paint(term.Grey, fmt.Sprintf("%5s  %-*s  %-*s  %s", unit, wideWho, "who", wideDoes, does, "answer")))
	}
}

// rule draws the line, with a word in it.
func (s *story) rule(word string) {
	if s.c.JSON {
		return
	}
	text := strings.Repeat("━", ruleLength)
	if word != "" {
		text = strings.Repeat("━", ruleLength-8-term.Width(word)) + " " + word + " " + strings.Repeat("━", 6)
	}
	s.c.Printf("%s\n", s.c.Paint(term.Amber, text))
}

// wrap breaks text at single spaces.
func wrap(text string, at int) []string {
	lines := []string{""}
	for i, word := range strings.Split(text, " ") {
		last := len(lines) - 1
		switch {
		case i == 0:
			lines[0] = word
		case word != "" && term.Width(lines[last])+1+term.Width(word) > at:
			lines = append(lines, word)
		default:
			lines[last] += " " + word
		}
	}
	return lines
}
