package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// connectOptions say how to get in.
type connectOptions struct {
	device, noBrowser  bool
	ca, tokenFile, who string
}

func connectCommand(c *console) *cobra.Command {
	var o connectOptions
	cmd := &cobra.Command{
		Use:   "connect URL",
		Short: "Connect to a server; sign in with the browser",
		Long: `Connect to a server. A browser opens and you sign in there; with --device you type
a code into a browser anywhere. What you may do is what your roles say.

Credentials lie in your configuration directory, readable by you only;
CURFEW_CONFIG names another one. Whoever revokes you ends this connection too.`,
		Example: `  curfew connect https://id.contoso.example
  curfew connect --device https://id.contoso.example
  curfew connect --ca ca.pem https://localhost:8443`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		base, name, err := client.Address(args[0])
		if err != nil {
			return usageError(cmd, err)
		}
		conn := &client.Connection{Name: name, Base: base, User: o.who}
		if o.ca != "" {
			pem, err := os.ReadFile(o.ca)
			if err != nil {
				return usageError(cmd, err)
			}
			conn.CA = string(pem)
		}
		return c.connect(ctx, conn, o)
	})
	f := cmd.Flags()
	f.BoolVar(&o.device, "device", false, "sign in with a code, in a browser anywhere")
	f.BoolVar(&o.noBrowser, "no-browser", false, "print the address instead of opening it")
	f.StringVar(&o.ca, "ca", "", "file of a certificate authority to believe, in PEM (SSL_CERT_FILE works too)")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a token, or with the JSON that a token endpoint answers; - is standard input")
	f.StringVar(&o.who, "user", "", "user name to propose")
	cmd.MarkFlagsMutuallyExclusive("device", "no-browser", "token-file")
	return cmd
}

func (c *console) connect(ctx context.Context, conn *client.Connection, o connectOptions) error {
	store, err := c.store()
	if err != nil {
		return err
	}
	old, oerr := store.Load(conn.Name)
	if oerr == nil && conn.CA == "" && old.Base == conn.Base {
		conn.CA = old.CA // connecting again need not repeat it
	}
	api, err := c.newClient(store, conn)
	if err != nil {
		return err
	}
	switch {
	case o.tokenFile != "":
		conn.Token, err = c.readToken(o.tokenFile)
	case o.device:
		err = api.SignInDevice(ctx, func(p client.DevicePrompt) {
			c.Sayf("Open  %s  in a browser and type  %s\n", term.Clean(p.URL), c.PaintTalk(term.Bold, term.Clean(p.Code)))
			c.Sayf("%s\n", c.Dim("Waiting for at most "+term.Span(p.Expires)+"."))
		})
	default:
		err = api.SignInBrowser(ctx, func(address string) {
			opened := !o.noBrowser && c.open(address)
			if opened {
				c.Sayf("%s\n", c.Dim("Sign in with the browser. If none opened, open this there:"))
			} else {
				c.Sayf("%s\n", c.Dim("Open this in a browser on this machine:"))
			}
			c.Sayf("%s\n%s\n", address, c.Dim("No browser here?  curfew connect --device "+conn.Base))
		})
	}
	var oe *client.OAuthError
	if errors.As(err, &oe) {
		return &failure{exitSignedOut, fmt.Errorf("not connected: %w", err), ""}
	}
	if err != nil {
		return err
	}
	conn.Connected = c.Now().UTC().Truncate(time.Second)
	// Saved before it is used: a refresh would be lost otherwise.
	if err := store.Save(conn); err != nil {
		return err
	}
	me, err := api.Identity(ctx)
	if err != nil {
		// What was there before is back, and what does not work is not kept.
		if oerr == nil {
			return cmp.Or(store.Save(old), err)
		}
		_, rerr := store.Remove(conn.Name)
		return cmp.Or(rerr, err)
	}
	// Asking may have renewed the tokens.
	now := api.Connection()
	if me.User != nil {
		now.User = me.User.Name
	}
	if err := store.Save(&now); err != nil {
		return err
	}
	if err := store.Use(conn.Name); err != nil {
		return err
	}
	return c.tellIdentity("Connected to ", &now, me)
}

// open starts the browser and reports whether that went well.
func (c *console) open(address string) bool {
	var name string
	var args []string
	switch b := c.Getenv("BROWSER"); {
	case b != "" && !strings.ContainsAny(b, ":% "):
		name = b
	case runtime.GOOS == "darwin":
		name = "open"
	case runtime.GOOS == "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	case c.Getenv("DISPLAY") == "" && c.Getenv("WAYLAND_DISPLAY") == "":
		return false
	default:
		name = "xdg-open"
	}
	cmd := exec.Command(name, append(args, address)...)
	if cmd.Start() != nil {
		return false
	}
	go cmd.Wait() // it may stay as long as the browser; nothing hangs on it
	return true
}

// readToken reads what --token-file names.
func (c *console) readToken(name string) (t client.Token, err error) {
	var r io.Reader = c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return t, &failure{exitUsage, err, ""}
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return t, err
	}
	text := strings.TrimSpace(string(b))
	if !strings.HasPrefix(text, "{") {
		if text == "" || strings.ContainsAny(text, " \r\n\t") {
			return t, &failure{exitUsage, errors.New("the token file holds neither one token nor JSON"), ""}
		}
		return client.Token{Access: text}, nil
	}
	var doc struct {
		Access  string  `json:"access_token"`
		Refresh string  `json:"refresh_token"`
		Seconds float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(b, &doc); err != nil || doc.Access == "" && doc.Refresh == "" {
		return t, &failure{exitUsage, errors.New("the token file holds no access_token"), ""}
	}
	t = client.Token{Access: doc.Access, Refresh: doc.Refresh}
	if doc.Seconds > 0 {
		t.Expires = c.Now().Add(time.Duration(doc.Seconds * float64(time.Second))).UTC()
	}
	return t, nil
}

