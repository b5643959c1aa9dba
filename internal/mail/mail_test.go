package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// postOffice is a mail server on loopback: enough of SMTP to take letters.
type postOffice struct {
	t     *testing.T
	l     net.Listener
	cert  *tls.Config
	roots *x509.CertPool

	mu       sync.Mutex // guards what follows
	implicit bool
	noTLS    bool // does not offer STARTTLS

	got    []string // letters, with their envelopes
	logins []string
	refuse []string // answers to the next RCPT
	clear  bool     // a login or letter came without TLS
	done   sync.WaitGroup
}

func newPostOffice(t *testing.T) *postOffice {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{t: t, cert: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots: x509.NewCertPool()}
	p.roots.AddCert(parsed)
	if p.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.done.Go(func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { p.l.Close(); p.done.Wait() })
	return p
}

func (p *postOffice) port() int { return p.l.Addr().(*net.TCPAddr).Port }

func (p *postOffice) serve(c net.Conn) {
	defer func() { c.Close() }()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	secret := false
	p.mu.Lock()
	implicit, noTLS := p.implicit, p.noTLS
	p.mu.Unlock()
	if implicit {
		c, secret = tls.Server(c, p.cert), true
	}
	r := bufio.NewReader(c)
	say := func(s string) { fmt.Fprintf(c, "%s\r\n", s) }
	say("220 localhost")
	var envelope []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		switch {
		case verb == "EHLO":
			say("250-localhost")
			if !secret && !noTLS {
				say("250-STARTTLS")
			}
			say("250-8BITMIME")
			say("250 AUTH PLAIN LOGIN")
		case verb == "STARTTLS":
			say("220 go on")
			c, secret = tls.Server(c, p.cert), true
			r = bufio.NewReader(c)
		case verb == "AUTH":
			b, _ := base64.StdEncoding.DecodeString(line[strings.LastIndex(line, " ")+1:])
			p.note(secret, func() { p.logins = append(p.logins, string(bytes.ReplaceAll(b, []byte{0}, []byte("|")))) })
			say("235 ok")
		case verb == "RCPT":
			p.mu.Lock()
			answer := "250 ok"
			if len(p.refuse) > 0 {
				answer, p.refuse = p.refuse[0], p.refuse[1:]
			}
			p.mu.Unlock()
			envelope = append(envelope, line)
			say(answer)
		case verb == "MAIL":
			envelope = []string{line}
			say("250 ok")
		case verb == "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				l, err := r.ReadString('\n')
				if err != nil || l == ".\r\n" {
					break
				}
				b.WriteString(l)
			}
			p.note(secret, func() { p.got = append(p.got, strings.Join(envelope, "\n")+"\n\n"+b.String()) })
			say("250 ok")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// with looks at it, or changes it, while it is open.
func (p *postOffice) with(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *postOffice) note(secret bool, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear = p.clear || !secret
	f()
}

// letters waits for n letters; more wait a moment longer to be seen.
func (p *postOffice) letters(n int) []string {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		got := append([]string(nil), p.got...)
		p.mu.Unlock()
		if len(got) >= n || time.Now().After(end) {
			if len(got) != n {
				p.t.Fatalf("%d letters, want %d", len(got), n)
			}
			return got
		}
	}
}

// sender runs one to the post office.
func (p *postOffice) sender(way TLS) *Sender {
	p.t.Helper()
	s := &Sender{Server: Server{Host: "localhost", Port: p.port(), TLS: way}, From: "Contoso <curfew@contoso.example>", Roots: p.roots,
		Wait: func(time.Duration) <-chan time.Time { c := make(chan time.Time, 1); c <- time.Time{}; return c }}
	if err := s.Open(); err != nil {
		p.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() { s.Run(ctx) })
	p.t.Cleanup(func() { stop(); over.Wait() })
	return s
}

func write(l *Letter) Job { return func(context.Context) (*Letter, error) { return l, nil } }

