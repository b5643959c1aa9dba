package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/term"
)

func demoConsole() (*term.Console, *bytes.Buffer) {
	var out bytes.Buffer
	return &term.Console{Out: &out, Err: &bytes.Buffer{}, Getenv: func(string) string { return "" }, Now: time.Now, Zone: time.UTC}, &out
}

func TestDemoScript(t *testing.T) {
	t.Parallel()
	c, out := demoConsole()
	began := time.Now()
	err := Run(t.Context(), c, Options{Listen: Listen, Script: true})
	text := out.String()
	t.Logf("\n%s%s", text, c.Err)
	if err != nil {
		t.Errorf("ended with: %v", err)
	}
	if took := time.Since(began); took > storyTime {
		t.Errorf("took %s, promised are %s", took, storyTime)
	}
	for _, want := range []string{
		"ada      signs in to Mail ", "200  200  200", "refused  ", "Global Administrator", "cut, ledger ", "━ cut ",
		"mail, refresh token                       ended    400 invalid_grant",
		"drive, refresh token                      ended    400 invalid_grant",
		"a code from before                        ended    400 invalid_grant",
		"the device let in before                  ended    400 invalid_grant",
		"browser cookie                            ended    303 login_required",
		"mail, same access token                   ended    401 insufficient_claims",
		"drive, same access token                  ended    401 insufficient_claims",
		"drive-2, same access token                ended    401 insufficient_claims",
		"3 of 3 guards confirmed, slowest ",
		"legacy, same access token                 lives    200, until ",
		"done, no waiting minute", "dead stays dead", "closed   503", "27 of 27 held in ", "Still open: Legacy until ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not say %q", want)
		}
	}
	if strings.Contains(text, "broken") {
		t.Error("a promise is broken")
	}
}

// Without its guard an application goes on as before, and the story must say so.
func TestDemoScriptSaysWhatIsBroken(t *testing.T) {
	t.Parallel()
	c, out := demoConsole()
	d, err := newStage(time.UTC, Options{Listen: "127.0.0.1:0", Script: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.drive.protect = d.drive.legacy
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = newStory(c, d).play(t.Context())
	t.Logf("\n%s", out)
	if !errors.Is(err, ErrBroken) {
		t.Errorf("ended with: %v", err)
	}
	for _, want := range []string{"drive, same access token                  broken   still let in", "mail, same access token                   ended ", "Drive answers 200 to the old access token"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q", want)
		}
	}
}

// When somebody else is disabled nothing of ada's may end: every row that says so
// would be there without the feature.
func TestDemoScriptTriesWhatWorks(t *testing.T) {
	t.Parallel()
	c, out := demoConsole()
	d, err := newStage(time.UTC, Options{Listen: "127.0.0.1:0", Script: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := newStory(c, d)
	s.victim = "alan@contoso.example"
	if err := s.play(t.Context()); !errors.Is(err, ErrBroken) {
		t.Errorf("ended with: %v", err)
	}
	t.Logf("\n%s", out)
	for _, does := range []string{"mail, same access token", "drive, same access token", "drive-2, same access token", "mail, refresh token", "drive, refresh token",
		"a code from before", "the device let in before", "browser cookie", "introspects the access token", "the right password", "the old tokens, code and cookie"} {
		if want := fmt.Sprintf("%-*s  broken ", wideDoes, does); !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q", want)
		}
	}
}

func TestDemoEndsCleanly(t *testing.T) {
	t.Parallel()
	c, out := demoConsole()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	o := Options{Listen: "127.0.0.1:0", Given: true}
	d, err := newStage(time.UTC, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.start(ctx); err != nil {
		t.Fatal(err)
	}
	d.tell(c)
	go func() { done <- d.wait(ctx) }()
	for _, want := range []string{d.mail.base, d.drive.base, d.legacy.base, d.base + "/portal", d.password, "grace@contoso.example", "Global Administrator"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("not told: %s", want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("wait: %v", err)
	}
	if err := d.close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := os.Stat(d.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder %s was left: %v", d.dir, err)
	}
}

// The address that was asked for is the one that is used, or none.
func TestDemoPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, _ := demoConsole()
	err = Run(t.Context(), c, Options{Listen: l.Addr().String(), Given: true})
	var port *net.OpError
	if !errors.As(err, &port) || port.Op != "listen" || !strings.Contains(err.Error(), "in use") {
		t.Errorf("another port was taken, or another error: %v", err)
	}
	d, err := newStage(time.UTC, Options{Listen: l.Addr().String()})
	if err != nil {
		t.Fatalf("another port would have done: %v", err)
	}
	if err := d.close(); err != nil {
		t.Error(err)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		text string
		want []string
	}{
		{"a longer answer that breaks", []string{"a longer", "answer that", "breaks"}},
		{"", []string{""}},
	} {
		if got := wrap(x.text, 11); !slices.Equal(got, x.want) {
			t.Errorf("wrap(%q) = %q", x.text, got)
		}
	}
	if got := wrap("200  200  200", 40); len(got) != 1 || got[0] != "200  200  200" {
		t.Errorf("wrap keeps two spaces: %q", got)
	}
}
