package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/client"
	"github.com/curfew-id/curfew/internal/term"
)

// userProperties are flags and the properties they set, under Graph's names.
var userProperties = []struct{ flag, property, help string }{
	{"display-name", "displayName", "name as people read it"},
	{"given-name", "givenName", "given name"},
	{"surname", "surname", "surname"},
	{"mail", "mail", "mail address"},
	{"job-title", "jobTitle", "title"},
	{"department", "department", "department"},
	{"office", "officeLocation", "office"},
	{"mobile", "mobilePhone", "mobile telephone number"},
	{"language", "preferredLanguage", "language, such as en-GB"},
}

func propertyFlags(cmd *cobra.Command) {
	for _, p := range userProperties {
		cmd.Flags().String(p.flag, "", p.help)
	}
}

func setProperties(cmd *cobra.Command) map[string]any {
	set := map[string]any{}
	for _, p := range userProperties {
		if f := cmd.Flags().Lookup(p.flag); f.Changed {
			set[p.property] = f.Value.String()
			if f.Value.String() == "" {
				set[p.property] = nil
			}
		}
	}
	return set
}

// passwordFlags say where a password comes from. Never from the arguments: those
// can be seen by everybody on the machine, and stay in the shell's history.
type passwordFlags struct {
	generate, stdin bool
	keep            bool
}

func (p *passwordFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.generate, "generate", false, "make a password and print it, once")
	cmd.Flags().BoolVar(&p.stdin, "stdin", false, "read the password from standard input")
	cmd.Flags().BoolVar(&p.keep, "no-change", false, "do not demand another password at the next sign-in")
	cmd.MarkFlagsMutuallyExclusive("generate", "stdin")
}

// password reads the password; with --generate the server makes it. Without a flag it asks, if needed and if
// somebody is there to answer.
func (c *console) password(cmd *cobra.Command, p passwordFlags) (string, error) {
	switch {
	case p.generate:
		return "", nil
	case p.stdin:
		b, err := io.ReadAll(io.LimitReader(c.in, 4096))
		s := strings.TrimRight(string(b), "\r\n")
		if err == nil && (s == "" || strings.ContainsAny(s, "\r\n")) {
			return "", usagef(cmd, "standard input must hold one line, the password")
		}
		return s, err
	case !c.canAsk():
		return "", usagef(cmd, "there is no terminal to ask for the password; use --stdin or --generate")
	}
	read := func(what string) (string, error) {
		c.Sayf("%s: ", what)
		b, err := c.secret()
		c.Sayf("\n")
		return string(b), err
	}
	s, err := read("New password")
	if err != nil || s == "" {
		return "", failf("", "nothing was done")
	}
	again, err := read("Once more")
	if err == nil && again != s {
		err = failf("", "the two are not the same; nothing was done")
	}
	return s, err
}

func userCreateCommand(c *console) *cobra.Command {
	var act client.Act
	var pass passwordFlags
	var disabled bool
	cmd := &cobra.Command{
		Use:     "create USER_NAME",
		Short:   "Create a user",
		Example: `  curfew user create ada@contoso.example --display-name "Ada Lovelace" --generate`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		set := setProperties(cmd)
		text := func(name string) string { s, _ := set[name].(string); return s }
		n := client.NewUser{UserPrincipalName: args[0], DisplayName: text("displayName"), GivenName: text("givenName"), Surname: text("surname"), Mail: text("mail"),
			JobTitle: text("jobTitle"), Department: text("department"), OfficeLocation: text("officeLocation"), MobilePhone: text("mobilePhone"), PreferredLanguage: text("preferredLanguage"),
			Disabled: disabled, Generate: pass.generate, MustChange: !pass.keep}
		if n.DisplayName == "" {
			return usagef(cmd, "--display-name is missing")
		}
		var err error
		if n.Password, err = c.password(cmd, pass); err != nil {
			return err
		}
		u, made, done, err := api.CreateUser(ctx, n, act)
		if err != nil {
			return err
		}
		switch {
		case c.JSON && act.DryRun:
			return c.Line(outcome{Target: args[0], State: "planned", Effects: done.Effects})
		case c.JSON:
			return c.Line(struct {
				*client.User
				Password string `json:"password,omitempty"`
			}{u, made})
		case act.DryRun:
			c.targetLine(args[0], 0, verdict{state: "dry run", text: strings.Join(done.Effects, " ")})
			return nil
		}
		c.targetLine(u.UserPrincipalName, 0, verdict{state: "created", text: "id " + u.ID})
		c.tellPassword(made, pass)
		return nil
	})
	propertyFlags(cmd)
	pass.flags(cmd)
	cmd.Flags().BoolVar(&disabled, "disabled", false, "who may not sign in yet")
	actFlags(cmd, &act)
	return cmd
}

