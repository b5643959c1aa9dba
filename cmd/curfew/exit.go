package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/term"
)

// The exit codes. They are part of the interface: scripts branch on them.
const (
	exitDone        = 0
	exitSome        = 1
	exitUsage       = 2
	exitRefused     = 3
	exitSignedOut   = 4
	exitUnconfirmed = 5
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: `What the exit codes mean

  0  done. What lives on because nobody guards it is told, and is no error
  1  some of it failed or was refused
  2  the command line is wrong; nothing was done
  3  all of it was refused: a role is missing
  4  not signed in, or not any more; connect again
  5  cut, but not confirmed by every guard within --wait`}
}

// failure is an error with its exit code and what would help.
type failure struct {
	code int
	what error // nil: everything was said already
	hint string
}

func (f *failure) Error() string {
	if f.what == nil {
		return fmt.Sprint("exit ", f.code)
	}
	return f.what.Error()
}

func (f *failure) Unwrap() error { return f.what }

// exit ends a command that has said all there is to say.
func exit(code int) error {
	if code == exitDone {
		return nil
	}
	return &failure{code: code}
}

func usagef(cmd *cobra.Command, format string, a ...any) error {
	return usageError(cmd, fmt.Errorf(format, a...))
}

func usageError(cmd *cobra.Command, err error) error {
	return &failure{exitUsage, err, "curfew help" + strings.TrimPrefix(cmd.CommandPath(), "curfew")}
}

// failf is a failure of code 1 with a hint, which may be empty.
func failf(hint, format string, a ...any) error {
	return &failure{exitSome, fmt.Errorf(format, a...), hint}
}

// explain turns any error into what is said about it.
func explain(err error) *failure {
	var f *failure
	var out *client.SignedOut
	var far *client.Unreachable
	var lost *client.Lost
	var e *client.Error
	var ours *fault.Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &ours): // of a server on this machine: its operator may see why
		code, hint := exitSome, ""
		if ours.Kind == fault.Invalid {
			code = exitUsage
		}
		if cause := ours.Unwrap(); cause != nil {
			hint = "because: " + cause.Error()
		}
		return &failure{code, errors.New(ours.Public), hint}
	case errors.As(err, &out):
		return &failure{exitSignedOut, err, "connect again:  curfew connect " + out.Base}
	case errors.Is(err, client.ErrNotConnected):
		return &failure{exitSignedOut, err, "curfew connect https://…"}
	case errors.As(err, &lost):
		return &failure{exitSome, fmt.Errorf("we do not know whether it was done: %w", err), "doing it again is safe for revoke, disable and delete"}
	case errors.As(err, &far):
		hint := ""
		if strings.Contains(far.Error(), "nobody this machine believes") {
			hint = "name its certificate authority:  curfew connect --ca FILE " + far.Base + "  (on the server: curfew tls ca)"
		}
		return &failure{exitSome, err, hint}
	case errors.As(err, &e) && e.Status == 403:
		return &failure{exitRefused, err, ""}
	case errors.As(err, &e) && e.Status == 429 && e.RetryAfter > 0:
		return &failure{exitSome, err, "try again in " + term.Span(e.RetryAfter)}
	case errors.As(err, &e) && e.Status >= 500:
		return &failure{exitSome, err, "request " + e.RequestID + " in the server's log says more"}
	case errors.Is(err, context.Canceled):
		return &failure{exitSome, errors.New("stopped"), ""}
	}
	return &failure{exitSome, err, ""}
}

// end says what went wrong and returns the exit code. cmd is the command that
// ran, or would have.
func (c *console) end(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	var ran *failure
	if !errors.As(err, &ran) {
		// What our commands return went through explain; the rest is cobra
		// complaining about the command line.
		err = usageError(cmd, err)
	}
	f := explain(err)
	word := "error:"
	if f.code == exitRefused {
		word = "refused:"
	}
	if f.what != nil {
		c.Sayf("%s %s\n", c.PaintTalk(term.Red, word), term.Clean(f.what.Error()))
	}
	if f.hint != "" {
		c.hint(f.hint)
	}
	return f.code
}
