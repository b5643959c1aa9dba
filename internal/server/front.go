package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// front is one port with what answers on it.
type front struct {
	*http.Server
	l net.Listener
}

// fronts are the ports that Run serves: l for everybody and, where it is asked
// for, one on which applications show certificates. Who has none there is let
// through: the endpoints say whether one is needed. The certificates are not
// checked against any CA, since what counts is which ones a client registered
// (RFC 8705 §2.2); TLS proves that the peer holds the key.
func (s *Server) fronts(base context.Context, l net.Listener) ([]front, error) {
	open := func(l net.Listener, h http.Handler, t *tls.Config) front {
		return front{&http.Server{
			Handler: h, TLSConfig: t, BaseContext: func(net.Listener) context.Context { return base },
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}, l}
	}
	all := []front{open(l, s.handler, s.tls)}
	if s.cfg.MTLSListen == "" {
		return all, nil
	}
	second, err := net.Listen("tcp", s.cfg.MTLSListen)
	if err != nil {
		return nil, fmt.Errorf("listen for mutual TLS: %w", err)
	}
	t := s.tls.Clone()
	t.ClientAuth = tls.RequestClientCert
	return append(all, open(second, s.mutual, t)), nil
}

// serve answers until the front is shut, which is no error.
func (f front) serve() error {
	var err error
	if f.TLSConfig != nil {
		err = f.ServeTLS(f.l, "", "")
	} else {
		err = f.Serve(f.l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shut lets running requests finish for at most ten seconds, on all fronts
// together.
func shut(fronts []front) (err error) {
	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, f := range fronts {
		if e := f.Shutdown(deadline); e != nil {
			err = errors.Join(err, e, f.Close())
		}
	}
	return err
}