var ada = What{To: "ada@contoso.example", Name: "Ada Lovelace", At: time.Date(2026, 3, 2, 12, 4, 0, 0, time.UTC), IP: "192.0.2.7"}

var writer = Writer{Directory: "Contoso", Base: "https://id.contoso.example"}

func TestLettersArriveByTLS(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]TLS{"STARTTLS": StartTLS, "implicit": Implicit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPostOffice(t)
			p.with(func() { p.implicit = way == Implicit })
			s := p.sender(way)
			s.Server.Username, s.Server.Password = "curfew", "secret of the mail server"
			s.Post(write(writer.ResetLink(ada, "/reset?token=abc", 30)))
			m, err := netmail.ReadMessage(strings.NewReader(strings.SplitN(p.letters(1)[0], "\n\n", 2)[1]))
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			body.ReadFrom(m.Body)
			text := strings.ReplaceAll(strings.ReplaceAll(body.String(), "=\r\n", ""), "=3D", "=")
			if m.Header.Get("To") != "<ada@contoso.example>" || m.Header.Get("Subject") != "Contoso: Set a new password" || m.Header.Get("From") != `"Contoso" <curfew@contoso.example>` ||
				m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.Contains(text, "https://id.contoso.example/reset?token=abc\r\n") || !strings.Contains(text, "Hello Ada Lovelace,") {
				t.Errorf("%v\n%s", m.Header, text)
			}
			p.with(func() {
				if p.clear || len(p.logins) != 1 || !strings.HasSuffix(p.logins[0], "|curfew|secret of the mail server") {
					t.Errorf("in the clear: %v, logins %q", p.clear, p.logins)
				}
			})
		})
	}
}

// Whoever sits on the way and hides STARTTLS gets neither password nor letter.
func TestWithoutTLSNothingIsSent(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t)
	p.with(func() { p.noTLS = true })
	s := p.sender(StartTLS)
	s.Server.Username, s.Server.Password = "curfew", "secret"
	s.Post(write(writer.PasswordChanged(ada)))
	waitFor(t, func() bool { return s.Lost() == 1 })
	s = p.sender(StartTLS) // where no password would be given away, the letter is not either
	s.Post(write(writer.PasswordChanged(ada)))
	waitFor(t, func() bool { return s.Lost() == 1 })
	q := newPostOffice(t)
	s = q.sender(StartTLS)
	s.Roots = nil // a certificate that nobody vouches for
	s.Post(write(writer.PasswordChanged(ada)))
	waitFor(t, func() bool { return s.Lost() == 1 })
	for _, x := range []*postOffice{p, q} {
		x.with(func() {
			if len(x.got)+len(x.logins) != 0 {
				t.Errorf("%q %q", x.got, x.logins)
			}
		})
	}
	plain := newPostOffice(t)
	plain.with(func() { plain.noTLS = true })
	plain.sender(Plain).Post(write(writer.PasswordChanged(ada)))
	plain.letters(1)
}

