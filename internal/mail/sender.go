package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	smtp "github.com/wneessen/go-mail"
)

// Letter is one mail, in plain text.
type Letter struct {
	To, Subject, Text string
}

// Job writes a letter when its turn comes; nil: there is none to write.
type Job func(context.Context) (*Letter, error)

// Sender brings letters to one mail server. Server and From are needed.
type Sender struct {
	Server Server
	From   string // address, with or without a name
	Log    *slog.Logger
	// Wait is how long after a failure the next try comes, growing; nil: time.After.
	Wait func(time.Duration) <-chan time.Time
	// Roots are the authorities of the server's certificate; nil: the system's.
	Roots *x509.CertPool

	queue chan Job
	lost  atomic.Int64
}

// Server is where letters are given away.
type Server struct {
	Host     string
	Port     int
	TLS      TLS
	Username string // empty: it lets us in without
	Password string
}

// TLS is how the connection is protected.
type TLS uint8

// The ways. Plain is for loopback.
const (
	StartTLS TLS = iota // and not without
	Implicit
	Plain
)

// ParseServer reads smtp://host:587 (STARTTLS), smtps://host:465, or
// smtp+plain://127.0.0.1:25. User and password have no place in it.
func ParseServer(text string) (s Server, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return s, errors.New("an address such as smtp://mail.contoso.example:587 is expected, without user and path")
	}
	s.Host = u.Hostname()
	switch u.Scheme {
	case "smtp":
		s.Port = 587
	case "smtps":
		s.TLS, s.Port = Implicit, 465
	case "smtp+plain":
		s.TLS, s.Port = Plain, 25
	default:
		return s, errors.New("the scheme is smtp, smtps or smtp+plain")
	}
	if p := u.Port(); p != "" {
		if _, err := fmt.Sscanf(p, "%d", &s.Port); err != nil || s.Port < 1 || s.Port > 65535 {
			return s, errors.New("the port is a number up to 65535")
		}
	}
	return s, nil
}

// places is how many letters wait at most, tries how often one is tried, perTry for
// how long.
const (
	places = 1000
	tries  = 3
	perTry = 30 * time.Second
	pause  = 10 * time.Second
)

// Open makes the queue and checks the sender's address.
func (s *Sender) Open() error {
	if err := smtp.NewMsg().From(s.From); err != nil {
		return fmt.Errorf("the address that letters come from: %w", err)
	}
	s.queue = make(chan Job, places)
	return nil
}

func (s *Sender) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Post puts a job at the end of the queue, and reports whether there was room. It
// never waits. A nil Sender sends nothing.
func (s *Sender) Post(j Job) bool {
	if s == nil {
		return false
	}
	select {
	case s.queue <- j:
		return true
	default:
		if n := s.lost.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th …: a flood is told of, not repeated
			s.log().Error("letters were dropped: too many wait", "dropped", n)
		}
		return false
	}
}

// Waiting takes what waits out of the queue, for whoever does it otherwise.
func (s *Sender) Waiting() (all []Job) {
	for {
		select {
		case j := <-s.queue:
			all = append(all, j)
		default:
			return all
		}
	}
}

// Lost is how many letters were dropped since the start.
func (s *Sender) Lost() int64 { return s.lost.Load() }

// Run sends until ctx is over. One at a time: this is news, not a newsletter.
func (s *Sender) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.queue:
			s.one(ctx, j)
		}
	}
}

func (s *Sender) one(ctx context.Context, j Job) {
	var letter *Letter
	for n := range tries {
		err := func() (err error) {
			ctx, stop := context.WithTimeout(ctx, perTry)
			defer stop()
			if letter == nil {
				if letter, err = j(ctx); err != nil || letter == nil {
					return err
				}
			}
			return s.send(ctx, letter)
		}()
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case n == tries-1 || permanent(err):
			s.lost.Add(1)
			s.log().Error("a letter was dropped", "tries", n+1, "error", reason(err))
			return
		}
		s.log().Warn("a letter could not be sent, it is tried again", "error", reason(err))
		select {
		case <-ctx.Done():
			return
		case <-s.after(pause << (2 * n)):
		}
	}
}

func (s *Sender) after(d time.Duration) <-chan time.Time {
	if s.Wait != nil {
		return s.Wait(d)
	}
	return time.After(d)
}

// permanent reports whether the server has said that it will never take this.
func permanent(err error) bool {
	var e *smtp.SendError
	return errors.As(err, &e) && !e.IsTemp() && e.ErrorCode() >= 500
}

// reason is an error without the addresses that the library puts into it.
func reason(err error) string {
	var e *smtp.SendError
	if errors.As(err, &e) {
		return fmt.Sprintf("%s: the server answered %d", e.Reason, e.ErrorCode())
	}
	return err.Error()
}

func (s *Sender) send(ctx context.Context, l *Letter) error {
	m := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	if err := m.From(s.From); err != nil {
		return err
	}
	if err := m.To(l.To); err != nil {
		return &unsendable{err}
	}
	m.Subject(l.Subject)
	m.SetDate()
	m.SetMessageID()
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	m.SetBodyString(smtp.TypeTextPlain, l.Text)
	o := []smtp.Option{smtp.WithPort(s.Server.Port), smtp.WithTimeout(perTry), smtp.WithTLSConfig(&tls.Config{ServerName: s.Server.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12})}
	switch s.Server.TLS {
	case StartTLS:
		o = append(o, smtp.WithTLSPolicy(smtp.TLSMandatory))
	case Implicit:
		o = append(o, smtp.WithSSL(), smtp.WithTLSPolicy(smtp.TLSMandatory))
	case Plain:
		o = append(o, smtp.WithTLSPolicy(smtp.NoTLS))
	}
	if s.Server.Username != "" {
		o = append(o, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover), smtp.WithUsername(s.Server.Username), smtp.WithPassword(s.Server.Password))
	}
	c, err := smtp.NewClient(s.Server.Host, o...)
	if err != nil {
		return err
	}
	if err := c.DialWithContext(ctx); err != nil {
		return err
	}
	defer c.Close() // once taken, a letter is not sent again because the goodbye failed
	return c.Send(m)
}

// unsendable is an address that is none. It is not in the log: it is somebody's.
type unsendable struct{ err error }

func (u *unsendable) Error() string { return "not a mail address" }
func (u *unsendable) Unwrap() error { return u.err }
