package main

import (
	"context"
	"errors"
	"net"

	"github.com/spf13/cobra"

	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/demo"
)

func demoCommand(c *console) *cobra.Command {
	o := demo.Options{Agent: agent()}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a revoke reach two applications",
		Long: `See a revoke reach two applications

One process with everything in it: a directory of people, two applications with
guards (Mail, Drive) and one without (Legacy), in a temporary folder, on this
machine only. With --script it plays the story by itself and says what held.

  curfew demo
  curfew demo --script`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&o.Listen, "listen", demo.Listen, "loopback address and port of curfew; the applications take the next ports")
	cmd.Flags().BoolVar(&o.Script, "script", false, "play the story without a browser, print it, and exit 0 only if every promise held")
	cmd.RunE = run(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
		o.Given = cmd.Flags().Changed("listen")
		if host, _, err := net.SplitHostPort(o.Listen); err != nil || !config.Loopback(host) {
			return usagef(cmd, "--listen is a loopback address and a port, such as %s: the demo is for this machine only", demo.Listen)
		}
		return demoEnd(demo.Run(ctx, &c.Console, o))
	})
	return cmd
}

// demoEnd turns how the demo ended into an exit code and what would help.
func demoEnd(err error) error {
	var port *net.OpError
	switch {
	case errors.Is(err, demo.ErrBroken):
		return exit(exitSome) // the story has said which
	case errors.As(err, &port) && port.Op == "listen":
		return failf("end what listens there, or choose with --listen", "%w", err)
	}
	return err
}