// identity is the JSON of whoami and connect.
type identity struct {
	Connection string   `json:"connection"`
	URL        string   `json:"url"`
	Directory  string   `json:"directory"`
	ID         string   `json:"id,omitempty"`
	User       string   `json:"userPrincipalName,omitempty"`
	Roles      []string `json:"roles"`
}

func (c *console) tellIdentity(prefix string, conn *client.Connection, me *client.Identity) error {
	x := identity{Connection: conn.Name, URL: conn.Base, Directory: me.Domain, Roles: []string{}}
	who := "an application"
	if me.User != nil {
		x.ID, x.User, who = me.User.ID, me.User.Name, me.User.Name
	}
	for _, r := range me.Roles {
		x.Roles = append(x.Roles, r.Name)
	}
	if c.JSON {
		return c.Line(x)
	}
	c.Printf("%s%s as %s, %s\n", prefix, conn.Base, c.Paint(term.Bold, term.Clean(who)), term.Clean(cmp.Or(strings.Join(x.Roles, ", "), "no role")))
	return nil
}

func whoamiCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "whoami", Short: "Who is connected, where, with which roles", Args: cobra.NoArgs, RunE: c.api(func(ctx context.Context, api *client.Client, _ []string) error {
		me, err := api.Identity(ctx)
		if err != nil {
			return err
		}
		conn := api.Connection()
		return c.tellIdentity("", &conn, me)
	})}
}

func disconnectCommand(c *console) *cobra.Command {
	var every bool
	cmd := &cobra.Command{Use: "disconnect [CONNECTION]", Short: "End a connection and forget its credentials", Args: cobra.MaximumNArgs(1)}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		store, err := c.store()
		if err != nil {
			return err
		}
		names := args
		switch {
		case every && len(args) > 0:
			return usagef(cmd, "name a connection or use --all")
		case every:
			if names, err = store.List(); err != nil {
				return err
			}
		case len(args) == 0 && c.connection != "":
			names = []string{c.connection}
		case len(args) == 0:
			name, err := store.Current()
			if err != nil {
				return err
			}
			names = []string{name}
		}
		code := exitDone
		for _, name := range names {
			if err := c.disconnect(ctx, store, name); err != nil {
				f := explain(err)
				c.Sayf("%s %s: %s\n", c.PaintTalk(term.Red, "error:"), term.Clean(name), term.Clean(f.Error()))
				code = max(code, exitSome)
				if f.code == exitSignedOut {
					code = exitSignedOut
				}
			}
		}
		return exit(code)
	})
	cmd.Flags().BoolVar(&every, "all", false, "all connections")
	return cmd
}

// disconnect forgets a connection even when its server cannot be told.
func (c *console) disconnect(ctx context.Context, store client.Store, name string) error {
	conn, err := store.Load(name)
	if err != nil {
		return err
	}
	api, err := c.newClient(store, conn)
	if err == nil {
		err = api.SignOut(ctx)
	}
	if err != nil {
		err = fmt.Errorf("forgotten here, but the server was not told, and the grant lives on there: %w", err)
	}
	current, rerr := store.Remove(name)
	if rerr != nil {
		return rerr
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return c.Line(map[string]string{"connection": name, "state": "ended"})
	}
	c.Printf("Disconnected from %s\n", conn.Base)
	if current != "" {
		c.Sayf("%s\n", c.Dim("The current connection is "+current+"."))
	}
	return nil
}

func connectionCommand(c *console) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List connections", Args: cobra.NoArgs, RunE: run(func(context.Context, *cobra.Command, []string) error {
		store, err := c.store()
		if err != nil {
			return err
		}
		names, err := store.List()
		if err != nil {
			return err
		}
		current, err := store.Current()
		if err != nil && !errors.Is(err, client.ErrNotConnected) {
			return err
		}
		rows := [][]term.Cell{term.Head("connection", "current", "as", "since", "address")}
		for _, n := range names {
			conn, err := store.Load(n)
			if err != nil {
				return err
			}
			if c.listsJSON() {
				if err := c.Line(map[string]any{"connection": n, "current": n == current, "userPrincipalName": conn.User, "url": conn.Base, "connected": conn.Connected}); err != nil {
					return err
				}
				continue
			}
			mark := term.None
			if n == current {
				mark = "yes"
			}
			rows = append(rows, term.Cells(n, mark, dash(conn.User), c.When(conn.Connected), conn.Base))
		}
		return c.list(rows, "No connections.", "curfew connect https://…")
	})}
	use := &cobra.Command{Use: "use CONNECTION", Short: "Make a connection the current one", Args: cobra.ExactArgs(1), RunE: run(func(_ context.Context, _ *cobra.Command, args []string) error {
		store, err := c.store()
		if err != nil {
			return err
		}
		return store.Use(args[0])
	})}
	return group("connection", "Connections to servers", list, use)
}
