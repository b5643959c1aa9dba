package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	terminal "golang.org/x/term"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// console is where a command reads and writes, and what all commands share.
type console struct {
	term.Console
	in    io.Reader
	inTTY bool
	// secret reads a line without showing it; only used where inTTY.
	secret func() ([]byte, error)

	text       bool // answer in text, also into a pipe
	connection string

	lines *bufio.Reader // over in, for prompts
}

func newConsole() *console {
	tty := func(f *os.File) bool { return terminal.IsTerminal(int(f.Fd())) }
	return &console{in: os.Stdin, inTTY: tty(os.Stdin),
		Console: term.Console{Out: os.Stdout, Err: os.Stderr, OutTTY: tty(os.Stdout), ErrTTY: tty(os.Stderr), Getenv: os.Getenv, Now: time.Now, Zone: time.Local},
		secret:  func() ([]byte, error) { return terminal.ReadPassword(int(os.Stdin.Fd())) }}
}

func (c *console) hint(text string) { c.Sayf("%s %s\n", c.Dim("hint:"), term.Clean(text)) }

// listsJSON reports whether what is read is answered in JSON lines: when asked
// for, and into a pipe, where the next command reads it.
func (c *console) listsJSON() bool { return c.JSON || !c.OutTTY && !c.text }

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
	dir, err := client.DefaultDir(c.Getenv)
	return client.Store{Dir: dir}, err
}

func (c *console) client() (*client.Client, error) {
	store, err := c.store()
	if err != nil {
		return nil, err
	}
	name := c.connection
	if name == "" {
		name = c.Getenv("CURFEW_CONNECTION")
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
		api.Agent = agent()
	}
	return api, err
}

// agent is how we introduce ourselves to a server.
func agent() string { return "curfew-cli/" + version() }

// ask prints a question and reads a line. Only where somebody can answer.
func (c *console) ask(question string) (string, error) {
	if c.lines == nil {
		c.lines = bufio.NewReader(c.in)
	}
	c.Sayf("%s ", question)
	s, err := c.lines.ReadString('\n')
	if errors.Is(err, io.EOF) && s != "" {
		err = nil
	}
	return strings.TrimSpace(s), err
}

// canAsk reports whether a person sits there.
func (c *console) canAsk() bool { return c.inTTY && c.ErrTTY }

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
