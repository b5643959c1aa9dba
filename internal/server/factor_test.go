package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/curfew-id/curfew/internal/access"
	"github.com/curfew-id/curfew/internal/config"
	"github.com/curfew-id/curfew/internal/fault"
	"github.com/curfew-id/curfew/internal/policy"
	"github.com/curfew-id/curfew/internal/signin"
	"github.com/curfew-id/curfew/internal/store"
	"github.com/curfew-id/curfew/internal/store/storetest"
)

// postbox takes letters on loopback, in the clear.
func postbox(t *testing.T) (address string, letters func(n int) []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	var all sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(c)
		fmt.Fprint(c, "220 x\r\n")
		for {
			line, err := r.ReadString('\n')
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "DATA"):
				fmt.Fprint(c, "354 x\r\n")
				var b strings.Builder
				for line, err = r.ReadString('\n'); err == nil && line != ".\r\n"; line, err = r.ReadString('\n') {
					b.WriteString(line)
				}
				mu.Lock()
				got = append(got, b.String())
				mu.Unlock()
			}
			fmt.Fprint(c, "250 x\r\n")
		}
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "smtp+plain://" + l.Addr().String(), func(n int) []string {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			have := append([]string(nil), got...)
			mu.Unlock()
			if len(have) >= n {
				return have
			}
			if time.Now().After(end) {
				t.Fatalf("%d letters, want %d", len(have), n)
			}
		}
	}
}

func withFactors(t *testing.T, change func(*config.Config)) *Server {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Data, cfg.PublicURL, cfg.TLS, cfg.Apply = filepath.Join(dir, "data"), "http://localhost:8443", "off", filepath.Join(dir, "first.toml")
	if err := os.WriteFile(cfg.Apply, []byte("[directory]\ndomain = \"contoso.example\"\nname = \"Contoso\"\n[[user]]\nname = \"ada@contoso.example\"\ndisplay_name = \"Ada\"\nmail = \"ada@mail.example\"\npassword = \"correct horse battery\"\n[[user]]\nname = \"grace@contoso.example\"\ndisplay_name = \"Grace\"\nroles = [\"Global Administrator\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	change(&cfg)
	s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func ada(t *testing.T, s *Server) *signin.Signed {
	t.Helper()
	in, _, err := s.signin.Password(t.Context(), signin.Attempt{Username: "ada@contoso.example", Password: "correct horse battery", IP: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestPoliciesAboutRegisteringAreAsked(t *testing.T) {
	t.Parallel()
	s := withFactors(t, func(*config.Config) {})
	registering := `"applications":{"includeUserActions":["urn:user:registersecurityinfo"]}`
	rule := func(conditions, members string) {
		t.Helper()
		if err := s.db.Update(t.Context(), func(tx *store.Tx) error {
			tx.By(store.By{Force: true})
			return storetest.Rule(tx, storetest.Policy(1, conditions, members))
		}); err != nil {
			t.Fatal(err)
		}
	}
	in := ada(t, s)
	n, err := s.factor.BeginTOTP(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	rule(registering, storetest.Blocks)
	for what, err := range map[string]error{
		"begun":   func() error { _, err := s.factor.BeginTOTP(t.Context(), in); return err }(),
		"ended":   func() error { _, err := s.factor.FinishTOTP(t.Context(), in, n.Ticket, "000000", ""); return err }(),
		"codes":   func() error { _, err := s.factor.MakeCodes(t.Context(), in); return err }(),
		"passkey": func() error { _, err := s.factor.BeginPasskey(t.Context(), in); return err }(),
	} {
		var refused *access.Refused
		if !fault.Is(err, fault.Denied) || !errors.As(err, &refused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A policy about applications says nothing of it: who must have a second factor
	// there could not get one.
	rule("", storetest.AsksMFA)
	if _, err := s.factor.BeginTOTP(t.Context(), in); err != nil {
		t.Errorf("a second factor is asked for before there is one: %v", err)
	}
	// What is registered is known to who asks for it.
	if _, err := s.factor.MakeCodes(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, err = s.access.At(t.Context(), in.Session.ID, access.Use{Client: access.Account, Program: policy.Browser, IP: "192.0.2.7", Interactive: true})
	var refused *access.Refused
	if !errors.As(err, &refused) || refused.Ruling.Facts.Registered&policy.RecoveryCode.Set() == 0 {
		t.Errorf("%v", err)
	}
}

func TestPeopleAreWrittenTo(t *testing.T) {
	t.Parallel()
	address, letters := postbox(t)
	s := withFactors(t, func(c *config.Config) {
		c.SMTP, c.MailFrom, c.Reset, c.Remember = address, "curfew@contoso.example", "mail", "30"
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if s.factor.Remember != 30*24*time.Hour {
		t.Errorf("remembered for %v", s.factor.Remember)
	}
	in := ada(t, s)
	made, err := s.factor.MakeCodes(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.factor.VerifyCode(t.Context(), in, made.Codes[0], false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.signin.ChangePassword(t.Context(), ada(t, s), "correct horse battery", "another fine battery"); err != nil {
		t.Fatal(err)
	}
	if err := s.signin.BeginReset(t.Context(), "ADA@contoso.example", "192.0.2.7", ""); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(letters(4), "\n")
	for _, says := range []string{"To: <ada@mail.example>", "Subject: contoso.example: A way to sign in was added", "Subject: contoso.example: A recovery code was used", "There are 9 left", "Subject: contoso.example: Your password was changed",
		"Subject: contoso.example: Set a new password", "http://localhost:8443/reset?token="} {
		if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(got, "=\r\n", ""), "=3D", "="), says) {
			t.Errorf("no letter says %q:\n%s", says, got)
		}
	}
}

func TestABadMailServerIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data, cfg.SMTP, cfg.MailFrom, cfg.SMTPFile = t.TempDir(), "smtp://mail.contoso.example:587", "curfew@contoso.example", filepath.Join(t.TempDir(), "none")
	if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
