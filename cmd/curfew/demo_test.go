package main

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/curfew-id/curfew/internal/demo"
)

func TestDemoSaysWhatToDoAboutItsPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, _, talk := testConsole(nil)
	if code := execute(t.Context(), c, []string{"demo", "--listen", l.Addr().String()}); code != exitSome || !strings.Contains(talk.String(), "in use") || !strings.Contains(talk.String(), "--listen") {
		t.Errorf("exit code %d: %s", code, talk)
	}
	if code := execute(t.Context(), c, []string{"demo", "--listen", "192.0.2.1:80"}); code != exitUsage {
		t.Errorf("an address others reach: exit code %d", code)
	}
}

// The story has said what broke: there is nothing to add but the exit code.
func TestABrokenPromiseOfTheDemoIsAnExitCode(t *testing.T) {
	t.Parallel()
	var f *failure
	if err := demoEnd(demo.ErrBroken); !errors.As(err, &f) || f.code != exitSome || f.what != nil {
		t.Errorf("a broken promise: %v", err)
	}
	if err := demoEnd(nil); err != nil {
		t.Errorf("all held: %v", err)
	}
}