// tellPassword prints a password that was made here.
func (c *console) tellPassword(password string, p passwordFlags) {
	if password == "" {
		return
	}
	c.Printf("  password  %s\n", password)
	if !p.keep {
		c.Sayf("%s\n", c.Dim("Another one is due at the next sign-in. This one is not shown again."))
	}
}

func userUpdateCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{
		Use:     "update USER…|-",
		Short:   "Change properties; an empty value takes one away",
		Example: `  curfew user update ada@contoso.example --department Research --mobile ""`,
		Args:    cobra.MinimumNArgs(1),
	}
	var rename string
	cmd.RunE = c.onUsers(&act, "updated", "updating", func(api *client.Client) (func(context.Context, target) (client.Done, error), error) {
		set := setProperties(cmd)
		if cmd.Flags().Changed("user-name") {
			set["userPrincipalName"] = rename
		}
		if len(set) == 0 {
			return nil, usagef(cmd, "nothing to change was named")
		}
		return func(ctx context.Context, t target) (client.Done, error) { return api.UpdateUser(ctx, t.ref, set, act) }, nil
	})
	propertyFlags(cmd)
	cmd.Flags().StringVar(&rename, "user-name", "", "another user name")
	actFlags(cmd, &act)
	return cmd
}

// onUsers is a command that does something to each user that is named.
func (c *console) onUsers(act *client.Act, past, gerund string, prepare func(*client.Client) (func(context.Context, target) (client.Done, error), error)) func(*cobra.Command, []string) error {
	return run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, *act); err != nil {
			return err
		}
		all, err := c.targets(cmd, args, "userPrincipalName", "id", "userPrincipalName")
		if err != nil {
			return err
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		do, err := prepare(api)
		if err != nil {
			return err
		}
		if len(all) > 1 && !act.DryRun {
			if err := c.confirm(term.Num(len(all)) + " users will be " + past + "."); err != nil {
				return err
			}
		}
		return c.forEach(ctx, all, deed{past: past, gerund: gerund, act: *act, do: do})
	})
}

func userEnabledCommand(c *console, enabled bool) *cobra.Command {
	var act client.Act
	verb, past, gerund, short := "disable", "disabled", "disabling", "Disable users, which ends everything they hold"
	if enabled {
		verb, past, gerund, short = "enable", "enabled", "enabling", "Let users sign in again; what was ended stays ended"
	}
	cmd := &cobra.Command{Use: verb + " USER…|-", Short: short, Args: cobra.MinimumNArgs(1)}
	cmd.RunE = c.onUsers(&act, past, gerund, func(api *client.Client) (func(context.Context, target) (client.Done, error), error) {
		return func(ctx context.Context, t target) (client.Done, error) {
			return api.SetEnabled(ctx, t.ref, enabled, act)
		}, nil
	})
	actFlags(cmd, &act)
	return cmd
}

func userDeleteCommand(c *console) *cobra.Command {
	var act client.Act
	cmd := &cobra.Command{Use: "delete USER…|-", Short: "Delete users, which ends everything they hold", Args: cobra.MinimumNArgs(1)}
	var yes bool
	cmd.RunE = c.onUsers(&act, "deleted", "deleting", func(api *client.Client) (func(context.Context, target) (client.Done, error), error) {
		return func(ctx context.Context, t target) (client.Done, error) { return api.DeleteUser(ctx, t.ref, act) }, nil
	})
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] != "-" && !yes && !act.DryRun {
			if err := c.confirm("Delete " + term.Clean(args[0]) + "?"); err != nil {
				return err
			}
		}
		return inner(cmd, args)
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	actFlags(cmd, &act)
	return cmd
}

