package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/curfew-id/curfew/internal/client"
)

// console is where a command reads and writes, and what all commands share.
type console struct {
	in       io.Reader
	out, err io.Writer
	// Which of them are terminals.
	inTTY, outTTY, errTTY bool
	getenv                func(string) string
	now                   func() time.Time
	zone                  *time.Location
	// secret reads a line without showing it; only used where inTTY.
	secret func() ([]byte, error)

	json, text bool
	connection string

	lines *bufio.Reader // over in, for prompts
}

func newConsole() *console {
	tty := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	return &console{in: os.Stdin, out: os.Stdout, err: os.Stderr, inTTY: tty(os.Stdin), outTTY: tty(os.Stdout), errTTY: tty(os.Stderr),
		getenv: os.Getenv, now: time.Now, zone: time.Local,
		secret: func() ([]byte, error) { return term.ReadPassword(int(os.Stdin.Fd())) }}
}

// printf answers.
func (c *console) printf(format string, a ...any) { fmt.Fprintf(c.out, format, a...) }

// sayf talks.
func (c *console) sayf(format string, a ...any) { fmt.Fprintf(c.err, format, a...) }

func (c *console) hint(text string) { c.sayf("%s %s\n", c.dim("hint:"), clean(text)) }

// line answers with one JSON object.
func (c *console) line(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// listsJSON reports whether what is read is answered in JSON lines: when asked
// for, and into a pipe, where the next command reads it.
func (c *console) listsJSON() bool { return c.json || !c.outTTY && !c.text }

// Colours. The word beside them says the same.
const (
	red   = "31"
	green = "32"
	amber = "33"
	grey  = "90"
	bold  = "1"
)

// paint colours text for stdout, when that is a terminal that wants it.
func (c *console) paint(colour, text string) string { return c.painted(c.outTTY, colour, text) }

// dim is for talk on stderr.
func (c *console) dim(text string) string { return c.painted(c.errTTY, grey, text) }

func (c *console) painted(tty bool, colour, text string) string {
	if !tty || c.getenv("NO_COLOR") != "" || c.getenv("TERM") == "dumb" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// clean takes out what could move a cursor or hide text: names come from
// elsewhere.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return '\uFFFD'
		}
		return r
	}, s)
}

// run wraps what a command does, so that its errors are told from cobra's.
func run(f func(ctx context.Context, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), cmd, args); err != nil {
			return explain(err)
		}
		return nil
	}
}

// api runs a command with a client of the connection in use.
func (c *console) api(f func(ctx context.Context, api *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		api, err := c.client()
		if err != nil {
			return err
		}
		return f(ctx, api, args)
	})
}

func (c *console) store() (client.Store, error) {
	dir, err := client.DefaultDir(c.getenv)
	return client.Store{Dir: dir}, err
}

func (c *console) client() (*client.Client, error) {
	store, err := c.store()
	if err != nil {
		return nil, err
	}
	name := c.connection
	if name == "" {
		name = c.getenv("CURFEW_CONNECTION")
	}
	conn, err := store.Load(name)
	if err != nil {
		return nil, err
	}
	return c.newClient(store, conn)
}

func (c *console) newClient(store client.Store, conn *client.Connection) (*client.Client, error) {
	api, err := client.New(store, conn)
	if err == nil {
		api.Agent = "curfew-cli/" + version()
	}
	return api, err
}

// ask prints a question and reads a line. Only where somebody can answer.
func (c *console) ask(question string) (string, error) {
	if c.lines == nil {
		c.lines = bufio.NewReader(c.in)
	}
	c.sayf("%s ", question)
	s, err := c.lines.ReadString('\n')
	if errors.Is(err, io.EOF) && s != "" {
		err = nil
	}
	return strings.TrimSpace(s), err
}

// canAsk reports whether a person sits there.
func (c *console) canAsk() bool { return c.inTTY && c.errTTY }

// confirm asks whether to go on, if a person sits there.
func (c *console) confirm(question string) error {
	if !c.canAsk() {
		return nil
	}
	s, err := c.ask(question + " [y/N]")
	if err == nil && (strings.EqualFold(s, "y") || strings.EqualFold(s, "yes")) {
		return nil
	}
	return failf("", "nothing was done")
}
