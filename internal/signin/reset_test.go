package signin

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/directory"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/mail"
	"github.com/curfew-id/curfew/internal/role"
	"github.com/curfew-id/curfew/internal/standing"
	"github.com/curfew-id/curfew/internal/store"
)

// post is a queue whose jobs are done when the test says so.
func (r *room) post() *mail.Sender {
	r.t.Helper()
	s := &mail.Sender{From: "curfew@contoso.example"}
	if err := s.Open(); err != nil {
		r.t.Fatal(err)
	}
	r.Mail, r.Letters = s, func() mail.Writer { return mail.Writer{Directory: "Contoso", Base: "https://id.contoso.example"} }
	return s
}

// letters does what waits, and returns what would be sent.
func (r *room) letters(s *mail.Sender) (all []*mail.Letter) {
	r.t.Helper()
	for _, j := range s.Waiting() {
		l, err := j(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}

var linkRE = regexp.MustCompile(`https://id\.contoso\.example/reset\?token=([\w-]{43})\n`)

func (r *room) link(s *mail.Sender, name string) string {
	r.t.Helper()
	if err := r.BeginReset(r.t.Context(), name, "192.0.2.7", "q"); err != nil {
		r.t.Fatal(err)
	}
	all := r.letters(s)
	if len(all) != 1 {
		r.t.Fatalf("%d letters", len(all))
	}
	m := linkRE.FindStringSubmatch(all[0].Text)
	if m == nil {
		r.t.Fatalf("no link in %s", all[0].Text)
	}
	return m[1]
}

func mailed(u *directory.User) { u.Mail = "mailbox-of-" + u.Name }

func TestAResetByMailEndsEverythingAndSignsNobodyIn(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		s := r.post()
		var changed []string
		r.Changed = func(u *directory.User, ip string) { changed = append(changed, u.Name+" "+ip) }
		u := r.user(adaName, adaFirst, mailed)
		in, _, err := r.Password(t.Context(), Attempt{Username: adaName, Password: adaFirst, IP: "192.0.2.7"})
		if err != nil {
			t.Fatal(err)
		}
		link := r.link(s, strings.ToUpper(adaName))
		if got, err := r.Reset(t.Context(), link); err != nil || got.ID != u.ID || got.Password.Hash != "" {
			t.Fatalf("%+v %v", got, err)
		}
		if _, err := r.FinishReset(t.Context(), link, "short", Attempt{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a bad password: %v", err)
		}
		receipt, err := r.FinishReset(t.Context(), link, adaNext, Attempt{IP: "192.0.2.8"})
		if err != nil {
			t.Fatal(err)
		}
		if receipt == nil || receipt.Cause != standing.PasswordReset {
			t.Errorf("%+v", receipt)
		}
		if _, err := r.Session(t.Context(), in.Cookie, ""); !fault.Is(err, fault.Revoked) {
			t.Errorf("a session outlives the reset: %v", err)
		}
		if len(changed) != 1 || changed[0] != adaName+" 192.0.2.8" {
			t.Errorf("told: %v", changed)
		}
		if _, err := r.FinishReset(t.Context(), link, adaFirst, Attempt{}); !fault.Is(err, fault.Revoked) {
			t.Errorf("a link is good twice: %v", err)
		}
		r.update(func(tx *store.Tx) error {
			if k, err := tx.Ticket(resetTicket, hashSecret(link)); err != nil || k.Used.IsZero() {
				t.Errorf("the link is not marked as used: %+v %v", k, err)
			}
			return nil
		})
		if _, must, err := r.Password(t.Context(), Attempt{Username: adaName, Password: adaNext}); err != nil || must != nil {
			t.Errorf("the new password: %v %v", must, err)
		}
	})
}

// The same answer for every name, and no work before it.
func TestNobodyLearnsFromAResetWhoIsThere(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		s := r.post()
		r.user("there@contoso.example", adaFirst, mailed)
		r.user("no-mail@contoso.example", adaFirst)
		r.user("no-password@contoso.example", "", mailed)
		r.user("disabled@contoso.example", adaFirst, mailed, func(u *directory.User) { u.Enabled = false })
		r.give(r.user("admin@contoso.example", adaFirst, mailed), role.DirectoryReaders)
		for name, subject := range map[string]string{"there@contoso.example": "Contoso: Set a new password", "admin@contoso.example": "Contoso: Your password cannot be reset by mail",
			"nobody@contoso.example": "", "no-mail@contoso.example": "", "no-password@contoso.example": "", "disabled@contoso.example": "", "": "", strings.Repeat("x", 4000): "", "a\x00b": ""} {
			if err := r.BeginReset(t.Context(), name, "192.0.2.7", "q"); err != nil {
				t.Errorf("%.30q: %v", name, err)
			}
			jobs := s.Waiting()
			if len(jobs) != 1 {
				t.Fatalf("%.30q: %d jobs", name, len(jobs))
			}
			l, err := jobs[0](t.Context())
			if err != nil || (l == nil) != (subject == "") || l != nil && (l.Subject != subject || l.To != "mailbox-of-"+name) {
				t.Errorf("%.30q: %+v %v", name, l, err)
			}
			if l != nil && subject != "Contoso: Set a new password" && linkRE.MatchString(l.Text) {
				t.Errorf("%s was sent a link", name)
			}
		}
	})
}