func userPasswordCommand(c *console) *cobra.Command {
	var act client.Act
	var pass passwordFlags
	cmd := &cobra.Command{
		Use:   "set-password USER",
		Short: "Replace a password, which ends everything the user holds",
		Example: `  curfew user set-password ada@contoso.example --generate
  pass show ada | curfew user set-password ada@contoso.example --stdin`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		if args[0] == "-" {
			return usagef(cmd, "one user at a time")
		}
		api, err := c.client()
		if err != nil {
			return err
		}
		password, err := c.password(cmd, pass)
		if err != nil {
			return err
		}
		made := ""
		err = c.forEach(ctx, []target{{args[0], args[0]}}, deed{past: "password set", gerund: "resetting the password of", act: act, do: func(ctx context.Context, t target) (done client.Done, err error) {
			made, done, err = api.SetPassword(ctx, t.ref, password, !pass.keep, act)
			return done, err
		}})
		if made != "" && c.JSON {
			return cmp.Or(c.Line(map[string]string{"target": args[0], "password": made}), err)
		}
		c.tellPassword(made, pass)
		return err
	})
	pass.flags(cmd)
	actFlags(cmd, &act)
	return cmd
}

func userImportCommand(c *console) *cobra.Command {
	var act client.Act
	var passwords bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv|-",
		Short: "Create and update users from a CSV file such as Entra's \"Download users\"",
		Long: `Create and update users from a CSV file such as Entra's "Download users".

Users are told apart by the column userPrincipalName. A row that is not right is
skipped and named with its line; the others are done. An empty field changes
nothing; done again it changes nothing.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = c.api(func(ctx context.Context, api *client.Client, args []string) error {
		if err := checkAct(cmd, act); err != nil {
			return err
		}
		file, shut, err := c.file(args[0])
		if err != nil {
			return err
		}
		defer shut()
		r, err := api.Import(ctx, file, passwords, act)
		if err != nil {
			return err
		}
		return c.imported(r, act)
	})
	actFlags(cmd, &act)
	cmd.Flags().BoolVar(&passwords, "passwords", false, "take the column password for users that are created; another one is due at their first sign-in")
	return cmd
}

// file opens a file that is sent somewhere, perhaps twice; "-" is stdin, which can
// be sent once.
func (c *console) file(name string) (open func() (io.Reader, error), shut func() error, err error) {
	if name == "-" {
		sent := false
		return func() (io.Reader, error) {
			if sent {
				return nil, failf("name the file instead of -, and try again", "standard input was read, and would be needed again")
			}
			sent = true
			return io.NopCloser(c.in), nil
		}, func() error { return nil }, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, &failure{exitUsage, err, ""}
	}
	return func() (io.Reader, error) {
		_, err := f.Seek(0, io.SeekStart)
		return io.NopCloser(f), err // net/http would close it
	}, f.Close, nil
}

func (c *console) imported(r *client.ImportReport, act client.Act) error {
	skipped := len(r.Skipped) + r.SkippedMore
	code := exitDone
	if skipped > 0 || r.Stopped != "" {
		code = exitSome
	}
	if c.JSON {
		if err := c.Line(r); err != nil {
			return err
		}
		return exit(code)
	}
	if len(r.Unknown) > 0 {
		c.Printf("unknown columns, not read: %s\n", term.Clean(strings.Join(r.Unknown, ", ")))
	}
	if len(r.Ignored) > 0 {
		c.Printf("columns that have no place here, not read: %s\n", term.Clean(strings.Join(r.Ignored, ", ")))
	}
	var rows [][]term.Cell
	for _, b := range r.Skipped {
		rows = append(rows, []term.Cell{{Text: "line " + term.Num(b.Line)}, {Text: "skipped", Colour: term.Red}, {Text: dash(b.Name)}, {Text: b.Reason}})
	}
	c.Table(c.Out, "", rows)
	if r.SkippedMore > 0 {
		c.Printf("and %s more\n", term.Num(r.SkippedMore))
	}
	if r.Stopped != "" {
		c.Printf("%s\n", term.Clean(r.Stopped))
	}
	would := ""
	if act.DryRun {
		would = "Dry run: "
	}
	c.Printf("%s%s: %s created, %s updated, %s unchanged, %s.", would, term.Count(r.Rows, "row", "rows"), term.Num(r.Created), term.Num(r.Updated), term.Num(r.Unchanged), c.counted(skipped, "skipped"))
	if r.Disabled > 0 {
		c.Printf("  %s disabled by it.", term.Num(r.Disabled))
	}
	c.Printf("\n")
	return exit(code)
}
