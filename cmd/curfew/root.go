package main

import (
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// newRoot builds the command line. A new command is one line here.
func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "curfew",
		Short: "Taking access away works",
		Long: `curfew is a self-hosted identity provider that can take access away.

  curfew connect https://id.contoso.example
  curfew user list --search ada@contoso.example | curfew revoke user - --wait`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(c.in)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	flags := root.PersistentFlags()
	flags.BoolVar(&c.JSON, "json", false, "answer in JSON, one object per line")
	flags.BoolVar(&c.text, "text", false, "answer in text, also into a pipe")
	flags.StringVar(&c.connection, "connection", "", "use this connection instead of the current one (see curfew connection list)")
	root.MarkFlagsMutuallyExclusive("json", "text")

	root.AddGroup(
		&cobra.Group{ID: "revoke", Title: "Take access away:"},
		&cobra.Group{ID: "directory", Title: "The directory:"},
		&cobra.Group{ID: "records", Title: "What is, and what was done:"},
		&cobra.Group{ID: "connect", Title: "Connect:"},
		&cobra.Group{ID: "server", Title: "Run a server:"},
	)
	in := func(id string, all ...*cobra.Command) {
		for _, cmd := range all {
			cmd.GroupID = id
		}
		root.AddCommand(all...)
	}
	in("revoke", revokeCommand(c), receiptCommand(c))
	in("directory", userCommand(c), methodCommand(c), groupCommand(c), roleCommand(c), appCommand(c), resourceCommand(c), consentCommand(c), deviceCommand(c), riskCommand(c), providerCommand(c), policyCommand(c), c.governed(locations, "Named locations: networks and countries that policies speak of"),
		c.governed(strengths, "Authentication strengths: which methods policies may demand"), c.governed(contexts, "Authentication contexts: what applications may demand more for"),
		c.governed(terms, "Terms of use that policies may demand people to accept"), applyCommand(c))
	in("records", sessionCommand(c), grantCommand(c), signInCommand(c), guardCommand(c), deliveryCommand(c), keyCommand(c), settingCommand(c), ledgerCommand(c))
	in("connect", connectCommand(c), disconnectCommand(c), connectionCommand(c), whoamiCommand(c))
	in("server", serverCommands(c)...)
	root.AddCommand(versionCommand(c), exitCodesTopic())

	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	return root
}

// execute runs one command line.
func execute(ctx context.Context, c *console, args []string) int {
	root := newRoot(c)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return c.end(cmd, err)
}

// group is a noun: it does nothing without a verb.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef(cmd, "there is no %q in curfew %s", args[0], cmd.Name())
		}
		return usagef(cmd, "curfew %s needs a verb", cmd.Name())
	}}
	cmd.AddCommand(verbs...)
	return cmd
}

func versionCommand(c *console) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		v, revision, when := version(), "", ""
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, s := range info.Settings {
				switch s.Key {
				case "vcs.revision":
					revision = s.Value
				case "vcs.time":
					when = s.Value
				}
			}
		}
		if c.JSON {
			return c.Line(struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Time     string `json:"time,omitempty"`
			}{v, revision, when})
		}
		c.Printf("curfew %s", v)
		if len(revision) >= 12 {
			c.Printf("  %s", revision[:12])
		}
		c.Printf("\n")
		return nil
	}}
}

// version is that of the module, when it was built from one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