func TestAskingForLinksIsLimited(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		s := r.post()
		r.user(adaName, adaFirst, mailed)
		for i := range 10 { // from anywhere
			if err := r.BeginReset(t.Context(), adaName, fmt.Sprintf("192.0.2.%d", i), "q"); err != nil {
				t.Errorf("an answer that tells of others: %v", err)
			}
		}
		if n := len(r.letters(s)); n != perLetter.burst {
			t.Errorf("%d letters at once to one person", n)
		}
		var err error
		for i := 0; i < 40 && err == nil; i++ {
			err = r.BeginReset(t.Context(), fmt.Sprintf("n%d@contoso.example", i), "198.51.100.1", "q")
		}
		if !fault.Is(err, fault.Limited) {
			t.Errorf("one address asks for as many as it likes: %v", err)
		}
		r.Mail = nil
		if err := r.BeginReset(t.Context(), adaName, "203.0.113.1", "q"); !fault.Is(err, fault.NotFound) {
			t.Errorf("without a mail server: %v", err)
		}
	})
}

func TestWhatKillsALink(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		s := r.post()
		var link string
		for what, do := range map[string]func(tx *store.Tx, u *directory.User) error{
			"a revoke": func(tx *store.Tx, u *directory.User) error {
				_, _, err := tx.RevokeUser(u.ID, directory.SessionID{}, [32]byte{})
				return err
			},
			"another password": func(tx *store.Tx, u *directory.User) error {
				_, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { u.Password.Version++; return nil })
				return err
			},
			"an account disabled": func(tx *store.Tx, u *directory.User) error {
				_, err := tx.ChangeUser(u.ID, store.UserChange{}, func(u *directory.User) error { u.Enabled = false; return nil })
				return err
			},
			"a role given": func(tx *store.Tx, u *directory.User) error {
				return tx.AssignRole(directory.RoleAssignment{ID: directory.NewID[directory.RoleAssignment](tx.Now), Role: role.DirectoryReaders, User: u.ID, Created: tx.Now})
			},
			// By itself: a reset cuts and counts the password on as well.
			"its use": func(tx *store.Tx, u *directory.User) error {
				k, err := tx.Ticket(resetTicket, hashSecret(link))
				if err != nil {
					return err
				}
				k.Used = tx.Now
				return tx.SaveTicket(k)
			},
			"time": func(*store.Tx, *directory.User) error { r.clock.advance(ResetLife); return nil },
		} {
			r.each(t, what, func(t *testing.T, who string) {
				u := r.user(who, adaFirst, mailed)
				link = r.link(s, who)
				r.clock.advance(time.Second)
				r.update(func(tx *store.Tx) error { return do(tx, u) })
				_, seen := r.Reset(t.Context(), link)
				_, done := r.FinishReset(t.Context(), link, adaNext, Attempt{})
				for _, err := range []error{seen, done} {
					if !fault.Is(err, fault.Revoked) || fault.Public(err) != "This link is not good any more. Ask for a new one." {
						t.Errorf("%v (%s)", err, fault.Public(err))
					}
				}
			})
		}
		for _, nonsense := range []string{"", "x", strings.Repeat("A", 43)} {
			if _, err := r.Reset(t.Context(), nonsense); !fault.Is(err, fault.Revoked) {
				t.Errorf("%q: %v", nonsense, err)
			}
		}
	})
}

// A cut that commits between the look at the link and the new password wins.
func TestACutThatOvertakesAResetWins(t *testing.T) {
	onBoth(t, func(t *testing.T, r *room) {
		s := r.post()
		u := r.user(adaName, adaFirst, mailed)
		link := r.link(s, adaName)
		r.atHash(func() {
			r.update(func(tx *store.Tx) error {
				_, _, err := tx.RevokeUser(u.ID, directory.SessionID{}, [32]byte{})
				return err
			})
		})
		if _, err := r.FinishReset(t.Context(), link, adaNext, Attempt{}); !fault.Is(err, fault.Revoked) {
			t.Errorf("%v", err)
		}
		if _, _, err := r.Password(t.Context(), Attempt{Username: adaName, Password: adaFirst}); err != nil {
			t.Errorf("the old password: %v", err)
		}
	})
}
