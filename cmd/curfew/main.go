package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(curfew()) }

// curfew runs one command line and returns its exit code. It stands apart from
// main so that tests can be the binary.
func curfew() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second Ctrl-C ends the process the hard way.
	context.AfterFunc(ctx, stop)
	return execute(ctx, newConsole(), os.Args[1:])
}
