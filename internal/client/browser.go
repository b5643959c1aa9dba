package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// signInTime bounds how long a browser is waited for.
const signInTime = 10 * time.Minute

// SignInBrowser connects by a sign-in in a browser on this machine. open is
// called once with the address to open there.
func (c *Client) SignInBrowser(ctx context.Context, open func(address string)) error {
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	listeners, port, err := listen()
	if err != nil {
		return fmt.Errorf("wait for the browser's answer: %w", err)
	}
	p := &pending{state: random(), verifier: random(), redirect: fmt.Sprintf("http://localhost:%d", port), issuer: c.conn.Base}
	type result struct {
		code string
		err  error
	}
	done := make(chan result, 1)
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, err := p.read(r.URL.Query())
		if r.URL.Path != "/" || r.Method != "GET" || errors.Is(err, errNotOurs) {
			// A favicon, or somebody who guesses ports: go on waiting.
			http.NotFound(w, r)
			return
		}
		page(w, err)
		select {
		case done <- result{code, err}:
		default: // somebody pressed reload
		}
	})}
	served := make(chan struct{})
	for _, l := range listeners {
		go func() { srv.Serve(l); served <- struct{}{} }()
	}
	defer func() {
		// The page has to get out before the door shuts.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
		for range listeners {
			<-served
		}
	}()
	open(p.authorizeURL(c.conn.Base, c.conn.User))
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("nobody signed in within %s", signInTime)
		}
		return ctx.Err()
	case r := <-done:
		if r.err != nil {
			return r.err
		}
		a, err := c.form(ctx, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {r.code},
			"redirect_uri": {p.redirect}, "code_verifier": {p.verifier}})
		if err == nil {
			c.conn.Token, err = a.token(c.now())
		}
		return err
	}
}

// listen opens a port that is free on 127.0.0.1, and on ::1 where there is one:
// "localhost" may be either to a browser.
func listen() (all []net.Listener, port int, err error) {
	for range 10 {
		four, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, 0, err
		}
		port = four.Addr().(*net.TCPAddr).Port
		six, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port))
		if err == nil {
			return []net.Listener{four, six}, port, nil
		}
		if probe, perr := net.Listen("tcp", "[::1]:0"); perr != nil {
			return []net.Listener{four}, port, nil // no IPv6 here
		} else {
			probe.Close()
		}
		four.Close() // somebody else has that port on ::1 and would get the code
	}
	return nil, 0, errors.New("no port is free on both 127.0.0.1 and ::1")
}

// page tells the person where to look now. Nothing of the answer is written into it.
func page(w http.ResponseWriter, err error) {
	head, text := "Back to the terminal", "You can close this page. The terminal goes on."
	if err != nil {
		head, text = "Not connected", "The terminal says why. You can close this page."
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "<!doctype html><html lang=en><meta charset=utf-8><title>curfew</title><h1>%s</h1><p>%s</p></html>\n", head, text)
}
