package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/server"
)

// configFlags adds a flag for every setting and returns what to call when the
// command runs: it reads file, environment and flags, in that order.
func configFlags(cmd *cobra.Command) func() (config.Config, error) {
	def := config.Default()
	file := cmd.Flags().String("config", "", "TOML file with settings (see docs/config.md)")
	values := map[string]*string{}
	def.Each(func(_, flag, doc string, value *string) {
		values[flag] = cmd.Flags().String(flag, *value, doc)
	})
	return func() (config.Config, error) {
		c, err := config.Load(*file)
		if err != nil {
			return c, err
		}
		c.Each(func(_, flag, _ string, value *string) {
			if cmd.Flags().Changed(flag) {
				*value = *values[flag]
			}
		})
		return c, c.Check()
	}
}

func serveCommand(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a server",
		Long: `Run a server. The first start makes keys and a database in the data folder and
prints a one-time link for the first Global Administrator.`,
		Example: `  curfew serve --data /var/lib/curfew --public-url https://id.contoso.example --tls acme --listen :443
  curfew serve --data ./try --tls local
  CURFEW_DATABASE=postgres://… curfew serve --data /etc/curfew --public-url https://id.contoso.example`,
		Args: cobra.NoArgs,
	}
	load := configFlags(cmd)
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		return serve(ctx, c, cfg)
	})
	return cmd
}

func serve(ctx context.Context, c *console, cfg config.Config) error {
	log := logger(c, cfg.LogLevel)
	s, err := server.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	link, err := s.SetupURL(ctx)
	if err != nil {
		s.Close()
		return err
	}
	l, err := s.Listen()
	if err != nil {
		s.Close()
		return failf("Another program may use the port. Choose one with --listen.", "cannot listen on %s", cfg.Listen)
	}
	c.Sayf("curfew serves %s (listening on %s, data in %s)\n", cfg.PublicURL, l.Addr(), cfg.Data)
	if cfg.TLS == "local" {
		c.Sayf("TLS by a CA made here: curfew tls ca --data %s\n", cfg.Data)
	}
	if link != "" {
		c.Sayf("There is no Global Administrator yet. Open this link once, within 24 hours:\n")
		c.Printf("%s\n", link)
	}
	err = s.Run(ctx, l)
	if err == nil {
		c.Sayf("curfew has stopped.\n")
	}
	return err
}

func logger(c *console, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: l}))
}

func tlsCommand(c *console) *cobra.Command {
	data := ""
	ca := &cobra.Command{
		Use:     "ca",
		Short:   "Print the certificate of the local CA",
		Long:    "Print, in PEM, the certificate of the CA that serve --tls local makes. Clients must trust it.",
		Example: "  curfew tls ca --data ./try > ca.pem\n  export SSL_CERT_FILE=$PWD/ca.pem NODE_EXTRA_CA_CERTS=$PWD/ca.pem",
		Args:    cobra.NoArgs,
		RunE: run(func(context.Context, *cobra.Command, []string) error {
			pem, err := server.LocalCA(data)
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(pem)
			return err
		}),
	}
	ca.Flags().StringVar(&data, "data", config.Default().Data, "data folder of the server")
	return group("tls", "Certificates for trying out", ca)
}

func restoreCommand(c *console) *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Say that a backup was put back: everything born before is cut",
		Long: `Run this, with the server stopped, after putting a backup of the database back or
promoting a standby that had missed commits. Revocations that the backup does not
know cannot be listed, so everything that was handed out before is cut: everybody
signs in again. Accounts, roles and passwords are as old as the backup.

A server that finds its own mark file newer than the database does this by itself.`,
		Args: cobra.NoArgs,
	}
	load := configFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if !yes {
			if err := c.confirm("Everybody will have to sign in again. Go on?"); err != nil {
				return err
			}
		}
		cfg.Apply = ""
		s, err := server.Open(ctx, cfg, logger(c, "warn"))
		if err != nil {
			return err
		}
		defer s.Close()
		lost, err := s.Restore(ctx)
		if err != nil {
			return err
		}
		c.Printf("cut everything born before ledger %d\n", lost.Era)
		if lost.Newest.IsZero() {
			c.Printf("the backup's ledger is empty: how much is lost is not known\n")
		} else {
			c.Printf("lost: what happened between %s and %s\n", lost.Newest.Local().Format("2 Jan 2006 15:04:05"), lost.At.Local().Format("2 Jan 2006 15:04:05"))
		}
		return nil
	})
	return cmd
}

// serverCommands run and repair a server on this machine.
func serverCommands(c *console) []*cobra.Command {
	return []*cobra.Command{serveCommand(c), demoCommand(c), tlsCommand(c), restoreCommand(c)}
}
