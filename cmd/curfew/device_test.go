package main

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/demo"
)

// approver is a person who reads the code off the terminal and types it into a
// browser elsewhere.
type approver struct {
	base  string
	said  strings.Builder
	typed bool
	done  chan error
}

var shownCode = regexp.MustCompile(`Open  (\S+)  in a browser and type  ([A-Z]{4}-[A-Z]{4})`)

func (a *approver) Write(b []byte) (int, error) {
	a.said.Write(b)
	if m := shownCode.FindStringSubmatch(a.said.String()); m != nil && !a.typed {
		a.typed = true
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			_, err := demo.NewBrowser(a.base).SignIn(ctx, m[1]+"?user_code="+url.QueryEscape(m[2]), "grace@contoso.example", scriptPassword, true)
			a.done <- err
		}()
	}
	return len(b), nil
}

func TestConnectByDeviceCode(t *testing.T) {
	t.Parallel()
	w, stop, err := startWorld(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	c, out, _ := testConsole(map[string]string{"CURFEW_CONFIG": t.TempDir()})
	c.Now = time.Now
	a := &approver{base: w.base, done: make(chan error, 1)}
	c.Err = a
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if code := execute(ctx, c, []string{"connect", "--device", w.base}); code != exitDone {
		t.Fatalf("exit code %d; said %s", code, a.said.String())
	}
	if err := <-a.done; err != nil {
		t.Error(err)
	}
	if want := "Connected to " + w.base + " as grace@contoso.example, Global Administrator\n"; out.String() != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out.Reset()
	if code := execute(ctx, c, []string{"whoami"}); code != exitDone || !strings.Contains(out.String(), "grace@") {
		t.Errorf("afterwards: %d, %s", code, out)
	}
}
