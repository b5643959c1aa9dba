package server

import (
	"context"
	"fmt"
	"maps"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/factor"
	post "github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	graphapi "github.com/curfew-id/curfew/internal/web/graph/api"
	"github.com/curfew-id/curfew/internal/web/graph/methods"
)

// factors are the rooms of a node that prove people by more than a password, and that
// write to them.
type factors struct {
	factor *factor.Service
	mail   *post.Sender // nil: nobody is written to
}

// constructFactors wires them. Kinds: Invalid (the mail server's password cannot be
// read).
func (s *Server) constructFactors() error {
	life, err := s.cfg.RememberFor()
	if err != nil {
		return err
	}
	s.factor = &factor.Service{DB: s.db, Keys: s.keys, SignIn: s.signin, Revoke: s.revoke, Base: s.cfg.PublicURL, Name: s.domain, Remember: life, Tell: s.tell, Log: s.log}
	s.access.Registered = factor.Registered
	s.factor.Judge = func(tx *store.Tx, in *signin.Signed) error {
		use := &access.Use{Held: in.Held, Action: policy.RegisterSecurityInfo, Program: policy.Browser, IP: in.Actor.IP, Interactive: true}
		_, err := s.access.Judge(tx, use.OfSession(in.Session))
		return err
	}
	if s.cfg.SMTP == "" {
		return nil
	}
	s.mail = &post.Sender{From: s.cfg.MailFrom, Log: s.log}
	if s.mail.Server, err = post.ParseServer(s.cfg.SMTP); err != nil {
		return fmt.Errorf("read the mail server's address: %w", err)
	}
	s.mail.Server.Username = s.cfg.SMTPUser
	if s.mail.Server.Password, err = s.cfg.SMTPPassword(); err != nil {
		return err
	}
	if err := s.mail.Open(); err != nil {
		return err
	}
	s.signin.Letters = s.letters
	if s.cfg.Reset == "mail" {
		s.signin.Mail = s.mail
	}
	s.signin.Attacked = func(u *directory.User) {
		s.write(u, func(w post.Writer, x post.What) *post.Letter { return w.Attacked(x) })
	}
	s.signin.Changed = func(u *directory.User, ip string) {
		now := s.now()
		s.write(u, func(w post.Writer, x post.What) *post.Letter {
			x.At, x.IP = now, ip
			return w.PasswordChanged(x)
		})
	}
	return nil
}

func (s *Server) letters() post.Writer {
	w := post.Writer{Directory: s.domain(), Base: s.cfg.PublicURL}
	if w.Directory == "" {
		w.Directory = "curfew"
	}
	return w
}

// write puts a letter to somebody into the queue, if they can be written to.
func (s *Server) write(u *directory.User, f func(post.Writer, post.What) *post.Letter) {
	if s.mail == nil || u == nil || u.Mail == "" {
		return
	}
	x := post.What{To: u.Mail, Name: u.DisplayName}
	s.mail.Post(func(context.Context) (*post.Letter, error) { return f(s.letters(), x), nil })
}

// tell writes to somebody what was done with their methods.
func (s *Server) tell(n factor.Notice) {
	s.write(n.User, func(w post.Writer, x post.What) *post.Letter {
		x.At, x.IP = n.At, n.IP
		switch n.What {
		case factor.Added:
			return w.MethodAdded(x, n.Method)
		case factor.Removed, factor.Reset:
			return w.MethodRemoved(x, n.Method)
		case factor.CodeSpent:
			return w.CodeUsed(x, n.Left)
		case factor.Cloned:
			return w.KeyCopied(x, n.Method)
		}
		return nil
	})
}

// methodRoutes are the addresses of the API that are about methods.
func (s *Server) methodRoutes(own *graphapi.Server) graphapi.Routes {
	m := methods.Server{Server: own, Factor: s.factor}
	all := m.Routes()
	maps.Copy(all, m.OwnRoutes())
	return all
}