func waitFor(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

func TestALetterIsTriedAgainAndThenDropped(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t)
	s := p.sender(StartTLS)
	var log bytes.Buffer
	var mu sync.Mutex
	s.Log = slog.New(slog.NewTextHandler(&locked{&mu, &log}, nil))
	p.with(func() { p.refuse = []string{"451 later", "451 later"} })
	written := 0
	s.Post(func(context.Context) (*Letter, error) { written++; return writer.PasswordChanged(ada), nil })
	p.letters(1)
	if written != 1 || s.Lost() != 0 {
		t.Errorf("written %d times, %d lost", written, s.Lost())
	}
	p.with(func() { p.refuse = []string{"550 no such person"} }) // for good: the next letter is not held up
	s.Post(write(writer.PasswordChanged(ada)))
	s.Post(write(writer.Attacked(ada)))
	p.letters(2)
	if s.Lost() != 1 {
		t.Errorf("%d lost", s.Lost())
	}
	// A job that fails is tried again too; one that has nothing to say is done.
	n := 0
	s.Post(func(context.Context) (*Letter, error) {
		if n++; n < 3 {
			return nil, errors.New("the database is away")
		}
		return writer.PasswordChanged(ada), nil
	})
	s.Post(write(nil))
	p.letters(3)
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(log.String(), "ada@") || !strings.Contains(log.String(), "550") {
		t.Errorf("the log says %s", log.String())
	}
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestAFullQueueDropsAndNeverWaits(t *testing.T) {
	t.Parallel()
	s := &Sender{From: "curfew@contoso.example"}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	for i := range places + 5 {
		if ok := s.Post(write(nil)); ok != (i < places) {
			t.Fatalf("letter %d: %v", i, ok)
		}
	}
	if s.Lost() != 5 || len(s.Waiting()) != places {
		t.Errorf("%d lost", s.Lost())
	}
	var none *Sender
	if none.Post(write(nil)) {
		t.Error("a sender that is none has taken a letter")
	}
}

// What the directory holds of somebody stays where it is put.
func TestNothingOfAPersonBreaksALetter(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t)
	s := p.sender(StartTLS)
	bad := What{To: "ada@contoso.example", Name: "Ada\r\nBcc: mallory@contoso.example\r\n\r\nVisit mallory.example", IP: "1\r\n2"}
	l := Writer{Directory: "Contoso\r\nBcc: mallory@contoso.example", Base: writer.Base}.MethodAdded(bad, "passkey")
	s.Post(write(l))
	got := p.letters(1)[0]
	if strings.Contains(got, "\nBcc:") || strings.Contains(got, "RCPT TO:<mallory") || strings.Count(got, "RCPT") != 1 {
		t.Errorf("%s", got)
	}
	s.Post(write(&Letter{To: "ada@contoso.example>, <mallory@contoso.example", Subject: "x", Text: "y"}))
	s.Post(write(&Letter{To: "nobody", Subject: "x", Text: "y"}))
	waitFor(t, func() bool { return s.Lost() == 2 })
	p.letters(1)
}

func TestServersAreReadStrictly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Server{
		"smtp://mail.contoso.example":      {Host: "mail.contoso.example", Port: 587},
		"smtp://mail.contoso.example:2525": {Host: "mail.contoso.example", Port: 2525},
		"smtps://mail.contoso.example":     {Host: "mail.contoso.example", Port: 465, TLS: Implicit},
		"smtp+plain://127.0.0.1":           {Host: "127.0.0.1", Port: 25, TLS: Plain},
	} {
		if got, err := ParseServer(text); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "mail.contoso.example:25", "https://mail.contoso.example", "smtp://user:secret@mail.contoso.example", "smtp://mail.contoso.example/x", "smtp://mail.contoso.example:99999", "smtp://:25"} {
		if _, err := ParseServer(bad); err == nil {
			t.Errorf("%q is a server", bad)
		}
	}
	if err := (&Sender{From: "nobody"}).Open(); err == nil {
		t.Error("letters come from nobody")
	}
}

func TestEveryLetterSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	for _, l := range []*Letter{writer.ResetLink(ada, "/reset?token=x", 30), writer.NoReset(ada), writer.PasswordChanged(ada), writer.MethodAdded(ada, "passkey “Laptop”"), writer.MethodRemoved(ada, "passkey “Laptop”"),
		writer.CodeUsed(ada, 3), writer.KeyCopied(ada, "passkey"), writer.Attacked(What{To: ada.To})} {
		if l.To != ada.To || !strings.HasPrefix(l.Subject, "Contoso: ") || !strings.HasPrefix(l.Text, "Hello ") || !strings.HasSuffix(l.Text, "-- \nContoso\nhttps://id.contoso.example\n") || strings.Contains(l.Text, "  ,") {
			t.Errorf("%s\n%s", l.Subject, l.Text)
		}
	}
	if l := writer.PasswordChanged(ada); !strings.Contains(l.Text, "the password of your account was changed on 2 March 2026, 12:04 UTC, from the address 192.0.2.7.") {
		t.Error(l.Text)
	}
}
